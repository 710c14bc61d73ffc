from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.access.decision import Reason
from authproxy.identity.assurance import Level
from authproxy.identity.person import Issuer, Subject
from authproxy.oidc.claims import ClaimedIdentity, ClaimNames, VerifiedWhenAbsent, identity
from authproxy.oidc.id_token import VerifiedClaims
from authproxy.oidc.refused import ClaimsRefused

NOW = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
EVERYTHING = ("tax_number", "name", "birthdate", "address", "email", "phone_number")
LEVELS = {
    "10": Level.LOW,
    "20": Level.MEDIUM,
    "30": Level.HIGH,
    "srednja": Level.MEDIUM,
    "http://eidas.europa.eu/LoA/high": Level.HIGH,
}
NAMES = ClaimNames(tax_number=("taxnumber", "davcna_stevilka"), level=("loa", "acr"))
ANA = {
    "name": "Ana Novak",
    "birthdate": "1990-01-01",
    "email": "ana.novak@example.si",
    "email_verified": True,
    "phone_number": "+38640123456",
    "phone_number_verified": True,
    "address": {"locality": "Ljubljana"},
    "taxnumber": "99990008",
    "loa": 20,
}


SAYS_NOTHING = VerifiedWhenAbsent()


def claimed(
    userinfo=None, required=EVERYTHING, names=NAMES, verified_when_absent=SAYS_NOTHING, **id_token
) -> ClaimedIdentity:
    verified = VerifiedClaims(
        issuer=Issuer("https://idp/"), subject=Subject("90342.A"), auth_time=NOW, every=id_token
    )
    return identity(
        verified,
        ANA if userinfo is None else userinfo,
        names=names,
        levels=LEVELS,
        required=required,
        verified_when_absent=verified_when_absent,
    )


def test_userinfo_of_a_complete_account_makes_a_person():
    found = claimed(acr="20", amr=["pwd", "sms"])

    assert (found.person.issuer, found.person.subject) == ("https://idp/", "90342.A")
    assert (found.person.name, found.person.email, found.person.tax_number) == (
        "Ana Novak",
        "ana.novak@example.si",
        "99990008",
    )
    assert (found.level, found.missing) == (Level.MEDIUM, ())
    assert (found.acr, found.amr, found.auth_time) == ("20", ("pwd", "sms"), NOW)


def test_the_id_token_fills_in_what_userinfo_leaves_out():
    found = claimed({}, **ANA)

    assert (found.person.name, found.person.tax_number, found.level, found.missing) == (
        "Ana Novak",
        "99990008",
        Level.MEDIUM,
        (),
    )


def test_userinfo_comes_first():
    assert claimed({**ANA, "name": "Ana Novak"}, name="Ana Kovač").person.name == "Ana Novak"


@pytest.mark.parametrize("missing", EVERYTHING)
@pytest.mark.parametrize("blank", [..., None, "", " "], ids=["absent", "null", "empty", "blank"])
def test_each_required_claim_is_missed_by_its_name(missing, blank):
    changed = ANA | {"taxnumber" if missing == "tax_number" else missing: blank}
    userinfo = {name: value for name, value in changed.items() if value is not ...}

    assert claimed(userinfo).missing == (missing,)
    assert claimed(userinfo, required=()).missing == ()


@pytest.mark.parametrize("blank", [None, "", " ", "\u200b", 5])
def test_an_empty_claim_leaves_it_to_the_next_name(blank):
    names = replace(NAMES, name=("full_name", "name"))
    assert claimed({**ANA, "full_name": blank}, names=names).person.name == "Ana Novak"


@pytest.mark.parametrize("value", ["99990008", " SI99990008 ", "si 9999-0008", 99990008])
def test_a_tax_number_is_read_in_every_usual_spelling(value):
    assert claimed({**ANA, "taxnumber": value}).person.tax_number == "99990008"


@pytest.mark.parametrize("value", ["9999000", " SI 9999-000", 9999000])
def test_a_tax_number_that_has_lost_a_digit_is_refused_as_such(value):
    with pytest.raises(ClaimsRefused, match="a leading digit had been lost") as refusal:
        claimed({**ANA, "taxnumber": value})

    assert refusal.value.reason == Reason.TAX_NUMBER_INCOMPLETE
    assert "9999" not in str(refusal.value)


