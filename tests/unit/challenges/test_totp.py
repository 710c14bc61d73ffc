"""Codes by time, against the vectors of RFC 6238 and on the border of every window."""

import base64
from datetime import UTC, datetime, timedelta

import pyotp
import pytest

from authproxy.challenges.enrolment import owner_of
from authproxy.challenges.totp import TotpMethod, matching_step, secret_of, uri_of
from authproxy.storage.memory.enrolments import MemoryEnrolments
from tests.support.challenge_builders import enrolment_of
from tests.support.session_builders import new_ticket, session_for

SECRET = secret_of(b"12345678901234567890")  # RFC 6238 appendix B


@pytest.mark.parametrize(
    ("seconds", "code"),
    [
        (59, "287082"),
        (1111111109, "081804"),
        (1111111111, "050471"),
        (1234567890, "005924"),
        (2000000000, "279037"),
    ],
)
def test_codes_are_those_of_the_specification(seconds, code):
    assert matching_step(SECRET, code, datetime.fromtimestamp(seconds, UTC)) == seconds // 30


@pytest.mark.parametrize(
    ("late_by", "is_good"),
    [(-60, False), (-31, False), (-30, True), (0, True), (29, True), (59, True), (60, False)],
)
def test_a_code_is_good_in_its_step_and_one_around_it(late_by, is_good):
    made_at = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
    code = pyotp.TOTP(SECRET).at(made_at)
    step = matching_step(SECRET, code, made_at + timedelta(seconds=late_by))
    assert step == (int(made_at.timestamp()) // 30 if is_good else None)


@pytest.mark.parametrize("typed", ["", "28708", "2870822", "abcdef", "\ud800"])
def test_a_text_that_is_not_a_code_matches_nothing(typed):
    assert matching_step(SECRET, typed, datetime.fromtimestamp(59, UTC)) is None


def test_a_code_with_a_space_in_it_is_read():
    assert matching_step(SECRET, "287 082", datetime.fromtimestamp(59, UTC)) == 1


def test_the_uri_of_an_enrolment_has_the_form_that_applications_read():
    assert base64.b32decode(SECRET) == b"12345678901234567890"
    parsed = pyotp.parse_uri(
        uri_of(SECRET, account="ana.novak@example.si", issuer="Bankart Varni Spletni Prehod")
    )
    assert (parsed.secret, parsed.name, parsed.issuer) == (
        SECRET,
        "ana.novak@example.si",
        "Bankart Varni Spletni Prehod",
    )


@pytest.mark.parametrize(
    ("labels", "named"), [(("OnePass", ""), "OnePass"), (("", ""), ""), (("Doma", "Služba"), "Doma, Služba")]
)
async def test_applications_have_the_names_that_their_person_gave_them(labels, named):
    person, enrolments = session_for(new_ticket()).person, MemoryEnrolments()
    for number, label in enumerate(labels):
        assert await enrolments.add(
            owner_of(person), enrolment_of(f"totp-{number}", method="totp", label=label)
        )
    offer = await TotpMethod(enrolments=enrolments, lives_for=timedelta(minutes=5)).offer(person)
    assert offer is not None
    assert offer.destination == named
