"""The static files: the script and its words, the portal's logo, and what all of it weighs."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from authproxy.web.request_context import Logo
from tests.support.pages import ACQ, FORM, PAGE, TICKET

PNG = b"\x89PNG\r\n\x1a\n and some pixels"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"><path d="M0 0h1v1z"/></svg>'
LARGEST_LOGO = 16 * 1024
PAGE_BUDGET = 30 * 1024


def with_logo(house, body, media_type):
    house.portals["acq"] = replace(ACQ, logo=Logo(body=body, media_type=media_type))


async def logo_of(house):
    async with house.asked("GET", "/.authproxy/login") as page:
        return re.search('src="(/.authproxy/static/logo[^"]*)"', await page.text())[1]


@pytest.mark.parametrize(("body", "media_type"), [(SVG, "image/svg+xml"), (PNG, "image/png")])
async def test_the_portals_logo_stands_on_its_pages_and_can_do_nothing(house, body, media_type):
    with_logo(house, body, media_type)

    async with house.asked("GET", await logo_of(house)) as answer:
        assert (await answer.read(), answer.content_type) == (body, media_type)
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert (
            answer.headers["Content-Security-Policy"]
            == "default-src 'none'; style-src 'unsafe-inline'; sandbox"
        )
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        tag = answer.headers["ETag"]
    async with house.asked(
        "GET", "/.authproxy/static/logo", headers={**PAGE, "If-None-Match": tag}
    ) as unchanged:
        assert (unchanged.status, unchanged.headers["Cache-Control"]) == (304, "no-cache")


async def test_a_logo_is_its_portals_alone(house):
    with_logo(house, SVG, "image/svg+xml")

    async with house.asked(
        "GET", "/.authproxy/static/logo", headers={**PAGE, "X-Authproxy-Portal": "b2b"}
    ) as answer:
        assert answer.status == 404
    async with house.asked("GET", "/.authproxy/login", headers={**PAGE, "X-Authproxy-Portal": "b2b"}) as page:
        assert "static/icon.svg" in (await page.text()).partition("<header>")[2].partition("</header>")[0]


async def words_of_the_script(house):
    async with house.asked("GET", "/.authproxy/static/session.js") as answer:
        text = await answer.text()

        assert answer.content_type in {"text/javascript", "application/javascript"}
    return json.loads(re.search(r"const words = (\{.*\});", text)[1])


async def test_the_script_speaks_both_languages_with_the_words_of_the_catalogue(house):
    words = await words_of_the_script(house)

    assert words["sl"]["extend"] == "Podaljšaj sejo"
    assert words["sl"]["seconds"] == {
        "one": "Seja bo potekla čez {n} sekundo.",
        "two": "Seja bo potekla čez {n} sekundi.",
        "few": "Seja bo potekla čez {n} sekunde.",
        "other": "Seja bo potekla čez {n} sekund.",
    }
    assert words["en"]["seconds"]["one"] == "Your session will end in {n} second."
    assert words["en"]["seconds"]["other"] == "Your session will end in {n} seconds."
    assert words["sl"].keys() == words["en"].keys()


async def everything_for(house, text: str) -> tuple[int, int]:
    """How many files a page needs, and the bytes of all that goes over the line to a browser that has none of
    them."""
    needed = set(re.findall(r'(?:src|href)="(/\.authproxy/static/[^"]+)"', text))
    total = len(text.encode())
    for path in needed:
        async with house.asked("GET", path) as answer:
            total += int(answer.headers["Content-Length"])
    return len(needed), total


async def test_the_largest_pages_with_the_largest_logo_and_all_else_they_need_stay_within_their_budget(house):
    with_logo(house, SVG.replace(b"/>", b"/>" + b" " * (LARGEST_LOGO - len(SVG))), "image/svg+xml")
    for method in ("totp", "push", "recovery"):
        house.enrolling.enrols(method)
    ticket = f"__Host-authproxy={TICKET}"
    async with house.asked("GET", "/.authproxy/session", cookies=ticket) as page:
        files, weight = await everything_for(house, await page.text())
    async with house.asked(
        "POST", "/.authproxy/session/methods", headers=FORM, cookies=ticket, body="method=totp"
    ) as page:
        of_drawing, weight_of_drawing = await everything_for(house, await page.text())

    assert (files, of_drawing) == (4, 4)
    assert weight <= PAGE_BUDGET
    assert weight_of_drawing <= PAGE_BUDGET


async def test_a_browser_that_unpacks_nothing_gets_the_same_file(house):
    for name in ("pages.css", "session.js", "waiting.js", "icon.svg"):
        plain = {**PAGE, "Accept-Encoding": "identity"}
        async with (
            house.asked("GET", f"/.authproxy/static/{name}") as packed,
            house.asked("GET", f"/.authproxy/static/{name}", headers=plain) as whole,
        ):
            assert await packed.read() == await whole.read()
            assert (packed.headers.get("Content-Encoding"), whole.headers.get("Content-Encoding")) == (
                "gzip",
                None,
            )
            assert packed.headers["Vary"] == whole.headers["Vary"] == "Accept-Encoding"
            assert packed.headers["ETag"] != whole.headers["ETag"]


async def test_pages_are_never_compressed(house):
    async with house.asked("GET", "/.authproxy/session", cookies=f"__Host-authproxy={TICKET}") as answer:
        assert "Content-Encoding" not in answer.headers