@pytest.mark.parametrize(
    "value",
    ["99990009", "10000071", "99990008.0", 99990008.0, True, ["99990008"], "ABCDEFGH", "９９９９０００８"],
)
def test_a_wrong_tax_number_is_refused_even_where_none_is_required(value):
    with pytest.raises(ClaimsRefused) as refusal:
        claimed({**ANA, "taxnumber": value}, required=())

    assert refusal.value.reason == Reason.TAX_NUMBER_INVALID
    assert "9999" not in str(refusal.value)
    assert (refusal.value.person.subject, refusal.value.person.name, refusal.value.person.tax_number) == (
        "90342.A",
        "Ana Novak",
        None,
    )


@pytest.mark.parametrize(
    ("userinfo", "id_token"),
    [
        ({"taxnumber": "99990008"}, {"taxnumber": "99990016"}),
        ({"taxnumber": "99990008", "davcna_stevilka": "99990016"}, {}),
    ],
)
def test_two_different_tax_numbers_are_refused(userinfo, id_token):
    with pytest.raises(ClaimsRefused) as refusal:
        claimed(userinfo, **id_token)

    assert refusal.value.reason == Reason.CLAIMS_CONTRADICT


@pytest.mark.parametrize(
    ("name", "userinfo"),
    [
        ("http://idp.rekono.si/openid/taxnumber", {"http://idp.rekono.si/openid/taxnumber": "99990008"}),
        ("tax.value", {"tax": {"value": "99990008"}}),
        ("tax.value", {"tax.value": "99990008", "tax": {"value": "99990016"}}),
        ("a.b.c", {"a": {"b": {"c": 99990008}}}),
        ("a.b.c", {"a": {"b": "c"}, "taxnumber": "99990008"}),
        ("a.b.c", {"a": "99990016", "taxnumber": "99990008"}),
    ],
)
def test_a_claim_name_is_a_whole_member_or_its_dots_lead_into_objects(name, userinfo):
    names = ClaimNames(tax_number=(name, "taxnumber"), level=())

    assert claimed(userinfo, names=names).person.tax_number == "99990008"


def test_every_claim_can_have_another_name():
    names = ClaimNames(
        tax_number=("davcna",),
        level=("stopnja",),
        name=("polno_ime",),
        birthdate=("rojstvo.datum",),
        address=("naslov",),
        email=("e_naslov",),
        phone_number=("mobilna",),
        given_name=("ime",),
        family_name=("priimek",),
    )
    userinfo = {
        "davcna": "99990008",
        "stopnja": "30",
        "ime": "Ana",
        "priimek": "Novak",
        "rojstvo": {"datum": "1990-01-01"},
        "naslov": "Pot 1",
        "e_naslov": "ana@example.si",
        "mobilna": "+38640123456",
    }

    found = claimed(userinfo, names=names)

    assert (found.person.name, found.person.email, found.person.tax_number) == (
        "Ana Novak",
        "ana@example.si",
        "99990008",
    )
    assert (found.level, found.missing) == (Level.HIGH, ())
    assert (
        claimed({**userinfo, "polno_ime": "Ana Marija Novak"}, names=names).person.name == "Ana Marija Novak"
    )
    assert claimed(ANA, names=names).missing == EVERYTHING


def test_the_first_name_with_a_readable_value_counts():
    names = ClaimNames(tax_number=(), level=(), name=("full", "name"))

    assert claimed({"full": "Ana\nNovak", "name": "Ana Novak"}, names=names).person.name == "Ana Novak"
    assert claimed({"full": 5, "name": "Ana Novak"}, names=names).person.name == "Ana Novak"


def test_a_tax_number_that_is_stated_twice_counts_once():
    assert (
        claimed(
            {"taxnumber": "SI99990008", "davcna_stevilka": 99990008}, taxnumber="99990008"
        ).person.tax_number
        == "99990008"
    )


@pytest.mark.parametrize(
    ("userinfo", "id_token", "level"),
    [
        ({}, {}, Level.LOW),
        ({"loa": 10}, {}, Level.LOW),
        ({"loa": 20}, {}, Level.MEDIUM),
        ({"loa": "30"}, {}, Level.HIGH),
        ({"loa": " Srednja "}, {}, Level.MEDIUM),
        ({"loa": "http://eidas.europa.eu/LoA/high"}, {}, Level.HIGH),
        ({}, {"acr": "20"}, Level.MEDIUM),
        ({"loa": None, "acr": "20"}, {}, Level.MEDIUM),
        ({"loa": "strong"}, {}, Level.LOW),
        ({"loa": 25}, {}, Level.LOW),
        ({"loa": True}, {}, Level.LOW),
        ({"loa": 30.0}, {}, Level.LOW),
        ({"loa": [30]}, {}, Level.LOW),
        ({"loa": "strong", "acr": "30"}, {}, Level.LOW),
        ({"loa": 20, "acr": "30"}, {}, Level.MEDIUM),
        ({"loa": 30}, {"loa": 20}, Level.MEDIUM),
        ({"loa": 20}, {"acr": "30"}, Level.MEDIUM),
        ({"loa": 30}, {"acr": "unheard of"}, Level.LOW),
    ],
)
def test_the_level_is_the_lowest_that_is_stated_and_the_lowest_of_all_when_in_doubt(
    userinfo, id_token, level
):
    assert claimed(userinfo, **id_token).level == level


