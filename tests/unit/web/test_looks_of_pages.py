"""A portal's own colours, font and name of the house: on its pages, and nobody else's."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from authproxy.web.request_context import Colours
from tests.support.pages import ACQ, PAGE

FONT = b"wOF2 and glyphs"
COLOURS = Colours(
    light={"accent": "#7a1f1f", "soft": "#f0e4e4"}, dark={"accent": "#e0a0a0", "soft": "#302020"}
)
ELSEWHERE = {**PAGE, "X-Authproxy-Portal": "b2b"}


async def sheets_of(house, headers=PAGE):
    async with house.asked("GET", "/.authproxy/login", headers=headers) as page:
        return re.findall('rel="stylesheet" href="([^"]+)"', await page.text()), page.headers[
            "Content-Security-Policy"
        ]


async def test_the_colours_of_a_portal_are_read_after_those_of_the_gateway(house):
    house.portals["acq"] = replace(ACQ, colours=COLOURS)
    (gateways, own), policy = await sheets_of(house)

    assert gateways.startswith("/.authproxy/static/pages.css")
    assert "font-src" not in policy
    async with house.asked("GET", own) as sheet:
        assert sheet.content_type == "text/css"
        assert sheet.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert await sheet.text() == (
            ":root { --accent: #7a1f1f; --soft: #f0e4e4; }\n@media (prefers-color-scheme: dark) { :root { "
            "--accent: #e0a0a0; --soft: #302020; } }"
        )
    assert len((await sheets_of(house, ELSEWHERE))[0]) == 1


async def test_the_font_of_a_portal_comes_from_the_folder_of_our_files(house):
    house.portals["acq"] = replace(ACQ, font=FONT)
    (_, own), policy = await sheets_of(house)

    assert "; font-src acq.example.si/.authproxy/static/" in policy
    async with house.asked("GET", own) as sheet:
        place = re.search(r'url\("([^"]+)"\) format\("woff2"\)', await sheet.text())[1]
    async with house.asked("GET", f"/.authproxy/static/{place}") as font:
        assert (await font.read(), font.headers["Content-Type"]) == (FONT, "font/woff2")


@pytest.mark.parametrize("name", ["look.css", "font", "logo"])
async def test_what_a_portal_has_not_is_not_there(house, name):
    house.portals["acq"] = replace(ACQ, colours=COLOURS, font=FONT)
    async with house.asked("GET", f"/.authproxy/static/{name}", headers=ELSEWHERE) as answer:
        assert answer.status == 404


@pytest.mark.parametrize(("language", "name"), [("sl", "Varni &lt;vstop&gt;"), ("en", "Entrance")])
async def test_the_house_has_its_own_name(house, language, name):
    house.portals["acq"] = replace(ACQ, house_names={"sl": "Varni <vstop>", "en": "Entrance"})
    async with house.asked("GET", f"/.authproxy/login?lang={language}") as page:
        head = (await page.text()).partition("<header>")[2].partition("</header>")[0]
        assert f"<span>{name}</span>" in head


async def test_the_icon_has_the_colour_of_the_portal_on_every_page(house):
    house.portals["acq"] = replace(ACQ, colours=COLOURS)
    async with house.asked("GET", "/.authproxy/login") as page:
        places = set(re.findall(r'"(/.authproxy/static/icon\.svg[^"]*)"', await page.text()))
    drawn = ""
    for place in places:
        async with house.asked("GET", place) as icon:
            assert icon.headers["Cache-Control"] == "public, max-age=31536000, immutable"
            drawn = await icon.text()
    assert len(places) == 1
    assert "#7a1f1f" in drawn
    assert "#e0a0a0" in drawn
    async with house.asked("GET", "/.authproxy/static/icon.svg", headers=ELSEWHERE) as icon:
        assert "#7a1f1f" not in await icon.text()


async def test_the_dialog_has_the_colours_of_the_portal_after_its_own(house):
    house.portals["acq"] = replace(ACQ, colours=COLOURS)
    async with house.asked("GET", "/.authproxy/static/session.js") as script:
        own, _, portals = (await script.text()).partition("@media(prefers-color-scheme:dark)")
    assert "#7a1f1f" not in own
    assert (
        portals.index("#8fd0ec")
        < portals.index("dialog { --accent: #7a1f1f;")
        < portals.index("dialog { --accent: #e0a0a0;")
    )
    async with house.asked("GET", "/.authproxy/static/session.js", headers=ELSEWHERE) as script:
        assert "#7a1f1f" not in await script.text()
