"""PURE: the contrast of colours (WCAG 2.2, SC 1.4.3), and the colours of our pages, derived from
`pages.colour`.

A colour is `#rrggbb`. Light pages use the given colour as it is, so it needs enough contrast on white. Dark
pages use a lighter shade of it; every colour has one with enough contrast.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

PAPER: Final = "#ffffff"
DARK_PAPER: Final = "#18232a"
DARK_INK: Final = "#0a1d27"
"""The grounds of our pages, and the text on a light button, as in `web/static/pages.css`."""

ENOUGH: Final = 4.5
"""What SC 1.4.3 demands for text."""
_EASY: Final = 7.0
_STEPS: Final = 50


def contrast(colour: str, other: str) -> float:
    """From 1 (the same) to 21 (black and white)."""
    lighter, darker = sorted((_luminance(colour), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def dark_enough(colour: str) -> str:
    """The nearest shade of the colour that can be read on white: the colour itself if possible."""
    return _towards("#000000", colour, lambda shade: contrast(shade, PAPER) >= ENOUGH)


def shades(colour: str) -> tuple[dict[str, str], dict[str, str]]:
    """The style sheet's `accent`, `accent-strong`, `on-accent` and `soft`, for light and for dark pages.

    If the colour has enough contrast on white, every text has enough contrast on its ground."""
    light = _drawn(colour, paper=PAPER, ink="#000000", on_accent=PAPER)
    bright = _towards("#ffffff", colour, lambda shade: contrast(shade, DARK_PAPER) >= _EASY)
    return light, _drawn(bright, paper=DARK_PAPER, ink="#ffffff", on_accent=DARK_INK)


def _drawn(accent: str, *, paper: str, ink: str, on_accent: str) -> dict[str, str]:
    # The strongest tint of the colour on which the colour itself can still be read.
    tints = (_mixed(paper, accent, part) for part in (0.12, 0.08, 0.04))
    soft = next((tint for tint in tints if contrast(accent, tint) >= ENOUGH), paper)
    return {"accent": accent, "accent-strong": _mixed(accent, ink, 0.3), "on-accent": on_accent, "soft": soft}


def _towards(end: str, colour: str, is_right: Callable[[str], bool]) -> str:
    """The first step from the colour to the end that is right; the end if none is."""
    steps = (_mixed(colour, end, step / _STEPS) for step in range(_STEPS + 1))
    return next((shade for shade in steps if is_right(shade)), end)


def _mixed(colour: str, other: str, part: float) -> str:
    """The first colour with this part of the other one."""
    return "#" + "".join(
        f"{round(a + (b - a) * part):02x}" for a, b in zip(_parts(colour), _parts(other), strict=True)
    )


def _parts(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _luminance(colour: str) -> float:
    red, green, blue = (_linear(part / 255) for part in _parts(colour))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else float(((part + 0.055) / 1.055) ** 2.4)
