"""PURE: findings about a settings file, with file, line, key, what was read and what is valid.

A finding never contains the value of a secret, or of an unknown key, which may be a misspelt secret.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Literal

KeyPath = tuple[str | int, ...]
Severity = Literal["error", "warning"]

_PASSWORD_IN_URL = re.compile(r"(?<=://)\S*@")
"""Up to the last `@`: a password may hold one, or a slash, which its writer should have escaped."""
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_LONGEST_SHOWN = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """A fault of a key. `sources.py` makes a finding of it, with the place where the key was written."""

    path: KeyPath
    problem: str
    """The rest of a sentence that begins with the key: `is missing`, `is no URL`."""
    read: str | None = None
    valid: str = ""
    severity: Severity = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """`file` is the settings file, or `environment NAME`. `line` counts from 1; None if there are no
    lines."""

    file: str
    line: int | None
    key: str
    problem: str
    read: str | None
    valid: str
    severity: Severity

    def __str__(self) -> str:
        location = self.file if self.line is None else f"{self.file}:{self.line}"
        subject = f"{self.key}: " if self.key else ""
        mark = "warning: " if self.severity == "warning" else ""
        asides = [
            f"read: {self.read}" if self.read is not None else "",
            f"valid: {self.valid}" if self.valid else "",
        ]
        aside = "; ".join(filter(None, asides))
        return f"{location}: {mark}{subject}{self.problem}{f' ({aside})' if aside else ''}"

    def as_json(self) -> dict[str, object]:
        return asdict(self)


class SettingsInvalid(Exception):  # noqa: N818
    """The settings cannot be used. `findings` holds every error and warning, in the order of the file."""

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        super().__init__("\n".join(map(str, findings)))
        self.findings = findings


class SettingsUnreadable(SettingsInvalid):
    """The settings file cannot be read: it is missing, a directory, or without permission."""


def dotted(path: KeyPath) -> str:
    """The key in the form `portals.acq.routes[0].path` or `rekono.levels."http://…"`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += ("." if text else "") + (part if _PLAIN_KEY.fullmatch(part) else f'"{shown(part)}"')
    return text


def shown(value: object) -> str:
    """A value as it may be printed: one short line, without the password of a URL."""
    if isinstance(value, dict):
        return "keys and values"
    if isinstance(value, list | tuple):
        return "a list"
    text = _PASSWORD_IN_URL.sub("…@", str(value).strip())
    text = "".join(character if character.isprintable() else "?" for character in text)
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 1] + "…"
