"""Log lines: one JSON object per event on one line of standard output, for our own events and for those of libraries (ASVS 5.0 V16.2).

A line cannot be forged from inside a value: everything outside printable ASCII is escaped by the JSON encoder.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, MutableMapping
from datetime import datetime
from typing import Any, TextIO, cast

import structlog

from authproxy.telemetry.redaction import cleaned

Processor = Callable[[Any, str, MutableMapping[str, Any]], Any]


def configure(level: str, *, clock: Callable[[], datetime], stream: TextIO | None = None) -> None:
    """Sends every event of at least `level` to `stream` (standard output if not given), those of the standard library's loggers too."""
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
    lines = logging.StreamHandler(sys.stdout if stream is None else stream)
    lines.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _without_secrets, structlog.processors.JSONRenderer()],
        )
    )
    lines.addFilter(_without_quotation)
    root = logging.getLogger()
    root.handlers[:] = [lines]
    root.setLevel(level.upper())
    logging.captureWarnings(capture=True)


def logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger for events: `logger("web").warning("noun.past_participle", key=value)`. Never an f-string as the event."""
    return cast("structlog.stdlib.BoundLogger", structlog.get_logger(name))


def _without_quotation(record: logging.LogRecord) -> bool:
    """A request that cannot be read, aiohttp logs as an error of ours with a traceback and the beginning of what was sent: whoever reaches
    the certificate listener could write into the log, and a cookie would end there. The line stays, and says whose fault it was."""
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
