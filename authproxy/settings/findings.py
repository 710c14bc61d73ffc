"""PURE: what can be said about a settings file: findings with file, line, key, what was read and what is
valid.

Values of secrets, and of keys that nobody knows (a misspelt secret), are never part of a finding.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Literal

KeyPath = tuple[str | int, ...]
Severity = Literal["error", "warning"]

_PASSWORD_IN_URL = re.compile(r"(?<=://)[^/@\s]*@")
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_LONGEST_SHOWN = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """What is wrong with a key, before it is known where that key was written."""

    path: KeyPath
    problem: str
    """Follows the key in a sentence: `is missing`, `unknown key; did you mean "upstream"?`."""
    read: str | None = None
    valid: str = ""
    severity: Severity = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """`file` is the settings file or `environment NAME`; `line` counts from 1 and is None where there are no
    lines."""

    file: str
    line: int | None
    key: str
    problem: str
    read: str | None
    valid: str
    severity: Severity

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        subject = f"{self.key}: " if self.key else ""
        mark = "warning: " if self.severity == "warning" else ""
        asides = [
            f"read: {self.read}" if self.read is not None else "",
            f"valid: {self.valid}" if self.valid else "",
        ]
        aside = "; ".join(filter(None, asides))
        return f"{place}: {mark}{subject}{self.problem}{f' ({aside})' if aside else ''}"

    def as_json(self) -> dict[str, object]:
        return asdict(self)


class SettingsInvalid(Exception):  # noqa: N818
    """The settings cannot be used. `findings` holds every error and warning, in the order of the file."""

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        super().__init__("\n".join(map(str, findings)))
        self.findings = findings


class SettingsUnreadable(SettingsInvalid):
    """There is no settings file to speak of: it is missing, a directory, or not readable."""


def dotted(path: KeyPath) -> str:
    """The key as people write it: `portals.acq.routes[0].path`, `rekono.levels."http://…"`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += ("." if text else "") + (part if _PLAIN_KEY.fullmatch(part) else f'"{shown(part)}"')
    return text


def shown(value: object) -> str:
    """A value as it may be printed: one line, not long, no password in a URL."""
    if isinstance(value, dict):
        return "keys and values"
    if isinstance(value, list | tuple):
        return "a list"
    text = _PASSWORD_IN_URL.sub("…@", str(value).strip())
    text = "".join(character if character.isprintable() else "?" for character in text)
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 1] + "…"
