from __future__ import annotations

from itertools import product

import pytest

from authproxy.web.signed_out import SignedOut, parse


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