@pytest.mark.parametrize(
    ("userinfo", "name"),
    [
        ({"given_name": "Ana", "family_name": "Novak"}, "Ana Novak"),
        ({"name": " Žiga Čuk "}, "Žiga Čuk"),
        ({"name": "Z\u030ciga C\u030cuk"}, "Žiga Čuk"),
        ({"name": "Đorđe Ćirić-Łukasz 李"}, "Đorđe Ćirić-Łukasz 李"),
        ({"name": "Ana\r\nX-Auth-Level: 30", "given_name": "Ana", "family_name": "Novak"}, "Ana Novak"),
        ({"name": "Ana\u202eNovak"}, None),
        ({"given_name": "Ana"}, None),
        ({"family_name": "Novak"}, None),
        ({"name": ["Ana"]}, None),
        ({"name": "x" * 301}, "x" * 300),
    ],
)
def test_a_name_is_one_visible_line_of_bounded_length(userinfo, name):
    assert claimed(userinfo).person.name == name


@pytest.mark.parametrize(
    ("email", "verified", "passed"),
    [
        ("ana@example.si", True, True),
        ("ana@example.si", "true", True),
        ("ana@example.si", ..., True),
        ("ana@example.si", False, False),
        ("ana@example.si", "false", False),
        ("ana@example.si", None, False),
        ("ana@example.si@evil.example", True, False),
        ("ana", True, False),
        ("ana novak@example.si", True, False),
        ("ana\x00@example.si", True, False),
        ("a" * 300 + "@example.si", True, False),
    ],
)
def test_an_email_address_is_used_only_if_it_is_short_plain_and_not_denied(email, verified, passed):
    userinfo = {"email": email} | ({} if verified is ... else {"email_verified": verified})

    found = claimed(userinfo, required=("email",))

    assert found.person.email == (email if passed else None)
    assert found.missing == (() if passed else ("email",))


@pytest.mark.parametrize(
    ("address", "present"),
    [
        ({"formatted": "Testna 1"}, True),
        ({"formatted": "Testna 1\r\n1000 Ljubljana"}, True),
        ({"formatted": "\n"}, False),
        ("Testna 1", True),
        ("Testna 1\n1000", True),
        ({"formatted": "a\x00b"}, False),
        (None, False),
        (5, False),
        ({}, False),
        ({"locality": ""}, False),
        ({"locality": 5}, False),
        ([], False),
    ],
)
def test_an_address_is_present_if_any_part_of_it_is(address, present):
    assert ("address" not in claimed({"address": address}).missing) is present


@pytest.mark.parametrize(
    ("amr", "kept"),
    [
        (None, ()),
        ("sms", ()),
        (["sms", 5, "", "a\n", "x" * 301, "otp"], ("sms", "otp")),
        (["a"] * 40, ("a",) * 16),
    ],
)
def test_amr_is_a_short_list_of_words(amr, kept):
    assert claimed(amr=amr).amr == kept


VALUES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.lists(st.text())
    | st.dictionaries(st.text(), st.text())
)


@given(st.dictionaries(st.sampled_from([*ANA, "acr", "amr", "given_name", "family_name"]), VALUES))
def test_whatever_userinfo_says_there_is_an_identity_or_a_refusal(userinfo):
    try:
        outcome = claimed(userinfo).person.subject
    except ClaimsRefused as refusal:
        outcome = refusal.reason

    assert outcome in {
        "90342.A",
        Reason.TAX_NUMBER_INVALID,
        Reason.TAX_NUMBER_INCOMPLETE,
        Reason.CLAIMS_CONTRADICT,
    }


