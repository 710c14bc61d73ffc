"""PURE: which of the two languages a reader prefers (RFC 9110 §12.5.4). It is Slovene unless English has a
higher weight."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Language = Literal["sl", "en"]
Unit = Literal["minutes", "seconds", "seconds ago"]
LANGUAGES: tuple[Language, ...] = ("sl", "en")

_SLOVENE: Mapping[Unit, tuple[str, str, str, str]] = {
    "minutes": ("minuto", "minuti", "minute", "minut"),
    "seconds": ("sekundo", "sekundi", "sekunde", "sekund"),
    "seconds ago": ("sekundo", "sekundama", "sekundami", "sekundami"),
}
"""Forms for one, for two, for three and four, and for more; in the case after "čez" (minutes, seconds) or
after "pred" (seconds ago)."""


def chosen(text: str | None) -> Language | None:
    """The language that `text` names; None if it is not one of ours."""
    return next((language for language in LANGUAGES if language == text), None)


def preferred(accept_language: str) -> Language:
    """The language with the higher weight in `Accept-Language`. Unreadable parts have weight 0."""
    weights = dict.fromkeys(LANGUAGES, 0.0)
    for part in accept_language.lower().split(","):
        tag, _, parameter = part.partition(";")
        language = chosen(tag.strip().split("-")[0])
        if language is not None:
            weights[language] = max(weights[language], _weight(parameter.strip()))
    return "en" if weights["en"] > weights["sl"] else "sl"


def span(language: Language, count: int, unit: Unit) -> str:
    """A number with its unit, in the case that Slovene needs after "čez" or "pred"."""
    if language == "en":
        word = unit.partition(" ")[0]
        return f"{count} {word[:-1] if count == 1 else word}"
    return f"{count} {_SLOVENE[unit][{1: 0, 2: 1, 3: 2, 4: 2}.get(count % 100, 3)]}"


def _weight(parameter: str) -> float:
    if not parameter:
        return 1.0
    try:
        return min(1.0, max(0.0, float(parameter.removeprefix("q=")))) if parameter.startswith("q=") else 0.0
    except ValueError:
        return 0.0
