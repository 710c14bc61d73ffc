from __future__ import annotations

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.challenges.challenge import Challenge
from authproxy.challenges.enrolment import Enrolment
from authproxy.identity.assurance import STEP_UP_METHODS, Level
from authproxy.storage.records import challenges as records
from authproxy.storage.records.challenges import OwnedEnrolment, RecoverySet
from tests.support.challenge_builders import ANAS, challenge_of, enrolment_of
from tests.support.session_builders import NOW

TEXT = st.text()
OPTIONAL = st.none() | TEXT
CHALLENGES = st.builds(
    Challenge,
    challenge_id=TEXT,
    method=st.sampled_from(STEP_UP_METHODS),
    session_id=TEXT,
    portal=TEXT,
    route=TEXT,
    return_to=TEXT,
    held=OPTIONAL,
    binding=OPTIONAL,
    shown=st.lists(st.tuples(TEXT, TEXT)).map(tuple),
    purpose=TEXT,
    answer=TEXT,
    number=OPTIONAL,
    enrolment_id=OPTIONAL,
    destination=TEXT,
    issued_at=st.just(NOW),
    expires_at=st.just(NOW),
    again_at=st.none() | st.just(NOW),
    level=st.sampled_from(Level),
)
ENROLMENTS = st.builds(
    Enrolment,
    enrolment_id=TEXT,
    method=st.sampled_from(["totp", "push", "recovery"]),
    label=TEXT,
    enrolled_at=st.just(NOW),
    secret=TEXT,
    device_id=OPTIONAL,
    level=st.sampled_from(Level),
)
OWNERS = st.lists(TEXT, min_size=1).map(tuple)


def without(octets, *names):
    return json.dumps(
        {name: value for name, value in json.loads(octets).items() if name not in names}
    ).encode()


def changed(octets, **changes):
    return json.dumps(json.loads(octets) | changes).encode()


def test_no_field_is_forgotten():
    assert (len(dataclasses.fields(Challenge)), len(dataclasses.fields(Enrolment))) == (18, 8)


@given(CHALLENGES)
def test_a_challenge_comes_back_as_it_was(challenge):
    assert records.challenge_in(records.challenge_octets(challenge)) == challenge


@given(OWNERS, ENROLMENTS)
def test_an_enrolment_comes_back_as_it_was_with_its_owner(owner, enrolment):
    assert records.owned_in(records.owned_octets(OwnedEnrolment(owner, enrolment))) == OwnedEnrolment(
        owner, enrolment
    )


@given(OWNERS, TEXT, st.none() | ENROLMENTS)
def test_a_set_of_recovery_codes_comes_back_as_it_was(owner, set_id, listing):
    recovery_set = RecoverySet(owner, set_id, listing)
    assert records.recovery_set_in(records.recovery_set_octets(recovery_set)) == recovery_set


def test_what_an_older_version_has_written_without_a_level_has_the_lowest():
    older = without(records.owned_octets(OwnedEnrolment(ANAS, enrolment_of(level=Level.HIGH))), "level")
    assert records.owned_in(older).enrolment.level is Level.LOW
    assert (
        records.challenge_in(without(records.challenge_octets(challenge_of(level=Level.HIGH)), "level")).level
        is Level.LOW
    )
    older = without(records.recovery_set_octets(RecoverySet(ANAS, "set", enrolment_of())), "listing")
    assert records.recovery_set_in(older) == RecoverySet(ANAS, "set")


def test_what_a_neighbouring_version_leaves_out_has_its_default_and_what_it_adds_changes_nothing():
    octets = changed(
        without(
            records.challenge_octets(challenge_of()), "held", "number", "enrolment", "destination", "again_at"
        ),
        colour="red",
    )
    assert records.challenge_in(octets) == challenge_of(held=None, destination="", again_at=None)
    octets = changed(
        without(records.owned_octets(OwnedEnrolment(ANAS, enrolment_of())), "label", "device"), colour="red"
    )
    assert records.owned_in(octets) == OwnedEnrolment(ANAS, enrolment_of(label=""))


@pytest.mark.parametrize(
    "octets", [b"", b"\xff", b"null", b"[]", b"7", b"{}", b'{"owner": 7, "set": 7}', b'{"method": {}}']
)
def test_what_is_no_record_is_none(octets):
    assert [read(octets) for read in (records.challenge_in, records.owned_in, records.recovery_set_in)] == [
        None
    ] * 3


@pytest.mark.parametrize("name", ["purpose", "answer", "session", "portal", "expires_at", "method"])
def test_a_challenge_that_does_not_say_what_it_is_for_is_none(name):
    assert records.challenge_in(without(records.challenge_octets(challenge_of()), name)) is None


def test_a_method_that_nobody_knows_is_unreadable():
    assert records.challenge_in(changed(records.challenge_octets(challenge_of()), method="pigeon")) is None
    assert (
        records.owned_in(changed(records.owned_octets(OwnedEnrolment(ANAS, enrolment_of())), method="sms"))
        is None
    )
