"""The search for barriers itself: of pages that differ in their words alone one is looked at, and every other
difference is looked at again."""

from __future__ import annotations

import pytest

from tests.support.browser import barriers_of

pytestmark = [pytest.mark.needs("chromium-headless-shell"), pytest.mark.asyncio(loop_scope="session")]
PAGE = """<!doctype html><html lang="{lang}"><head><title>{words}</title><style>body {{ color: {colour}; background: #fff; }}</style></head>
<body><main><h1>{words}</h1><form><label for="code">{label}</label><input id="code" name="code"></form></main></body></html>"""


async def looked_at(context, **changes):
    """What was found, and whether axe was asked at all."""
    page = await context.new_page()
    await page.set_content(
        PAGE.format(**{"lang": "sl", "words": "Vnesite kodo", "label": "Koda", "colour": "#000", **changes})
    )
    found = await barriers_of(page)
    return found, await page.evaluate("typeof axe === 'object'")


async def test_pages_that_differ_in_their_words_alone_are_looked_at_once_and_all_others_again(chromium):
    context = await chromium.new_context()
    assert await looked_at(context) == ([], True)
    assert await looked_at(context, lang="en", words="Enter the code", label="Code") == ([], False)
    found, is_asked = await looked_at(context, label=" ")
    assert is_asked
    assert any(barrier.startswith("label") for barrier in found)
    found, is_asked = await looked_at(context, colour="#aaa")
    assert is_asked
    assert any(barrier.startswith("color-contrast") for barrier in found)
