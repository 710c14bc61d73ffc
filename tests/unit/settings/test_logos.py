from __future__ import annotations

import pytest

from authproxy.settings.checks.logos import LARGEST, PNG, UnfitLogo, check

DRAWING = (
    '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 9 '
    '9">{}</svg>'
)


def drawing(content):
    return DRAWING.format(content).encode()


@pytest.mark.parametrize(
    "octets",
    [
        PNG + b"pixels",
        PNG + bytes(LARGEST - len(PNG)),
        drawing('<path d="M0 0h9v9z" fill="#0b4f6c"/>'),
        drawing("<style>.a { fill: url(#b) }</style><path class='a' d='M0 0'/>"),
        drawing('<defs><linearGradient id="b"/></defs><use href="#b"/><use xlink:href="#b" fill="url(#b)"/>'),
        b'<?xml version="1.0" encoding="utf-8"?>' + drawing("<title>Sto let č</title>"),
    ],
)
def test_what_only_draws_is_a_logo(octets):
    check(octets)
    assert len(octets) <= LARGEST


@pytest.mark.parametrize(
    ("octets", "complaint"),
    [
        (PNG + bytes(LARGEST), f"has {LARGEST + len(PNG)} bytes"),
        (b"", "neither PNG nor SVG"),
        (b"GIF89a", "neither PNG nor SVG"),
        (b"<html/>", "neither PNG nor SVG"),
        (b'<svg width="1"/>', "neither PNG nor SVG"),
        (b'<?xml version="1.0" encoding="klingon"?>' + drawing(""), "neither PNG nor SVG"),
        (b'<!doctype svg [<!entity a "b">]>' + drawing("&a;"), "document type"),
        (b'<!ENTITY a "b">', "document type"),
        (drawing("<script>alert(1)</script>"), "<script>"),
        (drawing("<ScRipt/>"), "<script>"),
        (
            drawing('<foreignObject><p xmlns="http://www.w3.org/1999/xhtml"/></foreignObject>'),
            "<foreignobject>",
        ),
        (drawing('<image href="https://example.si/x.png"/>'), "<image>"),
        (drawing('<g onload="alert(1)"/>'), "`onload`"),
        (drawing('<use xlink:href="https://example.si/x.svg#a"/>'), "`href`"),
        (drawing("<path style=\"fill: url( 'https://example.si/')\"/>"), "`style`"),
        (drawing("<style>@import 'https://example.si/'</style>"), "a style from elsewhere"),
    ],
)
def test_what_does_more_or_is_no_picture_is_refused_with_the_cause(octets, complaint):
    with pytest.raises(UnfitLogo, match=complaint):
        check(octets)


def test_a_settings_file_with_a_good_logo_is_all_right(workshop):
    workshop.write("logo.svg", drawing('<path d="M0 0"/>'))

    reading = workshop.read(
        lambda settings: settings["portals"]["acq"].update(logo_file="logo.svg", telephone="+386 1 234 56 78")
    )

    assert reading.findings == ()
    assert reading.settings.portals["acq"].logo_file == str(workshop.directory / "logo.svg")


@pytest.mark.parametrize(
    ("key", "value", "complaint"),
    [
        ("logo_file", "nowhere.svg", "cannot be read"),
        ("logo_file", "client-secret", "neither PNG nor SVG"),
        ("help_url", "javascript:alert(1)", "is no link to a page"),
        ("telephone", "call me", "telephone"),
    ],
)
def test_a_portals_look_is_checked_with_the_rest(workshop, key, value, complaint):
    finding = workshop.finding(lambda settings: settings["portals"]["acq"].update({key: value}))

    assert complaint in str(finding)
    assert finding.severity == "error"
