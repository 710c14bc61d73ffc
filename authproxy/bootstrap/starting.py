"""Why a gateway cannot start, in one line for the operator."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

from authproxy.edge.sockets import CannotListen
from authproxy.settings.schema import Settings
from authproxy.telemetry.logging import logger


class CannotStart(Exception):  # noqa: N818
    """The gateway cannot start. The message is one line that says what to do, and holds no secret."""


def in_one_line(error: Exception, settings: Settings) -> str:
    """What is wrong, beginning with the key of the setting where that is known."""
    if isinstance(error, CannotListen | ValueError):
        return _first_line(str(error)) or type(error).__name__
    if isinstance(error, OSError):
        reason = error.strerror or _first_line(str(error)) or type(error).__name__
        if error.filename is None:
            return reason
        file = str(error.filename)
        key = next((key for key, value in _texts("", settings) if value == file), None)
        return f"{key}: {file}: {reason}" if key else f"{file}: {reason}"
    # Nobody expected it. The log says where it came from.
    logger("bootstrap").error("start.failed", exc_info=error)
    return f"an unexpected {type(error).__name__} (the log has its place in the program)"


def _texts(path: str, value: object) -> Iterator[tuple[str, str]]:
    """Every text in the settings with its key."""
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
