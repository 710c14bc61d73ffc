from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from authproxy.identity import ticket
from authproxy.identity.ticket import IDENTIFIER_SIZE, SECRET_SIZE, SessionTicket

IDENTIFIERS = some.binary(min_size=IDENTIFIER_SIZE, max_size=IDENTIFIER_SIZE)
SECRETS = some.binary(min_size=SECRET_SIZE, max_size=SECRET_SIZE)


@given(IDENTIFIERS, SECRETS)
def test_a_ticket_is_read_back_from_its_text(identifier, secret):
    made = SessionTicket(identifier, secret)
    assert ticket.parse(made.text) == made
    assert len(made.text) == 68


@given(some.text(max_size=80) | some.from_regex(r"1\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}", fullmatch=True))
def test_every_ticket_has_one_text(text):
    found = ticket.parse(text)
    assert found is None or found.text == text


def test_a_second_spelling_of_a_ticket_is_refused():
    text = SessionTicket(bytes(16), bytes(32)).text
    assert ticket.parse(text) is not None
    assert ticket.parse(text[:-1] + "B") is None  # the same 32 bytes, with bits that base64 does not use


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1..",
        "2." + "A" * 22 + "." + "A" * 43,
        "1." + "A" * 22 + "." + "A" * 43 + "\n",
        "1." + "A" * 21 + "." + "A" * 44,
    ],
)
def test_any_other_text_is_refused_as_a_ticket(text):
    assert ticket.parse(text) is None


@given(IDENTIFIERS, SECRETS, SECRETS)
def test_the_public_name_depends_on_the_identifier_alone_and_shows_none_of_it(identifier, one, other):
    names = {SessionTicket(identifier, secret).session_id for secret in (one, other)}
    assert len(names) == 1
    name = names.pop()
    assert len(name) == 24
    assert name not in SessionTicket(identifier, one).text


def test_different_sessions_have_different_names():
    assert (
        SessionTicket(bytes(16), bytes(32)).session_id
        != SessionTicket(b"\x01" + bytes(15), bytes(32)).session_id
    )


def test_a_ticket_does_not_show_itself():
    shown = SessionTicket(b"i" * 16, b"s" * 32)
    assert "iii" not in repr(shown)
    assert "sss" not in repr(shown)
