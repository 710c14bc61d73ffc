"""Log lines: one JSON object per line on standard output, for our own events and for those of libraries (ASVS
5.0 V16.2).

A value cannot forge a line: the JSON encoder escapes everything outside printable ASCII.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from typing import Any, cast

import structlog

from authproxy.telemetry.redaction import cleaned

Processor = Callable[[Any, str, MutableMapping[str, Any]], Any]


def configure(level: str, *, clock: Callable[[], datetime], write: Callable[[str], object]) -> None:
    """Passes every event of at least `level` to `write` as a whole line, including events of the standard
    library's loggers. `write` must neither wait nor raise, because any code may log."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        _stamped(clock),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    lines = _Lines(write, clock)
    lines.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _without_secrets,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
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

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  (the name in the standard library)
        """The library's own method writes to standard error, and would wait for a slow reader there."""
        fields = {
            "event": "log.unprintable",
            "line": record.lineno,
            "level": record.levelname.lower(),
            "logger": record.name,
        }
        self._write(json.dumps(fields | {"at": self._clock().isoformat(timespec="milliseconds")}) + "\n")


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


def logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger for events: `logger("web").warning("noun.past_participle", key=value)`. The event is never an
    f-string."""
    return cast("structlog.stdlib.BoundLogger", structlog.get_logger(name))


def bound(**fields: object) -> AbstractContextManager[None]:
    """Adds the fields to all log lines and audit events of what runs inside the block."""
    return structlog.contextvars.bound_contextvars(**fields)


def context() -> Mapping[str, Any]:
    """What is bound here."""
    return structlog.contextvars.get_contextvars()


@contextmanager
def silence() -> Iterator[None]:
    """None of our own events is logged inside the block."""
    before = structlog.get_config()
    structlog.configure(processors=[_dropped])
    try:
        yield
    finally:
        structlog.configure(**before)


def _dropped(_logger: Any, _method: str, _event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    raise structlog.DropEvent


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


def _stamped(clock: Callable[[], datetime]) -> Processor:
    def stamp(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event["at"] = clock().isoformat(timespec="milliseconds")
        return event

    return stamp


def _without_secrets(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return cast("MutableMapping[str, Any]", cleaned(event))