PHONES = {
    "+38640123456": "+38640123456",
    "041 123 456": "+38641123456",
    "041/123-456": "+38641123456",
    "+386 41 123 456": "+38641123456",
    "+386 (0)41 123 456": "+38641123456",
    "00386 41 123 456": "+38641123456",
    "(01) 234 56 78": "+38612345678",
    "+43 660 1234567": "+436601234567",
    "+386041123456": None,
    "+3864112345": None,
    "41123456": None,
    "0411234567": None,
    "041 12 34": None,
    "+0123456789": None,
    "+1234567890123456": None,
    "041 123 456 int. 7": None,
    "041\u200b123456": None,
    "\u0660\u0664\u0661123456": None,
    "": None,
}


@pytest.mark.parametrize("stated", PHONES, ids=ascii)
def test_a_number_is_used_only_if_it_can_be_read_in_one_way(stated):
    found = claimed(ANA | {"phone_number": stated})
    assert found.person.phone == PHONES[stated]
    assert stated == "" or stated not in repr(found)


@pytest.mark.parametrize(
    ("verified", "phone"),
    [
        (True, True),
        ("true", True),
        (..., False),
        (False, False),
        ("false", False),
        (None, False),
        (0, False),
        (1, False),
    ],
)
def test_an_unverified_number_is_not_used(verified, phone):
    userinfo = {name: value for name, value in ANA.items() if name != "phone_number_verified"}
    found = claimed(userinfo if verified is ... else userinfo | {"phone_number_verified": verified})
    assert (found.person.phone is not None) is phone
    assert found.missing == ()


VALUES = {"email": "ana@example.si", "phone_number": "+38640123456"}


def kept(found, claim):
    return found.person.email if claim == "email" else found.person.phone


@pytest.mark.parametrize("claim", VALUES)
@pytest.mark.parametrize("denying", ["userinfo", "id_token"])
def test_one_source_that_denies_verification_is_enough(claim, denying):
    yes, no = ({claim: VALUES[claim], f"{claim}_verified": said} for said in (True, False))
    userinfo, id_token = (no, yes) if denying == "userinfo" else (yes, no)
    assert kept(claimed(yes, required=(), **yes), claim) == VALUES[claim]
    assert kept(claimed(userinfo, required=(), **id_token), claim) is None
    assert kept(claimed(yes, required=(), **{f"{claim}_verified": False}), claim) is None


@pytest.mark.parametrize("claim", VALUES)
@pytest.mark.parametrize("verified_when_absent", [True, False])
def test_the_settings_decide_if_no_source_states_verification(claim, verified_when_absent):
    rule = VerifiedWhenAbsent(email=verified_when_absent, phone_number=verified_when_absent)
    assert kept(claimed({claim: VALUES[claim]}, required=(), verified_when_absent=rule), claim) == (
        VALUES[claim] if verified_when_absent else None
    )
    assert (
        kept(
            claimed(
                {claim: VALUES[claim], f"{claim}_verified": True}, required=(), verified_when_absent=rule
            ),
            claim,
        )
        == VALUES[claim]
    )


def test_a_source_vouches_for_its_own_value_only():
    strict = VerifiedWhenAbsent(email=False)
    theirs = {"email": "ana@example.si", "email_verified": True}
    assert (
        claimed(
            {"email": "mallory@example.si"}, required=(), verified_when_absent=strict, **theirs
        ).person.email
        == "ana@example.si"
    )
    assert (
        claimed({"email": "ana@example.si"}, required=(), verified_when_absent=strict, **theirs).person.email
        == "ana@example.si"
    )
    assert (
        claimed(
            {"email": "ana@example.si"}, required=(), verified_when_absent=strict, email_verified=True
        ).person.email
        == "ana@example.si"
    )


@pytest.mark.parametrize("odd", [[], {}, ["true"], "TRUE", "yes", 1.0])
def test_only_true_says_that_it_is_verified(odd):
    assert claimed(VALUES | {"email_verified": odd, "phone_number_verified": odd}, required=()).present == (
        "phone_number",
    )


def test_the_number_comes_from_the_first_that_states_a_usable_one():
    assert claimed(ANA | {"phone_number": "none"}, phone_number="+38640999888").person.phone == "+38640999888"
    assert (
        claimed(ANA, phone_number="+38640999888", phone_number_verified=True).person.phone == "+38640123456"
    )


def test_what_is_stated_is_remembered_whether_or_not_it_was_required():
    assert claimed(required=()).present == EVERYTHING
    assert claimed({"taxnumber": "99990008", "email": "a@example.si"}, required=()).present == (
        "tax_number",
        "email",
    )
