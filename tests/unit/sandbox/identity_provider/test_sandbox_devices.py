from __future__ import annotations

import pytest

from authproxy.sandbox.identity_provider.onepass.devices import Devices
from authproxy.sandbox.installation import Installation

ANA = Installation(
    email="ana@example.si", name="Ana", device_id="d1", device_token="token-of-ana", totp_secret="GEZDGNBV"
)


@pytest.fixture
def devices():
    return Devices([ANA])


def test_a_phone_is_known_by_its_identifier_and_its_token_together(devices):
    assert devices.authenticated("d1", "token-of-ana") == devices.of("ana@example.si")
    assert devices.authenticated("d1", "another") is None
    assert devices.authenticated("d1", "\udcff") is None
    assert devices.authenticated("d2", "token-of-ana") is None


def test_the_next_phone_takes_the_place_of_the_one_before(devices):
    assert devices.add(email="ana@example.si", device_id="d2", token="new")
    assert not devices.add(email="bor@example.si", device_id="d3", token="his")
    assert devices.authenticated("d1", "token-of-ana") is None
    assert devices.authenticated("d2", "new") is not None


def test_a_removed_phone_is_nobody_and_may_be_removed_again(devices):
    device = devices.of("ana@example.si")
    devices.remove(device)
    devices.remove(device)
    assert devices.of("ana@example.si") is None
    assert devices.authenticated("d1", "token-of-ana") is None


def test_the_snapshot_holds_no_token_and_brings_back_the_same_phones(devices):
    snapshot = devices.snapshot()
    assert "token-of-ana" not in str(snapshot)
    another = Devices()
    another.restore(snapshot)
    assert another.authenticated("d1", "token-of-ana") == devices.of("ana@example.si")


def test_what_no_snapshot_gave_is_not_restored(devices):
    with pytest.raises(TypeError):
        devices.restore([{"id": "d9"}])
    assert devices.authenticated("d1", "token-of-ana") is not None
