from __future__ import annotations

import pytest

from authproxy.sandbox.furniture.language import chosen, preferred


@pytest.mark.parametrize(
    ("accept_language", "language"),
    [
        ("", "sl"), ("*", "sl"), ("de", "sl"), ("en", "en"), ("EN-gb, sl;q=0.5", "en"), ("sl, en", "sl"), ("en;q=0.4, sl;q=0.5", "sl"),
        ("en;q=0.5,sl;q=0.4", "en"), ("en;q=x", "sl"), ("en;level=1", "sl"), ("en;q=7, sl", "sl"), ("en;q=0", "sl"), ("en;q=nan", "sl"),
    ],
)  # fmt: skip
def test_slovene_is_spoken_unless_english_is_wanted_more(accept_language, language):
    assert preferred(accept_language) == language


@pytest.mark.parametrize(("text", "language"), [("sl", "sl"), ("en", "en"), ("de", None), ("", None), (None, None)])
def test_only_our_two_languages_can_be_chosen(text, language):
    assert chosen(text) == language
