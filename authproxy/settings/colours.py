"""PURE: the contrast of colours (WCAG 2.2, SC 1.4.3), and from the one colour of `pages` those that our pages
are drawn in.

A colour is `#rrggbb`. On white paper the given colour is used as it is, so it needs enough contrast there. On
dark paper it is made as much lighter as it takes, which is possible with every colour.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

PAPER: Final = "#ffffff"
DARK_PAPER: Final = "#18232a"
DARK_INK: Final = "#0a1d27"
"""The sheets of our pages and what is written on a light button, as `web/static/pages.css` has them."""

ENOUGH: Final = 4.5
"""What SC 1.4.3 asks of text."""
_EASY: Final = 7.0
_STEPS: Final = 50


def contrast(one: str, other: str) -> float:
    """From 1 (the same) to 21 (black and white)."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def dark_enough(colour: str) -> str:
    """The nearest shade of the colour that can be read on white; the colour itself if it can."""
    return _towards("#000000", colour, lambda shade: contrast(shade, PAPER) >= ENOUGH)


def shades(colour: str) -> tuple[dict[str, str], dict[str, str]]:
    """What the style sheet calls `accent`, `accent-strong`, `on-accent` and `soft`, on white and on dark
    paper.

    Every text on its ground has enough contrast if the colour has it on white."""
    light = _drawn(colour, paper=PAPER, ink="#000000", on_accent=PAPER)
    bright = _towards("#ffffff", colour, lambda shade: contrast(shade, DARK_PAPER) >= _EASY)
    return light, _drawn(bright, paper=DARK_PAPER, ink="#ffffff", on_accent=DARK_INK)


def _drawn(accent: str, *, paper: str, ink: str, on_accent: str) -> dict[str, str]:
    # A tint of the colour, as strong as the colour itself can still be read on.
    tints = (_mixed(paper, accent, part) for part in (0.12, 0.08, 0.04))
    soft = next((tint for tint in tints if contrast(accent, tint) >= ENOUGH), paper)
    return {"accent": accent, "accent-strong": _mixed(accent, ink, 0.3), "on-accent": on_accent, "soft": soft}


def _towards(end: str, colour: str, is_right: Callable[[str], bool]) -> str:
    """The first step on the way from the colour that is right; the end if none is."""
    steps = (_mixed(colour, end, step / _STEPS) for step in range(_STEPS + 1))
    return next((shade for shade in steps if is_right(shade)), end)


def _mixed(one: str, other: str, part: float) -> str:
    """So much of the other one in the first."""
    return "#" + "".join(
        f"{round(a + (b - a) * part):02x}" for a, b in zip(_parts(one), _parts(other), strict=True)
    )


def _parts(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _luminance(colour: str) -> float:
    red, green, blue = (_linear(part / 255) for part in _parts(colour))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else float(((part + 0.055) / 1.055) ** 2.4)
