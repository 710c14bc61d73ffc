"""What a newer version has written into a record is still there after this version has written it again."""

from __future__ import annotations

import json
from dataclasses import replace
from ipaddress import ip_network

import pytest

from authproxy.identity.assurance import Level
from authproxy.identity.member import BlockedAccount
from authproxy.storage.records import challenges, machine_keys, members, sessions
from authproxy.storage.records.challenges import OwnedEnrolment, RecoverySet
from tests.support.challenge_builders import ANAS, enrolment_of
from tests.support.machine_builders import api_key
from tests.support.people_builders import ANA, account, linked
from tests.support.session_builders import NOW, new_ticket, session_for

NEWER = {"colour": "red", "sizes": [1, {"deep": None}]}
SESSION = session_for(new_ticket())
SESSION = replace(
    SESSION,
    grant="secret",
    roles=("clerk",),
    claims=("portal_admin",),
    events=(replace(SESSION.events[0], is_dated=False, bound_to="a request", level=Level.HIGH),),
)
BLOCKED = BlockedAccount(account=account(), blocked_at=NOW, reason="left")
OWNED = OwnedEnrolment(ANAS, enrolment_of(device_id="device-1"))
RECOVERY = RecoverySet(ANAS, "set", enrolment_of(method="recovery"))
KEY = api_key(scopes=("payments",), networks=(ip_network("10.1.0.0/16"),))

WRITTEN_AGAIN = {
    "session": (
        sessions.session_octets(SESSION),
        lambda octets: sessions.session_octets(sessions.session_in(octets)),
    ),
    "summary": (
        sessions.summary_octets(SESSION, "Firefox"),
        lambda octets: sessions.summary_octets(SESSION, *sessions.lasting_in(octets)),
    ),
    "member": (
        members.member_octets(linked(ANA, "ana")),
        lambda octets: members.member_octets(members.member_in(octets)),
    ),
    "departure": (
        members.departure_octets(ANA, is_leaving=True),
        lambda octets: members.departure_octets(members.member_in(octets), is_leaving=True),
    ),
    "blocked account": (
        members.account_octets(BLOCKED),
        lambda octets: members.account_octets(members.account_in(octets)),
    ),
    "enrolment": (
        challenges.owned_octets(OWNED),
        lambda octets: challenges.owned_octets(challenges.owned_in(octets)),
    ),
    "recovery set": (
        challenges.recovery_set_octets(RECOVERY),
        lambda octets: challenges.recovery_set_octets(challenges.recovery_set_in(octets)),
    ),
    "machine key": (
        machine_keys.machine_key_octets(KEY),
        lambda octets: machine_keys.machine_key_octets(machine_keys.machine_key_in(octets)),
    ),
}


@pytest.mark.parametrize(("octets", "again"), WRITTEN_AGAIN.values(), ids=WRITTEN_AGAIN)
def test_what_a_newer_version_has_added_survives_being_written_again(octets, again):
    added = json.loads(octets) | NEWER
    assert json.loads(again(json.dumps(added).encode())) == added


@pytest.mark.parametrize("place", [("person",), ("events", 0)], ids=str)
def test_what_is_added_inside_a_session_survives_too(place):
    fields = json.loads(sessions.session_octets(SESSION))
    inner = fields
    for step in place:
        inner = inner[step]
    inner.update(NEWER)
    again = sessions.session_octets(sessions.session_in(json.dumps(fields).encode()))
    assert json.loads(again) == fields


def test_what_is_added_to_the_listing_of_recovery_codes_survives_too():
    fields = json.loads(challenges.recovery_set_octets(RECOVERY))
    fields["listing"].update(NEWER)
    read = challenges.recovery_set_in(json.dumps(fields).encode())
    assert json.loads(challenges.recovery_set_octets(read)) == fields


def test_what_this_version_writes_is_nothing_newer_to_itself():
    session = sessions.session_in(sessions.session_octets(SESSION))
    read = (
        session,
        session.person,
        *session.events,
        members.member_in(members.departure_octets(linked(ANA, "ana"), is_leaving=True)),
        members.account_in(members.account_octets(BLOCKED)),
        challenges.owned_in(challenges.owned_octets(OWNED)).enrolment,
        challenges.recovery_set_in(challenges.recovery_set_octets(RECOVERY)),
        machine_keys.machine_key_in(machine_keys.machine_key_octets(KEY)),
    )
    assert [each.newer_fields for each in read] == [""] * len(read)
    assert sessions.lasting_in(sessions.summary_octets(SESSION, "Firefox")) == ("Firefox", "")


def test_a_change_wins_over_what_was_there():
    octets = json.dumps(json.loads(members.member_octets(ANA)) | NEWER).encode()
    blocked = members.member_in(octets).blocked(NOW, "left")
    fields = json.loads(members.member_octets(blocked))
    assert (fields["block_reason"], fields["colour"]) == ("left", "red")


def test_newer_fields_make_nobody_another_person_and_are_never_shown():
    octets = json.dumps(json.loads(members.member_octets(ANA)) | {"colour": "a secret"}).encode()
    assert members.member_in(octets) == ANA
    assert "a secret" not in repr(members.member_in(octets))
