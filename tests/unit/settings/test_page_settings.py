"""What the pages look like: the settings `pages`, their checks, and what a portal sees of them."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.access.routes import Portal
from authproxy.bootstrap import presentations
from authproxy.settings import colours
from authproxy.web.request_context import NO_PORTAL

KNOWN = Portal(portal_id="acq", origin="https://acq.example.si", host="acq.example.si", routes=())
FONT = b"wOF2 and glyphs"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"/>'
COLOURS = st.integers(min_value=0, max_value=0xFFFFFF).map("#{:06x}".format)


def pages(of_portal=None, **of_all):
    def spoil(settings):
        settings["pages"] = of_all
        settings["portals"]["acq"]["pages"] = of_portal or {}

    return spoil


def presented(workshop, spoil):
    reading = workshop.read(spoil)
    assert reading.findings == ()
    return presentations.presentation(
        KNOWN, reading.settings.portals["acq"], reading.settings.pages, ("rekono",)
    )


def test_a_portal_has_what_is_its_own_and_for_the_rest_what_all_have(workshop):
    logo, font = workshop.write("logo.svg", SVG), workshop.write("font.woff2", FONT)
    everywhere = {
        "name": {"sl": "Vstop", "en": "Entrance"},
        "colour": "#0B4F6C",
        "contact": "a@example.si",
        "telephone": "+386 1 234 56 78",
    }
    seen = presented(
        workshop,
        pages(
            {"colour": "#7a1f1f", "contact": "b@example.si"},
            **everywhere,
            logo_file=str(logo),
            font_file=str(font),
        ),
    )

    assert (seen.house_name("sl"), seen.house_name("en")) == ("Vstop", "Entrance")
    assert (seen.contact, seen.telephone) == ("b@example.si", "+386 1 234 56 78")
    assert seen.colours.light["accent"] == "#7a1f1f"
    assert (seen.logo.body, seen.font) == (SVG, FONT)


def test_the_keys_that_portals_had_before_go_on_counting(workshop):
    def spoil(settings):
        settings["pages"] = {"contact": "a@example.si"}
        settings["portals"]["acq"]["contact"] = "b@example.si"

    assert presented(workshop, spoil).contact == "b@example.si"


def test_where_no_portal_is_known_pages_look_as_set_for_all(workshop):
    assert presentations.no_portal(workshop.read().settings.pages) is NO_PORTAL
    seen = presentations.no_portal(
        workshop.read(pages({"colour": "#7a1f1f"}, colour="#0b4f6c", name="Vstop")).settings.pages
    )
    assert (seen.portal_id, seen.house_name("en"), seen.colours.light["accent"]) == ("", "Vstop", "#0b4f6c")


@pytest.mark.parametrize(
    ("spoil", "key", "said"),
    [
        (pages(colour="#ff8800"), "pages.colour", "its contrast is 2.39, and 4.5 is needed"),
        (pages({"colour": "#777777"}), "portals.acq.pages.colour", "its contrast is 4.48, and 4.5 is needed"),
        (pages(colour="red"), "pages.colour", "is not valid"),
        (pages(colour="#0b4f6c;}"), "pages.colour", "is not valid"),
        (pages(telephone="call us"), "pages.telephone", "is not valid"),
        (pages(font_file="/nowhere.woff2"), "pages.font_file", "cannot be read"),
        (pages(logo_file="/nowhere.svg"), "pages.logo_file", "cannot be read"),
        (pages(logo="x"), "pages.logo", 'did you mean "logo_file"?'),
    ],
)
def test_a_look_that_cannot_be_had_is_an_error(workshop, spoil, key, said):
    finding = workshop.finding(spoil)
    assert (finding.key, finding.severity) == (key, "error")
    assert said in finding.problem


@pytest.mark.parametrize(("body", "said"), [(b"OTTO", "is no font"), (FONT + bytes(65536), "bytes")])
def test_a_font_that_browsers_would_not_take_or_wait_for_is_an_error(workshop, body, said):
    finding = workshop.finding(pages(font_file=str(workshop.write("font", body))))
    assert (finding.key, said in finding.problem) == ("pages.font_file", True)


def test_the_same_thing_in_two_places_is_an_error(workshop):
    def spoil(settings):
        settings["portals"]["acq"] |= {"contact": "a@example.si", "pages": {"contact": "b@example.si"}}

    assert workshop.finding(spoil).key == "portals.acq.pages.contact"


def test_a_colour_that_is_too_light_is_told_the_nearest_that_is_not(workshop):
    offered = re.search("such as `(#[0-9a-f]{6})`", str(workshop.finding(pages(colour="#ff8800"))))[1]
    assert colours.ENOUGH <= colours.contrast(offered, colours.PAPER) < 5
    assert workshop.read(pages(colour=offered)).findings == ()


@pytest.mark.parametrize(
    ("one", "other", "ratio"),
    [("#ffffff", "#000000", 21), ("#000000", "#000000", 1), ("#767676", "#ffffff", 4.54)],
)
def test_contrast_is_that_of_wcag(one, other, ratio):
    assert colours.contrast(one, other) == pytest.approx(ratio, abs=0.01)


@given(COLOURS)
def test_every_colour_that_passes_can_be_read_wherever_it_stands(colour):
    for paper, drawn in zip(
        (colours.PAPER, colours.DARK_PAPER), colours.shades(colours.dark_enough(colour)), strict=True
    ):
        on_buttons = [
            colours.contrast(drawn["on-accent"], drawn[name]) for name in ("accent", "accent-strong")
        ]
        as_text = [
            colours.contrast(drawn[name], ground)
            for name in ("accent", "accent-strong")
            for ground in (paper, drawn["soft"])
        ]
        assert min(on_buttons + as_text) >= colours.ENOUGH


def test_the_style_sheet_is_drawn_on_the_paper_that_is_reckoned_with():
    style = files("authproxy.web").joinpath("static", "pages.css").read_text()
    light, dark = style.partition("@media (prefers-color-scheme: dark)")[::2]
    assert "--sheet: #fff;" in light
    assert f"--sheet: {colours.DARK_PAPER};" in dark
    assert f"--on-accent: {colours.DARK_INK};" in dark
