from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from authproxy.identity import register
from authproxy.identity.member import CertificateName, PortalRole
from authproxy.identity.person import MemberId, TaxNumber
from authproxy.identity.register import Conflict, ListedPerson
from tests.support.people_builders import ANA, ANAS_CERTIFICATE, CVETKA, DAVID, account, linked
from tests.support.session_builders import NOW

LATER = NOW + timedelta(days=1)
LISTED = ListedPerson(
    member_id=ANA.member_id,
    name=ANA.name,
    tax_number=ANA.tax_number,
    email=ANA.email,
    phone=ANA.phone,
    portals=ANA.portals,
)


def by_id(*members):
    return {member.member_id: member for member in members}


def taken(before, *listed, replaces=False):
    return register.after_import(by_id(*before), listed, replaces=replaces, now=LATER)


def test_a_list_adds_people_and_keeps_the_others_unless_it_replaces_the_register():
    assert taken([CVETKA], LISTED) == by_id(CVETKA, replace(ANA, certificates=()))
    assert taken([CVETKA], LISTED, replaces=True) == by_id(replace(ANA, certificates=()))


def test_fields_that_a_list_leaves_out_keep_their_value():
    before = linked(ANA, "rekono-ana").blocked(NOW, "lost card")
    assert taken([before], LISTED, replaces=True) == by_id(before)


@pytest.mark.parametrize("listed", [(), (CertificateName(fingerprint="b2" * 32),)])
def test_certificates_of_a_list_replace_those_of_the_register(listed):
    assert taken([ANA], replace(LISTED, certificates=listed))[ANA.member_id].certificates == listed


def test_a_list_blocks_and_unblocks_people_if_it_says_so():
    assert taken([ANA], replace(LISTED, is_blocked=True))[ANA.member_id].blocked_at == LATER
    assert taken([ANA.blocked(NOW, "x")], replace(LISTED, is_blocked=True))[ANA.member_id].blocked_at == NOW
    assert taken([ANA.blocked(NOW, "x")], replace(LISTED, is_blocked=False)) == by_id(ANA)
    assert taken([], replace(LISTED, is_blocked=True, certificates=(ANAS_CERTIFICATE,))) == by_id(
        ANA.blocked(LATER, None)
    )


@pytest.mark.parametrize(("number", "stays"), [("99990008", True), ("99990032", False), (None, False)])
def test_an_account_that_was_linked_by_a_tax_number_goes_when_the_number_changes(number, stays):
    listed = replace(LISTED, tax_number=None if number is None else TaxNumber(number))
    assert bool(taken([linked(ANA, "rekono-ana")], listed)[ANA.member_id].accounts) is stays


def test_an_account_that_an_operator_linked_stays_when_a_tax_number_comes():
    without = replace(linked(ANA, "rekono-ana"), tax_number=None)
    assert taken([without], LISTED)[ANA.member_id].accounts == (account(),)


def test_a_key_that_two_people_have_is_reported_for_the_later_one():
    other = replace(CVETKA, tax_number=ANA.tax_number, certificates=ANA.certificates)
    found = list(register.conflicts([ANA, other, DAVID]))
    assert [(each.later, each.earlier, each.key.kind) for each in found] == [
        ("cvetka", "ana", kind) for kind in ("fingerprint", "issuer and serial", "tax number")
    ]
    assert "99990008" not in repr(found)
    assert found[0] == Conflict(MemberId("cvetka"), MemberId("ana"), found[0].key)
    assert list(register.conflicts([ANA, CVETKA, DAVID])) == []


