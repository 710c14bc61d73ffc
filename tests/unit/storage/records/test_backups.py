"""The file of a backup: who opens it, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from authproxy.challenges.enrolment import OwnedMethods, RecoverySheet
from authproxy.identity.member import BlockedAccount
from authproxy.storage.records import backups
from authproxy.storage.records.backups import Backup, BackupUnreadable, is_backup, opened, sealed
from authproxy.storage.records.sealing import KeyRing, Purpose
from tests.support.challenge_builders import ANAS, BORS, enrolment_of
from tests.support.people_builders import ANA, CVETKA, account, linked
from tests.support.session_builders import NOW

GOLDEN = Path(__file__).parents[3] / "golden"
OLD, NEW = bytes(range(32)), bytes(range(1, 33))
SHEET = RecoverySheet(
    set_id="00ff", codes=("a", "b"), listing=enrolment_of("sheet", method="recovery", secret="")
)
BACKUP = Backup(
    made_at=NOW,
    people=(linked(ANA, "ana"), CVETKA.blocked(NOW, "lost her telephone")),
    blocked=(BlockedAccount(account=account("thief"), blocked_at=NOW, reason="stolen"),),
    methods=(
        OwnedMethods(owner=ANAS, enrolments=(enrolment_of("app"),), recovery=SHEET),
        OwnedMethods(owner=BORS, enrolments=(enrolment_of("phone", method="push"),)),
        OwnedMethods(owner=("member", "cvetka"), recovery=replace(SHEET, listing=None)),
    ),
)


def ring(*keys):
    return KeyRing(keys, random_bytes=bytes)


def refused(octets, *keys):
    with pytest.raises(BackupUnreadable) as problem:
        opened(octets, ring(*(keys or (OLD,))))
    return str(problem.value)


@pytest.fixture
def file():
    return sealed(BACKUP, ring(OLD), version="1.2.3")


def test_everything_comes_back(file):
    assert is_backup(file)
    assert opened(file, ring(OLD)) == BACKUP


def test_a_backup_that_was_made_with_format_1_opens_for_ever():
    assert opened((GOLDEN / "people.backup").read_bytes(), ring(OLD)) == BACKUP


def test_the_first_line_says_what_it_is_and_nobody_can_change_it(file):
    line, _, content = file.partition(b"\n")
    assert line.decode() == (
        "authproxy backup 1: 2 people, 3 with methods, 1 blocked accounts; "
        f"{NOW.isoformat()}, authproxy 1.2.3, key {ring(OLD).key_ids[0].hex()}"
    )
    assert "does not open" in refused(line.replace(b"2 people", b"9 people") + b"\n" + content)


def test_nothing_of_anybody_can_be_read_in_it(file):
    secrets = (ANA.name, ANA.tax_number, ANA.phone, "ana", "thief", "JBSWY3DPEHPK3PXP", "00ff", "lost her")
    assert not [secret for secret in secrets if secret.encode() in file]


def test_it_opens_with_an_older_key_of_the_ring(file):
    assert opened(file, ring(NEW, OLD)) == BACKUP


def test_without_its_key_it_says_which_key_is_missing_and_which_are_there(file):
    known, missing = ring(NEW).key_ids[0].hex(), ring(OLD).key_ids[0].hex()
    assert f"under the session key {missing}, which is not here (here: {known})" in refused(file, NEW)


@pytest.mark.parametrize("size", [0, 1, 10, 100])
def test_a_part_of_it_opens_nothing(file, size):
    line, _, content = file.partition(b"\n")
    assert refused(line + b"\n" + content[:size])
    assert refused(file[:-1]).startswith("does not open")


def test_a_changed_octet_anywhere_opens_nothing(file):
    for at in range(0, len(file), 97):
        changed = bytearray(file)
        changed[at] ^= 1
        assert not is_backup(bytes(changed)) or refused(bytes(changed))


@pytest.mark.parametrize(
    "octets",
    [
        b"authproxy backup ",
        b"authproxy backup 1\n",
        b"authproxy backup x: \n",
        b"authproxy backup 1: \x00\n",
        b"authproxy backup 1: \xff\n",
        b"authproxy backup 1: " + 200 * b"a" + b"\n",
        b"authproxy backup 9999: \n",
    ],
)
def test_what_only_begins_like_one_is_none(octets):
    assert is_backup(octets)
    assert refused(octets) == "begins like a backup and is none"


def test_a_backup_of_another_format_is_for_another_version(file):
    assert "is a backup of format 2, and this version reads format 1" in refused(
        file.replace(b"backup 1:", b"backup 2:", 1)
    )


def test_a_list_is_no_backup():
    assert not is_backup(b"id;name;portals\n")


def content(**changes):
    fields = {"made_at": NOW.isoformat(), "people": [], "blocked": [], "methods": []} | changes
    line = "authproxy backup 1: made by hand"
    octets = json.dumps(fields).encode()
    return line.encode() + b"\n" + ring(OLD).seal(Purpose.BACKUP, octets, bound_to=line)


@pytest.mark.parametrize(
    "changes",
    [
        {"made_at": "yesterday"},
        {"people": None},
        {"people": [{"id": "ana", "name": "Ana"}]},
        {"blocked": [{}]},
        {"methods": [{"owner": ["member", "ana"], "enrolments": [{}]}]},
        {"methods": [{"owner": ["member", "ana"], "enrolments": [], "recovery": {"set": {}, "codes": []}}]},
        {"methods": [{"enrolments": []}]},
    ],
)
def test_one_record_that_cannot_be_read_refuses_all_of_it(changes):
    assert "holds a record that this version cannot read" in refused(content(**changes))


def test_what_a_newer_version_has_added_is_kept():
    person = {"id": "ana", "name": "Ana", "blocked_at": None, "shoe_size": 44}
    backup = opened(content(people=[person]), ring(OLD))
    assert backup.people[0].newer_fields == '{"shoe_size": 44}'
    assert b"shoe_size" in backups.members.member_octets(backup.people[0])


def test_a_record_of_another_kind_is_no_backup():
    line = "authproxy backup 1: made by hand"
    other = ring(OLD).seal(Purpose.MEMBER, b"{}", bound_to=line)
    assert "does not open" in refused(line.encode() + b"\n" + other)
