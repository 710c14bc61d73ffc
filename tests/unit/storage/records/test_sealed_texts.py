from __future__ import annotations

import base64
import random
import re
import secrets
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.identity.attempt import Showing
from authproxy.oidc import authorization
from authproxy.storage.records import sealed_texts as seals
from authproxy.storage.records.sealed_texts import Seals
from authproxy.storage.records.sealing import KeyRing
from tests.support.session_builders import NOW, attempt_of

KEY, NEW_KEY = bytes(32), bytes(range(32))
SEALS = Seals(KeyRing((KEY,), random_bytes=secrets.token_bytes))
ATTEMPT = attempt_of("b" * 43, secret="s" * 43)
STEP_UP = replace(ATTEMPT, step_up_of="i" * 22, route="acq/orders POST", held="h" * 43, method="acnlb")
SHOWING = Showing(attempt=STEP_UP, fingerprint="a1" * 32, shown_at=NOW + timedelta(minutes=1))
ADDRESSES = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=600).map(
    lambda rest: "/" + rest
)


@pytest.mark.parametrize("attempt", [ATTEMPT, STEP_UP])
def test_an_attempt_comes_back_as_it_was(attempt):
    assert SEALS.attempt_in(SEALS.attempt_sealed(attempt)) == attempt


def test_a_showing_comes_back_as_it_was():
    assert SEALS.showing_in(SEALS.showing_sealed(SHOWING)) == SHOWING


@given(ADDRESSES)
def test_every_usual_address_comes_back_as_it_was(address):
    assert SEALS.attempt_in(SEALS.attempt_sealed(replace(ATTEMPT, return_to=address))).return_to == address


def test_the_usual_state_is_short():
    assert len(SEALS.attempt_sealed(ATTEMPT)) < 340


def report_of(letters):
    """An address as reports have them, with this many characters."""
    chosen = random.Random(7)
    fields = (f"filter%5B{number}%5D.merchant={chosen.randrange(10**7)}&" for number in range(letters))
    return ("/reports/transactions?" + "".join(fields))[:letters]


def test_a_report_with_a_query_of_two_thousand_characters_comes_back_as_it_was():
    address = report_of(2048)
    state = SEALS.attempt_sealed(replace(STEP_UP, return_to=address))
    assert len(state) <= seals.LONGEST
    assert SEALS.attempt_in(state).return_to == address


@pytest.mark.parametrize(
    ("address", "comes_back"),
    [("/a/b?" + secrets.token_urlsafe(1530), "/a/b"), ("/" + secrets.token_urlsafe(1530), "/")],
)
def test_an_address_that_does_not_fit_loses_its_query_and_then_itself(address, comes_back):
    state = SEALS.attempt_sealed(replace(STEP_UP, return_to=address))
    assert len(state) <= seals.LONGEST
    assert SEALS.attempt_in(state) == replace(STEP_UP, return_to=comes_back)


@pytest.mark.parametrize(
    "address", [report_of(2048), "/a?" + secrets.token_urlsafe(300), "/a/b?" + secrets.token_urlsafe(1530)]
)
def test_whether_an_address_will_come_back_whole_is_known_before_the_sign_in(address):
    begun = replace(STEP_UP, return_to=address, step_up_of=None, route="", held=None)
    assert SEALS.return_to_fits(address) == (
        SEALS.attempt_in(SEALS.attempt_sealed(begun)).return_to == address
    )


def test_a_sealed_attempt_is_a_state_that_is_found_in_the_response():
    longest = SEALS.attempt_sealed(replace(ATTEMPT, return_to=report_of(2048)))
    assert authorization.state_of((("code", "c"), ("state", longest))) == longest
    assert re.fullmatch(r"[A-Za-z0-9_-]+", longest)


def test_the_length_of_a_state_hardly_tells_where_somebody_wants_to_go():
    assert (
        len(
            {
                len(SEALS.attempt_sealed(replace(ATTEMPT, return_to="/" + "x" * number)))
                for number in range(30)
            }
        )
        == 1
    )


def test_nothing_of_an_attempt_can_be_read_in_its_state():
    octets = base64.urlsafe_b64decode(SEALS.attempt_sealed(STEP_UP) + "==")
    parts = (
        STEP_UP.portal,
        STEP_UP.browser,
        STEP_UP.secret,
        STEP_UP.nonce,
        STEP_UP.code_verifier,
        STEP_UP.return_to,
        STEP_UP.held,
    )
    assert [part for part in parts if part.encode() in octets] == []


def test_the_same_attempt_is_sealed_differently_each_time():
    assert SEALS.attempt_sealed(ATTEMPT) != SEALS.attempt_sealed(ATTEMPT)


def test_what_was_sealed_for_one_way_opens_on_no_other():
    assert SEALS.attempt_in(SEALS.showing_sealed(SHOWING)) is None
    assert SEALS.showing_in(SEALS.attempt_sealed(STEP_UP)) is None


def test_a_text_with_one_letter_changed_does_not_open():
    state = SEALS.attempt_sealed(ATTEMPT)
    for at in range(len(state) - 1):  # of the last letter some bits may mean nothing
        assert SEALS.attempt_in(state[:at] + ("A" if state[at] != "A" else "B") + state[at + 1 :]) is None


@pytest.mark.parametrize("text", ["", "x", "A" * 64, "A" * 65, "A" * 4097, "č" * 64, "=" * 64, "AAAA " * 20])
def test_what_was_never_sealed_does_not_open(text):
    assert SEALS.attempt_in(text) is None
    assert SEALS.showing_in(text) is None


def test_another_instance_with_the_same_keys_opens_it_and_one_with_others_does_not():
    state = SEALS.attempt_sealed(ATTEMPT)
    assert Seals(KeyRing((KEY,), random_bytes=secrets.token_bytes)).attempt_in(state) == ATTEMPT
    assert Seals(KeyRing((NEW_KEY,), random_bytes=secrets.token_bytes)).attempt_in(state) is None


def test_a_key_may_be_changed_between_the_click_and_the_way_back():
    state = SEALS.attempt_sealed(ATTEMPT)
    after = Seals(KeyRing((NEW_KEY, KEY), random_bytes=secrets.token_bytes))
    assert after.attempt_in(state) == ATTEMPT
    assert SEALS.attempt_in(after.attempt_sealed(ATTEMPT)) is None


def test_nonce_and_verifier_follow_from_the_secret_and_from_nothing_else():
    other = replace(ATTEMPT, secret="t" * 43)
    assert len({ATTEMPT.secret, ATTEMPT.nonce, ATTEMPT.code_verifier, other.nonce, other.code_verifier}) == 5
    assert replace(ATTEMPT, portal="b2b", return_to="/").code_verifier == ATTEMPT.code_verifier
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", ATTEMPT.code_verifier)