@pytest.mark.parametrize(
    ("before", "after", "loses"),
    [
        (ANA, ANA, False),
        (ANA, replace(ANA, name="Ana Kranjc"), False),
        (ANA, linked(ANA, "rekono-ana"), False),
        (ANA, replace(ANA, portals=("acq", "b2b", "bips")), False),
        (ANA, replace(ANA, portals=("*",)), False),
        (ANA, replace(ANA, portals=("acq",)), True),
        (CVETKA, replace(CVETKA, portals=("acq",)), True),
        (ANA, replace(ANA, certificates=()), True),
        (ANA, replace(ANA, phone="+38631999999"), True),
        (ANA, replace(ANA, phone=None), True),
        (replace(ANA, phone=None), ANA, False),
        (linked(ANA, "a"), linked(ANA, "b"), True),
        (ANA, ANA.blocked(NOW, None), True),
        (ANA.blocked(NOW, None), ANA.blocked(LATER, None), False),
        (ANA.blocked(NOW, None), ANA, False),
    ],
)
def test_somebody_who_loses_a_key_or_a_portal_is_signed_out(before, after, loses):
    assert register.has_lost(before, after) is loses
    assert (before in register.members_to_sign_out(by_id(before), by_id(after))) is loses


def test_somebody_who_is_removed_or_arrives_blocked_is_signed_out():
    blocked = CVETKA.blocked(NOW, None)
    assert list(register.members_to_sign_out(by_id(ANA), by_id(blocked, DAVID))) == [ANA, blocked]
    assert list(register.members_to_sign_out(by_id(blocked), by_id(blocked))) == []


@pytest.mark.parametrize(
    ("after", "leaves"),
    [
        ((), True),
        ((CVETKA,), True),
        ((ANA,), False),
        ((replace(ANA, tax_number=TaxNumber("99990121")),), True),
        ((replace(ANA, tax_number=None),), True),
        ((replace(ANA, name="Ana Kovač", phone="+38640111222"),), False),
        ((ANA.blocked(NOW, None),), False),
    ],
)
def test_somebody_who_is_gone_or_has_another_tax_number_loses_their_enrolments(after, leaves):
    assert register.leaves(ANA, by_id(*after)) is leaves


def test_somebody_without_a_tax_number_may_get_one_and_keeps_their_enrolments():
    assert not register.leaves(replace(ANA, tax_number=None), by_id(ANA))


APPROVER, AUDITOR = PortalRole("acq", "approver"), PortalRole("*", "auditor")


@pytest.mark.parametrize(
    ("before", "after", "loses"),
    [
        ((), (APPROVER,), False),
        ((APPROVER,), (APPROVER, AUDITOR), False),
        ((APPROVER,), (), True),
        ((APPROVER,), (AUDITOR,), True),
        ((APPROVER,), (PortalRole("b2b", "approver"),), True),
        ((APPROVER,), (PortalRole("*", "approver"),), False),
        ((AUDITOR,), (PortalRole("acq", "auditor"), PortalRole("b2b", "auditor")), True),
    ],
)
def test_somebody_who_loses_a_role_is_signed_out_and_somebody_who_gets_one_is_not(before, after, loses):
    was, now = replace(ANA, roles=before), replace(ANA, roles=after)
    assert register.has_lost(was, now) is loses
    assert (was in register.members_to_sign_out(by_id(was), by_id(now))) is loses


def test_a_list_without_roles_leaves_them_except_at_portals_that_the_person_may_no_longer_enter():
    before = replace(ANA, certificates=(), roles=(AUDITOR, APPROVER, PortalRole("b2b", "clerk")))
    assert taken([before], LISTED)[ANA.member_id].roles == before.roles
    assert taken([before], replace(LISTED, portals=("acq",)))[ANA.member_id].roles == (AUDITOR, APPROVER)


@pytest.mark.parametrize("before", [(), (ANA,), (replace(ANA, roles=(AUDITOR,)),)])
def test_roles_of_a_list_replace_those_of_the_register(before):
    assert taken(before, replace(LISTED, roles=(APPROVER,)))[ANA.member_id].roles == (APPROVER,)
    assert taken(before, replace(LISTED, roles=()))[ANA.member_id].roles == ()
