"""Errors in one line for the operator: why the gateway cannot start, or a command has failed."""

from __future__ import annotations

import dataclasses
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path

from authproxy.settings.schema import Settings

_PACKAGE = Path(__file__).parents[1]


class CannotStart(Exception):  # noqa: N818
    """The gateway cannot start. The message is one line that says what to do, and holds no secret."""


class Unusable(ValueError):  # noqa: N818
    """The file or value that a setting names cannot be used. The message begins with the key."""


def in_one_line(error: Exception, settings: Settings | None = None) -> str:
    """The error; it begins with the key of the setting if the key is known."""
    if type(error).__module__.partition(".")[0] == __package__.partition(".")[0]:
        # Our own errors are written for operators.
        return _first_line(str(error)) or type(error).__name__
    if isinstance(error, OSError):
        reason = error.strerror or type(error).__name__
        if error.filename is None:
            return reason
        file = str(error.filename)
        key = next((key for key, value in _texts("", settings) if value == file), None)
        return f"{key}: {file}: {reason}" if key else f"{file}: {reason}"
    # The text of an unexpected error may contain a secret: only its type and origin are shown.
    return f"unexpected {type(error).__name__} at {_origin(error)}"


def _origin(error: Exception) -> str:
    """The last line of our own code in the traceback."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).is_relative_to(_PACKAGE)
    ]
    return (
        f"{Path(frames[-1].filename).relative_to(_PACKAGE.parent)}:{frames[-1].lineno}"
        if frames
        else "an unknown place"
    )


def _texts(path: str, value: object) -> Iterator[tuple[str, str]]:
    """Every text of the settings, with its key."""
    if isinstance(value, str):
        yield path, value
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for member in dataclasses.fields(value):
            yield from _texts(f"{path}.{member.name}" if path else member.name, getattr(value, member.name))
    elif isinstance(value, Mapping):
        for name, member in value.items():
            yield from _texts(f"{path}.{name}", member)


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0]
