from __future__ import annotations

import pytest

from authproxy.cli.people import columns
from authproxy.identity.member import CertificateName
from tests.support.people_builders import SUBCA


@pytest.mark.parametrize("text", ["ana", "A.Novak-1_x", "4711", "ana@bank", "12345678"])
def test_an_id_is_short_and_plain(text):
    assert columns.member_id(text) == text


@pytest.mark.parametrize("text", ["", "ana novak", "-ana", "č", "a" * 65, "a/b", "99990008", "SI99990008"])
def test_what_is_no_id_or_a_tax_number_is_none(text):
    with pytest.raises(ValueError) as told:
        columns.member_id(text)
    assert text == "" or text not in str(told.value)


def test_a_name_is_composed_and_visible():
    assert columns.name("Z\u030cuz\u030cemberk") == "Žužemberk"
    for text in (
        "Ana\nNovak",
        "Ana \u202e",
        "\ud800",
        "Ana\u2028Novak",
        "Ana\u2029Novak",
        "\ue000",
        "\u0378",
        "x" * 201,
    ):
        with pytest.raises(ValueError, match="too long or"):
            columns.name(text)


@pytest.mark.parametrize(("text", "number"), [("", None), ("-", None), ("SI 9999-0008", "99990008")])
def test_a_tax_number_may_be_missing(text, number):
    assert columns.number(text) == number


@pytest.mark.parametrize("text", ["99990009", "9999000", "x"])
def test_a_tax_number_is_right_or_refused(text):
    with pytest.raises(ValueError):
        columns.number(text)


@pytest.mark.parametrize(("text", "email"), [("", None), ("-", None), ("ana@example.si", "ana@example.si")])
def test_an_address_may_be_missing(text, email):
    assert columns.email(text) == email


@pytest.mark.parametrize("text", ["ana", "a@b", "a@b@c.si", "a b@c.si", f"{'a' * 200}@c.si", "a\u200b@c.si"])
def test_what_is_no_address_is_refused(text):
    with pytest.raises(ValueError, match="no e-mail"):
        columns.email(text)


@pytest.mark.parametrize(
    ("text", "phone"),
    [
        ("", None),
        ("-", None),
        ("+38640123456", "+38640123456"),
        ("00386 40 123-456", "+38640123456"),
        ("+386 (40) 123.456", "+38640123456"),
    ],
)
def test_a_telephone_number_is_stored_as_e164(text, phone):
    assert columns.phone(text) == phone


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("040 123 456", "no country"),
        ("38640123456", "no telephone"),
        ("+38640", "no telephone"),
        ("+3864012345678901", "no telephone"),
    ],
)
def test_a_telephone_number_without_a_country_is_refused_with_a_word(text, problem):
    with pytest.raises(ValueError, match=problem):
        columns.phone(text)


@pytest.mark.parametrize(
    ("text", "portals"),
    [
        ("-", ()),
        ("acq", ("acq",)),
        ("acq, b2b|acq", ("acq", "b2b")),
        ("*", ("*",)),
        (" acq b2b ", ("acq", "b2b")),
        ("", ()),
    ],
)
def test_portals_are_ids_of_the_settings(text, portals):
    assert columns.portals(text, {"acq", "b2b"}) == portals


def test_a_portal_that_the_settings_do_not_have_is_refused():
    with pytest.raises(ValueError, match="do not have"):
        columns.portals("acq bips", {"acq", "b2b"})


def test_nothing_said_of_certificates_is_not_none_of_them():
    assert columns.certificates("") is None
    assert columns.certificates("-") == ()


@pytest.mark.parametrize(
    "text",
    [
        "EE61ADE0 00000000 593E4965@CN=ACNLB SubCA,organizationIdentifier=VATSI-91132550,O=NLB d.d.,C=SI",
        "ee:61:ad:e0:00:00:00:00:59:3e:49:65 @ CN=ACNLB SubCA,2.5.4.97=VATSI-91132550,O=NLB d.d.,C=SI",
        "0xEE61ADE000000000593E4965@CN=ACNLB SubCA, 2.5.4.97=VATSI-91132550, O=NLB d.d., C=SI",
    ],
)
def test_issuer_and_serial_have_one_spelling_in_the_register(text):
    assert columns.certificate(text) == CertificateName(issuer=SUBCA, serial=0xEE61ADE000000000593E4965)


def test_several_certificates_are_told_apart_and_a_fingerprint_may_have_colons():
    colons = ":".join(["A1"] * 32)
    assert columns.certificates(f"{colons}|{'b2' * 32} | {'a1' * 32}") == (
        CertificateName(fingerprint="a1" * 32),
        CertificateName(fingerprint="b2" * 32),
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a1", "no SHA-256"),
        ("xyz@CN=a", "no serial"),
        ("@CN=a", "no serial"),
        ("1@ACNLB", "no issuer"),
        ("1@", "no issuer"),
    ],
)
def test_what_names_no_certificate_is_refused(text, problem):
    with pytest.raises(ValueError, match=problem):
        columns.certificate(text)


@pytest.mark.parametrize(
    ("text", "blocked"),
    [
        ("", None),
        ("yes", True),
        ("DA", True),
        ("1", True),
        ("true", True),
        ("no", False),
        ("ne", False),
        ("-", False),
        ("0", False),
        ("FALSE", False),
    ],
)
def test_blocked_is_yes_no_or_not_said(text, blocked):
    assert columns.blocked(text) is blocked


def test_a_maybe_is_refused():
    with pytest.raises(ValueError, match="neither"):
        columns.blocked("maybe")


@pytest.mark.parametrize(
    ("text", "roles"),
    [
        ("", None),
        ("-", ()),
        ("acq:approver", [("acq", "approver")]),
        (" acq:a, b2b:b | *:c acq:a ", [("acq", "a"), ("b2b", "b"), ("*", "c")]),
    ],
)
def test_roles_stand_with_their_portals(text, roles):
    found = columns.roles(text, ["acq", "b2b"])
    assert found == (None if roles is None else tuple(roles))


@pytest.mark.parametrize(
    "text", ["approver", "acq:", ":approver", "acq:a:b", "acq:-a", "acq:č", "acq:a;b2b:b"]
)
def test_what_is_no_role_is_refused_and_not_repeated(text):
    with pytest.raises(ValueError) as told:
        columns.roles(text, ["acq", "b2b"])
    assert text not in str(told.value)


def test_a_role_at_an_unknown_portal_is_refused():
    with pytest.raises(ValueError, match="settings do not have"):
        columns.roles("bips:clerk", ["acq", "b2b"])
