from __future__ import annotations

from itertools import product

import pytest

from authproxy.web.signed_out import SignedOut, of, parse
from tests.support.session_builders import new_ticket, session_for


@pytest.mark.parametrize(
    ("everywhere", "at_provider", "shown"),
    [*product([True, False], ["asked", "untold", None], [True, False])],
)
def test_what_has_ended_is_read_back_as_it_was_written(everywhere, at_provider, shown):
    ended = SignedOut(everywhere=everywhere, at_provider=at_provider, shown_certificate=shown)
    assert parse(ended.text) == ended


@pytest.mark.parametrize("text", ["", "ha", "ha--", "xa-", "hx-", "haz", "HA-", "<b>"])
def test_any_other_text_says_nothing(text):
    assert parse(text) is None


@pytest.mark.parametrize(
    ("changes", "is_sent_on", "ended"),
    [
        ({}, True, ("asked", False)),
        ({}, False, ("untold", False)),
        ({"id_token": None}, False, (None, False)),
        ({"id_token": None, "method": "acnlb"}, False, (None, True)),
    ],
)
def test_what_has_ended_follows_from_the_session(changes, is_sent_on, ended):
    session = session_for(new_ticket(), **changes)
    signed_out = of(session, everywhere=True, is_sent_on=is_sent_on)
    assert (signed_out.at_provider, signed_out.shown_certificate, signed_out.everywhere) == (*ended, True)


def test_where_nobody_was_signed_in_nothing_has_ended():
    assert of(None, everywhere=True, is_sent_on=False) is None
