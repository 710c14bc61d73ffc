"""`authproxy machines`, and its traces in the audit trail."""

from __future__ import annotations

import base64
import json
import os
import re
import socket
from datetime import timedelta

import pytest
import yaml

from authproxy.bootstrap.clock import utc_now
from authproxy.identity.machine_client import key_id_of
from tests.support.people_desk import ANA, Desk

pytestmark = pytest.mark.needs("redis-server")
ADD = ("add", "uvoz", "--portal", "acq")


class MachineDesk(Desk):
    def machines(self, *arguments, code=0):
        return self.run_plain("machines", *arguments, code=code)

    def added(self, *arguments):
        return self.machines(*arguments).stdout.strip()

    def listed(self, *arguments):
        return json.loads(self.machines("list", "--json", *arguments).stdout)


@pytest.fixture
def desk(config):
    return MachineDesk(config)


def test_a_key_is_shown_once_and_listed_without_itself(desk):
    result = desk.machines(
        "add",
        "uvoz",
        "--portal",
        "acq",
        "--portal",
        "b2b",
        "--portal",
        "acq",
        "--scope",
        "payments",
        "--network",
        "10.1.0.0/16",
        "--network",
        "fd00::1",
    )
    key = result.stdout.strip()
    assert re.fullmatch(r"authproxy_[0-9a-f]{64}", key)
    assert key not in result.stderr
    [row] = desk.listed()
    assert (row["id"], row["client"], row["portals"]) == (key_id_of(key), "uvoz", ["acq", "b2b"])
    assert (row["scopes"], row["networks"], row["ended"]) == (
        ["payments"],
        ["10.1.0.0/16", "fd00::1/128"],
        False,
    )
    assert row["created_by"].endswith(f"at {socket.gethostname()}")
    table = desk.machines("list")
    assert "acq b2b" in table.stdout
    assert table.stderr == "1 keys\n"
    assert key not in table.output + json.dumps(desk.every_event())


def test_without_a_last_day_a_key_is_good_for_a_year_and_with_one_to_its_end(desk):
    desk.added(*ADD)
    desk.added(*ADD, "--until", "2099-12-31")
    by_day, by_default = (row["ends_at"] for row in desk.listed())
    assert by_day == "2100-01-01T00:00:00Z"
    in_a_year = utc_now() + timedelta(days=365)
    assert by_default[:10] in {f"{in_a_year:%Y-%m-%d}", f"{in_a_year - timedelta(days=1):%Y-%m-%d}"}


def test_a_portal_where_no_route_takes_keys_is_pointed_out(desk):
    assert "no route of acq lets API keys in" in desk.machines(*ADD).stderr
    settings = yaml.safe_load(desk.config.read_text())
    settings["portals"]["acq"]["routes"] = [{"path": "/uvoz", "machines": {"keys": True}}]
    desk.config.write_text(yaml.safe_dump(settings))
    assert "warning" not in desk.machines(*ADD).stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("add", "uvoz"), "Missing option '--portal'"),
        (("add", "uvoz", "--portal", "acg"), "there is no portal acg"),
        (("add", "u voz", "--portal", "acq"), "CLIENT is at most 64"),
        (("add", "-uvoz", "--portal", "acq"), "No such option"),
        (("add", "ž", "--portal", "acq"), "CLIENT is at most 64"),
        (("add", "x" * 65, "--portal", "acq"), "CLIENT is at most 64"),
        ((*ADD, "--network", "10.1.2.3/8"), "is no network"),
        ((*ADD, "--network", "bank"), "is no network"),
        ((*ADD, "--scope", "a b"), "a scope is one word"),
        ((*ADD, "--until", "2020-01-01"), "--until is over"),
        ((*ADD, "--until", "9999-12-31"), "--until is over"),
        ((*ADD, "--until", "tomorrow"), "--until is no day"),
        (("revoke",), "name either a key or"),
        (("revoke", "0" * 32, "--client", "uvoz"), "name either a key or"),
        (("list", "--portal", "acg"), "there is no portal acg"),
    ],
)
def test_what_cannot_be_meant_changes_nothing(desk, arguments, said):
    assert said in desk.machines(*arguments, code=2).stderr
    assert desk.listed() == []
    assert desk.every_event() == []


def test_a_program_cannot_have_the_name_of_a_person_of_the_register(desk):
    desk.imported(ANA)
    said = desk.machines("add", "ana", "--portal", "acq", code=1).stderr
    assert "a person of the register has this id" in said
    assert desk.listed() == []


def test_one_key_or_all_of_a_program_are_revoked_and_the_trail_says_by_whom(desk):
    first, second, _ = desk.added(*ADD), desk.added(*ADD), desk.added("add", "porocila", "--portal", "b2b")
    assert desk.machines("revoke", key_id_of(first)).stdout == "1 revoked\n"
    assert desk.machines("revoke", key_id_of(first), code=1).stdout == "0 revoked\n"
    assert desk.machines("revoke", "--client", "uvoz").stdout == "1 revoked\n"
    assert [row["client"] for row in desk.listed()] == ["porocila"]
    assert desk.listed("--portal", "acq") == []
    events = desk.events()
    assert [event["event"] for event in events] == [
        *["machine.added"] * 3,
        "machine.revoked",
        "act.abandoned",
        "machine.revoked",
    ]
    assert events[0]["detail"].startswith(f"uvoz, key {key_id_of(first)}, for acq, until ")
    assert events[5]["detail"] == f"uvoz, key {key_id_of(second)}"
    assert {(event["by"], event["method"]) for event in events[:4]} == {("operator", "machine")}
    assert all(event["operator"] for event in events)


def test_keys_are_sealed_anew_with_the_register(desk):
    desk.imported(ANA)
    desk.added(*ADD)
    keys = desk.folder / "session-keys"
    newer = desk.folder / "newer-key"
    newer.write_text(base64.b64encode(os.urandom(32)).decode())
    settings = yaml.safe_load(desk.config.read_text())
    del settings["sessions"]["keys_file"]
    settings["sessions"]["keys"] = [newer.read_text(), keys.read_text()]
    desk.config.write_text(yaml.safe_dump(settings))
    desk.run("reseal")
    assert desk.events()[-1]["detail"] == "1 people, 0 enrolments moved, 1 API keys"
    settings["sessions"]["keys"] = [newer.read_text()]
    desk.config.write_text(yaml.safe_dump(settings))
    assert [row["client"] for row in desk.listed()] == ["uvoz"]


def test_without_a_shared_store_no_key_is_made(desk):
    settings = yaml.safe_load(desk.config.read_text())
    settings["store"] = {"url": "memory://"}
    desk.config.write_text(yaml.safe_dump(settings))
    assert "no gateway shares" in desk.machines(*ADD, code=1).stderr
