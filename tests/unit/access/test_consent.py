"""Consents to `authproxy doctor`, and its orders."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.access import consent
from authproxy.access.consent import ConsentRefused, Consents

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
AT = int(NOW.timestamp())
KEY, OTHER_KEY = b"k" * 32, b"o" * 32
HOST = "acq.example.si"
NONCE = "n" * 22
GIVEN = consent.consent(KEY, HOST, AT + consent.LASTS)


def orders(*keys: bytes, hosts: tuple[str, ...] = (HOST,)) -> Consents:
    return Consents(keys or (KEY,), hosts)


def sent(text: str) -> list[bytes]:
    return [text.encode()]


@pytest.mark.parametrize("purpose", ["look", "echo", "deny", "fail"])
def test_an_order_is_recognised_with_its_purpose_and_nonce(purpose):
    order = orders().order_in(sent(GIVEN.order(purpose, nonce=NONCE, now=NOW)), NOW)
    assert order is not None
    assert (order.purpose, order.host) == (purpose, HOST)
    assert (order.nonce, order.secret) == (NONCE, GIVEN.secret)


def test_a_consent_travels_as_a_text_and_back():
    assert consent.read(f" {GIVEN.text()}\n", NOW) == GIVEN


def test_a_consent_never_shows_its_secret():
    assert GIVEN.secret.hex() not in repr(GIVEN)
    assert repr(GIVEN.secret) not in repr(GIVEN)
    assert GIVEN.secret.hex() not in GIVEN.order("look", nonce=NONCE, now=NOW)


@pytest.mark.parametrize("text", ["", "authproxy-consent.acq/1.00", GIVEN.text()[:-1], GIVEN.text() + "0"])
def test_other_texts_are_no_consent(text):
    with pytest.raises(ConsentRefused, match="no consent"):
        consent.read(text, NOW)


def test_a_consent_ends_after_its_hour():
    with pytest.raises(ConsentRefused, match="is over"):
        consent.read(GIVEN.text(), NOW + timedelta(hours=1))


def test_an_order_by_an_older_key_of_the_gateway_is_obeyed_until_the_key_is_dropped():
    order = GIVEN.order("echo", nonce=NONCE, now=NOW)
    assert orders(OTHER_KEY, KEY).order_in(sent(order), NOW) is not None
    assert orders(OTHER_KEY).order_in(sent(order), NOW) is None


def test_an_order_for_a_host_that_is_no_portal_is_not_obeyed():
    elsewhere = consent.consent(KEY, "evil.example.com", AT + 60)
    assert orders().order_in(sent(elsewhere.order("echo", nonce=NONCE, now=NOW)), NOW) is None


@pytest.mark.parametrize("ends_in", [-1, 0, consent.LASTS + 121])
def test_an_order_whose_consent_has_ended_or_lasts_too_long_is_not_obeyed(ends_in):
    other = consent.consent(KEY, HOST, AT + ends_in)
    assert orders().order_in(sent(other.order("echo", nonce=NONCE, now=NOW)), NOW) is None


@pytest.mark.parametrize("seconds", [-121, 121])
def test_an_order_can_be_repeated_for_two_minutes_and_no_longer(seconds):
    order = GIVEN.order("echo", nonce=NONCE, now=NOW - timedelta(seconds=seconds))
    assert orders().order_in(sent(order), NOW) is None


def test_an_order_that_was_changed_is_not_obeyed():
    order = GIVEN.order("echo", nonce=NONCE, now=NOW)
    for changed in (
        order.replace(".echo.", ".fail."),
        order.replace(NONCE, "m" * 22),
        order.replace(HOST.encode().hex(), b"b2b.example.si".hex()),
        order[:-1] + ("0" if order[-1] != "0" else "1"),
    ):
        assert orders(hosts=(HOST, "b2b.example.si")).order_in(sent(changed), NOW) is None


def test_an_order_beside_other_credentials_is_none():
    order = GIVEN.order("echo", nonce=NONCE, now=NOW)
    assert orders().order_in([*sent(order), b"Basic YTpi"], NOW) is None
    assert orders().order_in([], NOW) is None
    assert orders().order_in([b"Bearer abc"], NOW) is None


@given(st.binary(max_size=200))
def test_no_other_bytes_are_an_order(value):
    assert orders().order_in([value], NOW) is None
    assert orders().order_in([b"Bearer authproxy-doctor." + value], NOW) is None


def test_only_the_gateway_of_the_consent_can_answer():
    proof = consent.answer_proof(GIVEN.secret, NONCE, "{}")
    assert GIVEN.answers(proof, nonce=NONCE, said="{}")
    assert not GIVEN.answers(proof, nonce=NONCE, said="{ }")
    assert not GIVEN.answers(proof, nonce="m" * 22, said="{}")
    assert not GIVEN.answers("ž", nonce=NONCE, said="{}")


def test_an_echo_names_what_was_asked_in_quotes():
    assert consent.echoed("n", {"method": "GET"}) == 'Authproxy-Doctor nonce="n", method="GET"'
