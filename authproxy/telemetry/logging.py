"""Log lines: one JSON object per event on one line of standard output, for our own events and for those of
libraries (ASVS 5.0 V16.2).

A line cannot be forged from inside a value: everything outside printable ASCII is escaped by the JSON
encoder.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections.abc import Callable, Mapping, MutableMapping
from datetime import datetime
from typing import Any, cast

import structlog

from authproxy.telemetry.redaction import cleaned

Processor = Callable[[Any, str, MutableMapping[str, Any]], Any]


def configure(level: str, *, clock: Callable[[], datetime], write: Callable[[str], object]) -> None:
    """Hands every event of at least `level` to `write` as a whole line, those of the standard library's
    loggers too. `write` must neither wait nor raise: whoever logs stands in the middle of something else."""
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
        except Exception:  # noqa: BLE001  (a value whose text cannot be made is no reason to fail for whoever logs it)
            self.handleError(record)
        else:
            self._write(line + "\n")

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  (the name in the standard library)
        """The library's own method would write to standard error, and so wait for its reader."""
        told = {
            "event": "log.unprintable",
            "line": record.lineno,
            "level": record.levelname.lower(),
            "logger": record.name,
        }
        self._write(json.dumps(told | {"at": self._clock().isoformat(timespec="milliseconds")}) + "\n")


def lines_lost(lost: Mapping[str, int], now: datetime) -> str:
    """The line that stands where others are missing, with their numbers by stream."""
    said = {
        "event": "log.lines_lost",
        **lost,
        "level": "warning",
        "logger": "telemetry",
        "at": now.isoformat(timespec="milliseconds"),
    }
    return json.dumps(said) + "\n"


def hear_the_interpreter() -> None:
    """Makes events of what Python itself would print on standard error, which may have no reader: failures in
    destructors and threads."""

    def unraisable(failed: sys.UnraisableHookArgs) -> None:
        logger("python").error(
            "exception.unraisable", where=type(failed.object).__name__, exc_info=failed.exc_value
        )

    def in_thread(failed: threading.ExceptHookArgs) -> None:
        logger("python").error("thread.failed", exc_info=failed.exc_value)

    sys.unraisablehook = unraisable
    threading.excepthook = in_thread


def logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger for events: `logger("web").warning("noun.past_participle", key=value)`. Never an f-string as
    the event."""
    return cast("structlog.stdlib.BoundLogger", structlog.get_logger(name))


def _without_quotation(record: logging.LogRecord) -> bool:
    """A request that cannot be read, aiohttp logs as an error of ours with a traceback and the beginning of
    what was sent: whoever reaches the certificate listener could write into the log, and a cookie would end
    there. The line stays, and says whose fault it was."""
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
