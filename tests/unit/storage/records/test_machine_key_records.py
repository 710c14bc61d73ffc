from __future__ import annotations

import json
from dataclasses import fields
from ipaddress import ip_network

import pytest

from authproxy.identity.machine_client import ApiKey
from authproxy.storage.records.machine_keys import machine_key_in, machine_key_octets
from tests.support.machine_builders import api_key

WHOLE = api_key(scopes=("a", "b"), networks=(ip_network("10.0.0.0/8"), ip_network("fd00::/8")))


@pytest.mark.parametrize("key", [WHOLE, api_key()])
def test_a_key_comes_back_as_it_was(key):
    assert len(fields(ApiKey)) == 9
    assert machine_key_in(machine_key_octets(key)) == key


@pytest.mark.parametrize(
    "lacking", ["id", "client", "portals", "scopes", "networks", "created_at", "ends_at"]
)
def test_a_record_that_does_not_say_what_the_key_is_good_for_is_no_key(lacking):
    written = json.loads(machine_key_octets(WHOLE))
    del written[lacking]
    assert machine_key_in(json.dumps(written).encode()) is None


@pytest.mark.parametrize(
    "changes",
    [{"networks": ["10.0.0.0/99"]}, {"networks": 5}, {"portals": None}, {"ends_at": "never"}],
)
def test_a_record_with_something_else_in_it_is_no_key(changes):
    written = json.loads(machine_key_octets(WHOLE)) | changes
    assert machine_key_in(json.dumps(written).encode()) is None


def test_what_a_later_version_adds_is_ignored():
    written = json.loads(machine_key_octets(WHOLE)) | {"colour": "red"}
    assert machine_key_in(json.dumps(written).encode()) == WHOLE
    assert machine_key_in(b"[]") is None
    assert machine_key_in(b"") is None
