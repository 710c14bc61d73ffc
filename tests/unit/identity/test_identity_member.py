from __future__ import annotations

from dataclasses import replace

import pytest

from authproxy.identity.member import (
    ROLE,
    CertificateName,
    PortalRole,
    RegisterKey,
    issuer_and_serial,
    masked,
    tax_number_key,
)
from authproxy.identity.person import Issuer, TaxNumber
from tests.support.people_builders import ANA, ANAS_CERTIFICATE, CVETKA, DAVID, REKONO, SUBCA, account
from tests.support.session_builders import NOW


def test_a_person_is_found_by_id_tax_number_certificate_and_account_but_not_by_name():
    assert ANA.with_account(account()).keys == {
        RegisterKey("id", "ana"),
        tax_number_key(TaxNumber("99990008")),
        RegisterKey("fingerprint", "a1" * 32),
        issuer_and_serial(SUBCA, 0xEE61ADE0),
        RegisterKey("account", "https://rekono.example/\0rekono-ana"),
    }
    assert DAVID.keys == {RegisterKey("id", "david")}


@pytest.mark.parametrize(
    ("certificate", "kinds"),
    [
        (CertificateName(fingerprint="00" * 32), ["fingerprint"]),
        (CertificateName(issuer=SUBCA, serial=1), ["issuer and serial"]),
        (CertificateName(issuer=SUBCA), []),
        (CertificateName(serial=1), []),
    ],
)
def test_an_issuer_or_a_serial_number_alone_identifies_no_certificate(certificate, kinds):
    assert [key.kind for key in certificate.keys] == kinds


@pytest.mark.parametrize(
    ("member", "portal", "may"),
    [
        (ANA, "acq", True),
        (ANA, "bips", False),
        (CVETKA, "bips", True),
        (DAVID, "acq", False),
        (CVETKA.blocked(NOW, None), "acq", False),
    ],
)
def test_only_the_portals_that_are_named_may_be_entered_and_none_by_a_blocked_person(member, portal, may):
    assert member.may_enter(portal) is may


def test_a_person_has_one_account_at_a_provider():
    elsewhere = account("a", Issuer("https://other.example/"))
    ana = ANA.with_account(account("first")).with_account(elsewhere).with_account(account("second"))
    assert ana.account_at(REKONO) == account("second")
    assert ana.account_at(elsewhere.issuer) == elsewhere
    assert len(ana.accounts) == 2
    assert DAVID.account_at(REKONO) is None


def test_a_complete_certificate_entry_replaces_an_incomplete_one():
    short, other = CertificateName(fingerprint="a1" * 32), CertificateName(fingerprint="b2" * 32)
    assert replace(ANA, certificates=(short, other)).with_certificate(ANAS_CERTIFICATE).certificates == (
        other,
        ANAS_CERTIFICATE,
    )


def test_blocking_stores_time_and_reason_and_unblocking_removes_both():
    blocked = ANA.blocked(NOW, "lost card")
    assert (blocked.is_blocked, blocked.blocked_at, blocked.block_reason) == (True, NOW, "lost card")
    assert blocked.unblocked() == ANA


def test_portals_know_a_member_by_the_id_of_the_register():
    person = ANA.person(Issuer("https://gateway.example/"))
    assert (person.subject, person.subject_for_portals, person.member) == ("ana", "ana", "ana")
    assert (person.name, person.email, person.tax_number) == (ANA.name, ANA.email, ANA.tax_number)


def test_the_repr_of_a_member_has_no_personal_data():
    shown = repr(ANA.with_account(account()).blocked(NOW, "because of Ana"))
    assert not any(
        text in shown for text in ("Novak", "99990008", "40123456", "example.si", "because", "rekono-ana")
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("99990008", "*****008"),
        ("SI 9999 0008", "SI **** *008"),
        ("+386 40 123 456", "+*** ** *** 456"),
        ("1234", "1234"),
        ("lost", "lost"),
    ],
)
def test_only_three_digits_of_a_long_number_are_shown(text, shown):
    assert masked(text) == shown


def test_what_is_taken_from_somebody_leaves_the_rest():
    other = CertificateName(fingerprint="b2" * 32)
    everything = ANA.with_account(account()).with_account(account("second")).with_certificate(other)
    assert everything.without_account(account()).accounts == (account("second"),)
    # One of the two names of a certificate is enough.
    assert everything.without_certificate(CertificateName(fingerprint="a1" * 32)).certificates == (other,)


APPROVER, AUDITOR = PortalRole("acq", "approver"), PortalRole("*", "auditor")


@pytest.mark.parametrize(
    ("member", "portal", "roles"),
    [
        (ANA, "acq", ()),
        (replace(ANA, roles=(APPROVER, AUDITOR)), "acq", ("approver", "auditor")),
        (replace(ANA, roles=(APPROVER, AUDITOR)), "b2b", ("auditor",)),
        (replace(ANA, roles=(APPROVER, PortalRole("*", "approver"))), "acq", ("approver",)),
        (replace(ANA, roles=(AUDITOR,)), "bips", ()),
        (replace(CVETKA, roles=(APPROVER, AUDITOR)), "acq", ("approver", "auditor")),
        (replace(ANA, roles=(APPROVER,)).blocked(NOW, None), "acq", ()),
    ],
)
def test_a_role_counts_at_its_portal_if_the_person_may_enter_it(member, portal, roles):
    assert member.roles_at(portal) == roles


def test_roles_at_portals_that_a_person_may_not_enter_are_dropped():
    roles = (PortalRole("bips", "clerk"), AUDITOR, APPROVER, APPROVER)
    assert ANA.with_roles(roles).roles == (AUDITOR, APPROVER)
    assert CVETKA.with_roles(roles).roles == (AUDITOR, APPROVER, PortalRole("bips", "clerk"))
    assert DAVID.with_roles((APPROVER,)).roles == ()


def test_the_name_of_a_role_can_be_split_wrongly_in_no_list():
    for text in ("approver", "ROLE_ADMIN", "acq-clerk.2", "7"):
        assert ROLE.fullmatch(text)
    for text in (
        "",
        "-",
        "-clerk",
        "a,b",
        "a|b",
        "a;b",
        "a b",
        "a:b",
        "a\tb",
        "a=b",
        'a"b',
        "č",
        "a\n",
        "a" * 65,
    ):
        assert not ROLE.fullmatch(text)
