from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.identity.ticket import SessionTicket
from authproxy.telemetry.redaction import LONGEST, REMOVED, cleaned, redacted
from tests.support.machine_builders import KEY_TEXT

TICKET = SessionTicket(b"\xfb" * 16, b"\xef" * 32).text
JWT = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (f"refused {JWT} here", JWT),
        (JWT.rpartition(".")[0] + ".", "eyJzdWIi"),
        ("eyJlbmMiOiJBMjU2R0NNIn0..iv.text.tag", "iv.text.tag"),
        (f"cookie __Host-authproxy={TICKET}; a=1", TICKET),
        (f"ticket {TICKET}", TICKET),
        (f"key {KEY_TEXT} refused", KEY_TEXT),
        (f"GET /uvoz/{KEY_TEXT[:40]}", KEY_TEXT[:40]),
        ("Authorization: Bearer abcdef.123456", "abcdef"),
        ("basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
        ("GET /callback?code=abc123&state=xyz789", "abc123"),
        ("GET /callback?code=abc123&state=xyz789", "xyz789"),
        ("{'code': 'abc123', 'other': 1}", "abc123"),
        ('{"id_token_hint":"abc123"}', "abc123"),
        ("GET /a;jsessionid=0A1B.node7?b=1", "0A1B"),
        ("GET /a;PHPSESSID=abc123", "abc123"),
        ("GET /a%3Bjsessionid=abc123", "abc123"),
        ("GET /a;sid=abc123/b", "abc123"),
        ("GET /(S(lit3py55t21z5v55vlm25s55))/a.aspx", "lit3py55"),
        ("tax_number=99990008", "99990008"),
        ("taxnumber: 99990008", "99990008"),
        ("__Host-authproxy-flow=abcdef", "abcdef"),
    ],
)
def test_what_looks_like_a_secret_is_removed(text, secret):
    assert secret not in redacted(text)
    assert REMOVED in redacted(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "GET /orders?tab=1",
        "portal acq answered 502",
        "decode of 1.2.3 failed",
        "person 4f",
        "GET /a;v=1/seznam(1)/inside=1;considered=2",
        "statement 2024",
    ],
)
def test_harmless_text_stays(text):
    assert redacted(text) == text


def test_a_value_cannot_grow_the_line_without_end():
    assert len(redacted("a" * 1_000_000)) == LONGEST + 1


def test_secrets_lose_their_values_by_name_at_every_depth():
    event = {
        "id_token": "x",
        "outer": [{"Client-Secret": "y", "kept": 1}, ("z", {"tax_number": 99990008})],
        "level": 20,
    }

    assert cleaned(event) == {
        "id_token": REMOVED,
        "outer": [{"Client-Secret": REMOVED, "kept": 1}, ["z", {"tax_number": REMOVED}]],
        "level": 20,
    }


def test_values_that_json_cannot_express_become_redacted_text():
    assert cleaned(ValueError(f"bad {JWT}")) == f"bad {REMOVED}"
    assert cleaned(datetime(2026, 3, 2, tzinfo=UTC)) == "2026-03-02 00:00:00+00:00"
    assert cleaned({1: None, "a": True, "b": 1.5}) == {"1": None, "a": True, "b": 1.5}
    assert cleaned({"x"}) == ["x"]


@given(st.text())
def test_a_ticket_is_found_in_any_text(text):
    assert TICKET not in redacted(f"{text} {TICKET} {text}")
