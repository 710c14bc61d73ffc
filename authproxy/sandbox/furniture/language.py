"""PURE: which of the two languages a reader prefers (RFC 9110 §12.5.4): Slovene unless English is wanted more."""

from __future__ import annotations

from typing import Literal

Language = Literal["sl", "en"]
LANGUAGES: tuple[Language, ...] = ("sl", "en")


def chosen(text: str | None) -> Language | None:
    """The language that somebody has picked; None for anything that is not one of ours."""
    return next((language for language in LANGUAGES if language == text), None)


def preferred(accept_language: str) -> Language:
    """The better of the two by `Accept-Language`; what cannot be read counts for nothing."""
    weights = dict.fromkeys(LANGUAGES, 0.0)
    for part in accept_language.lower().split(","):
        tag, _, parameter = part.partition(";")
        language = chosen(tag.strip().split("-")[0])
        if language is not None:
            weights[language] = max(weights[language], _weight(parameter.strip()))
    return "en" if weights["en"] > weights["sl"] else "sl"


def _weight(parameter: str) -> float:
    if not parameter:
        return 1.0
    try:
        return min(1.0, max(0.0, float(parameter.removeprefix("q=")))) if parameter.startswith("q=") else 0.0
    except ValueError:
        return 0.0
