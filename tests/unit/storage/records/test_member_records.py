from __future__ import annotations

import json
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.identity.member import Account, BlockedAccount, CertificateName, Member, PortalRole
from authproxy.storage.records.members import (
    account_in,
    account_octets,
    departure_octets,
    is_leaving_in,
    member_in,
    member_octets,
)
from tests.support.people_builders import ANA, DAVID, account, linked
from tests.support.session_builders import NOW

TEXT, OPTIONAL = st.text(), st.none() | st.text()
MEMBERS = st.builds(
    Member,
    member_id=TEXT,
    name=TEXT,
    tax_number=OPTIONAL,
    email=OPTIONAL,
    phone=OPTIONAL,
    portals=st.lists(TEXT).map(tuple),
    roles=st.lists(st.builds(PortalRole, TEXT, TEXT)).map(tuple),
    certificates=st.lists(
        st.builds(CertificateName, fingerprint=OPTIONAL, issuer=OPTIONAL, serial=st.none() | st.integers(0))
    ).map(tuple),
    accounts=st.lists(st.builds(Account, issuer=TEXT, subject=TEXT)).map(tuple),
    blocked_at=st.just(NOW),
    block_reason=OPTIONAL,
)


@given(MEMBERS)
def test_a_person_comes_back_as_they_were(member):
    assert member_in(member_octets(member)) == member


def test_no_field_is_forgotten():
    assert len(fields(Member)) == 12
    assert member_in(member_octets(linked(ANA, "a"))) == linked(ANA, "a")
    assert member_in(member_octets(DAVID)) == DAVID


def test_what_a_neighbouring_version_leaves_out_is_nothing_and_what_it_adds_is_ignored():
    octets = json.dumps({"id": "david", "name": "David Horvat", "blocked_at": None, "shoe_size": 44}).encode()
    assert member_in(octets) == DAVID


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"[]",
        b"{}",
        b'{"id": "a", "name": "A"}',
        b'{"id":"a","name":"A","blocked_at":"x"}',
        b'{"id":"a","name":"A","blocked_at":null,"certificates":[1]}',
        b'{"id":"a","name":"A","blocked_at":null,"roles":[["acq"]]}',
    ],
)
def test_what_does_not_say_whether_its_person_is_blocked_is_nobody(octets):
    assert member_in(octets) is None


@pytest.mark.parametrize("is_leaving", [True, False])
def test_a_departure_names_the_person_and_whether_they_leave(is_leaving):
    octets = departure_octets(ANA, is_leaving=is_leaving)
    assert (member_in(octets), is_leaving_in(octets)) == (ANA, is_leaving)


def test_a_departure_of_an_older_version_is_of_nobody_who_leaves():
    assert not is_leaving_in(member_octets(ANA))


@pytest.mark.parametrize("reason", ["lost phone", None])
def test_a_blocked_account_comes_back_as_it_was(reason):
    blocked = BlockedAccount(account=account(), blocked_at=NOW, reason=reason)
    assert account_in(account_octets(blocked)) == blocked


@pytest.mark.parametrize("octets", [b"", b"null", b"[]", b'{"issuer": "i", "subject": "s"}'])
def test_what_is_no_blocked_account_is_none(octets):
    assert account_in(octets) is None
