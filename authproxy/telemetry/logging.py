"""Log lines: one JSON object per line on standard output, for our own events and for those of libraries (ASVS
5.0 V16.2).

A value cannot forge a line: the JSON encoder escapes everything outside printable ASCII.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from authproxy.telemetry.redaction import cleaned

_context: ContextVar[Mapping[str, object]] = ContextVar("log_context", default=MappingProxyType({}))
_traceback_of: Final = logging.Formatter().formatException


class EventLogger:
    """Logs events with fields. An event is never an f-string. The field `exc_info` is an exception, or True
    for the one that is being handled."""

    __slots__ = ("_logger",)

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def debug(self, event: str, **fields: Any) -> None:
        self._log(logging.DEBUG, event, fields)

    def info(self, event: str, **fields: Any) -> None:
        self._log(logging.INFO, event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        self._log(logging.WARNING, event, fields)

    def error(self, event: str, **fields: Any) -> None:
        self._log(logging.ERROR, event, fields)

    def exception(self, event: str, **fields: Any) -> None:
        """An error, with the exception that is being handled."""
        self._log(logging.ERROR, event, {"exc_info": True, **fields})

    def _log(self, level: int, event: str, fields: dict[str, Any]) -> None:
        exc_info = fields.pop("exc_info", None)
        # The record's line is that of the caller of `warning` or its like.
        self._logger.log(level, event, exc_info=exc_info, extra={"fields": fields}, stacklevel=3)


def logger(name: str) -> EventLogger:
    """A logger for events: `logger("web").warning("noun.past_participle", key=value)`."""
    return EventLogger(name)


@contextmanager
def bound(**fields: object) -> Iterator[None]:
    """Adds the fields to all log lines and audit events of what runs inside the block."""
    before = _context.set({**_context.get(), **fields})
    try:
        yield
    finally:
        _context.reset(before)


def context() -> Mapping[str, object]:
    """What is bound here."""
    return _context.get()


@contextmanager
def silence() -> Iterator[None]:
    """Nothing is logged inside the block, in any thread."""
    before = logging.root.manager.disable
    logging.disable()
    try:
        yield
    finally:
        logging.disable(before)


def configure(level: str, *, clock: Callable[[], datetime], write: Callable[[str], object]) -> None:
    """Passes every event of at least `level` to `write` as a whole line, including events of the standard
    library's loggers. `write` must neither wait nor raise, because any code may log."""
    lines = _Lines(write, clock)
    lines.addFilter(_without_quotation)
    root = logging.getLogger()
    root.handlers[:] = [lines]
    root.setLevel(level.upper())
    logging.captureWarnings(capture=True)


class _Lines(logging.Handler):
    def __init__(self, write: Callable[[str], object], clock: Callable[[], datetime]) -> None:
        super().__init__()
        self._write = write
        self._clock = clock

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except Exception:  # noqa: BLE001  (a value that cannot be formatted must not break the code that logs it)
            self.handleError(record)
        else:
            self._write(line + "\n")

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, object] = {**getattr(record, "fields", {}), "event": record.getMessage()}
        fields = {**_context.get(), **fields, **self._origin(record)}
        if record.exc_info:
            fields["exception"] = _traceback_of(record.exc_info)
        return json.dumps(cleaned(fields))

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  (the name in the standard library)
        """The library's own method writes to standard error, and would wait for a slow reader there."""
        fields = {"event": "log.unprintable", "line": record.lineno, **self._origin(record)}
        self._write(json.dumps(fields) + "\n")

    def _origin(self, record: logging.LogRecord) -> dict[str, str]:
        return {
            "logger": record.name,
            "level": record.levelname.lower(),
            "at": self._clock().isoformat(timespec="milliseconds"),
        }


def lines_lost(lost: Mapping[str, int], now: datetime) -> str:
    """The line that marks the gap where lines are missing, with their number per stream."""
    fields = {
        "event": "log.lines_lost",
        **lost,
        "level": "warning",
        "logger": "telemetry",
        "at": now.isoformat(timespec="milliseconds"),
    }
    return json.dumps(fields) + "\n"


def log_interpreter_failures() -> None:
    """Logs what Python would print on standard error, which may have no reader: failures in destructors and
    threads."""

    def unraisable(failed: sys.UnraisableHookArgs) -> None:
        logger("python").error(
            "exception.unraisable", where=type(failed.object).__name__, exc_info=failed.exc_value
        )

    def in_thread(failed: threading.ExceptHookArgs) -> None:
        logger("python").error("thread.failed", exc_info=failed.exc_value)

    sys.unraisablehook = unraisable
    threading.excepthook = in_thread


def _without_quotation(record: logging.LogRecord) -> bool:
    """For a malformed request aiohttp logs an error with a traceback and quotes what was sent. So anybody who
    reaches the certificate listener could write into the log, and cookies would appear there. This keeps the
    line, without traceback and quotation, as a warning."""
    failure = record.exc_info[0] if record.exc_info else None
    if failure is not None and failure.__module__ == "aiohttp.http_exceptions":
        record.exc_info = record.exc_text = None
        record.levelno, record.levelname = logging.WARNING, "WARNING"
        record.msg, record.args = f"{record.getMessage()}: {failure.__name__}", ()
    return True
