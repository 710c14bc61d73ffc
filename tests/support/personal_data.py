"""What config/personal-data.md says about the kinds of keys in the store."""

from __future__ import annotations

import re
from pathlib import Path

DOCUMENT = Path(__file__).parents[2] / "config/personal-data.md"


def kind_of(key: bytes) -> str:
    return key.decode().partition("}:")[2].partition(":")[0]


def may_stay() -> set[str]:
    """The kinds that name nobody, and those that expire, are moved or are about something else: they may be
    there when somebody was forgotten."""
    text = DOCUMENT.read_text()
    kinds = set(re.findall(r"^\| `([a-z-]+)` \|.*\| (?:expires|moves|stays)[^|]* \|$", text, re.MULTILINE))
    [sentence] = re.findall(r"^These kinds hold nothing about people: (.*)\.$", text, re.MULTILINE)
    return kinds | set(re.findall(r"`([a-z-]+)`", sentence))
