from __future__ import annotations

import pytest

from authproxy.sandbox.web_pages.language import chosen, preferred, span


@pytest.mark.parametrize(
    ("accept_language", "language"),
    [
        ("", "sl"),
        ("*", "sl"),
        ("de", "sl"),
        ("en", "en"),
        ("EN-gb, sl;q=0.5", "en"),
        ("sl, en", "sl"),
        ("en;q=0.4, sl;q=0.5", "sl"),
        ("en;q=0.5,sl;q=0.4", "en"),
        ("en;q=x", "sl"),
        ("en;level=1", "sl"),
        ("en;q=7, sl", "sl"),
        ("en;q=0", "sl"),
        ("en;q=nan", "sl"),
    ],
)
def test_slovene_is_spoken_unless_english_is_wanted_more(accept_language, language):
    assert preferred(accept_language) == language


@pytest.mark.parametrize(
    ("text", "language"), [("sl", "sl"), ("en", "en"), ("de", None), ("", None), (None, None)]
)
def test_only_our_two_languages_can_be_chosen(text, language):
    assert chosen(text) == language


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (1, ("1 minuto", "1 sekundo", "1 sekundo", "1 minute", "1 second")),
        (2, ("2 minuti", "2 sekundi", "2 sekundama", "2 minutes", "2 seconds")),
        (3, ("3 minute", "3 sekunde", "3 sekundami", "3 minutes", "3 seconds")),
        (104, ("104 minute", "104 sekunde", "104 sekundami", "104 minutes", "104 seconds")),
        (5, ("5 minut", "5 sekund", "5 sekundami", "5 minutes", "5 seconds")),
        (0, ("0 minut", "0 sekund", "0 sekundami", "0 minutes", "0 seconds")),
    ],
)
def test_spans_of_time_have_the_forms_of_their_language(count, words):
    slovene = (span("sl", count, "minutes"), span("sl", count, "seconds"), span("sl", count, "seconds ago"))
    assert (*slovene, span("en", count, "minutes"), span("en", count, "seconds ago")) == words
