"""The log as it is written, line by line, or as events; and the logging system put back afterwards."""

from __future__ import annotations

import contextlib
import io
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime

from authproxy.telemetry.logging import configure

NOW = datetime(2026, 3, 2, 13, 5, 0, 250_000, tzinfo=UTC)


class LogLines(io.StringIO):
    def lines(self) -> list[dict]:
        return [json.loads(line) for line in self.getvalue().splitlines()]


@contextlib.contextmanager
def log_lines(level: str = "info") -> Iterator[LogLines]:
    root = logging.getLogger()
    handlers, root_level = root.handlers[:], root.level
    written = LogLines()
    configure(level, clock=lambda: NOW, write=written.write)
    try:
        yield written
    finally:
        root.handlers[:] = handlers
        root.setLevel(root_level)
        logging.captureWarnings(capture=False)


class _Events(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.told: list[dict] = []

    def emit(self, record: logging.LogRecord) -> None:
        if hasattr(record, "fields"):
            self.told.append({"event": record.getMessage(), "exc_info": record.exc_info, **record.fields})


@contextlib.contextmanager
def logged_events() -> Iterator[list[dict]]:
    """Our own events of every level, as they are told, with their fields."""
    root, events = logging.getLogger(), _Events()
    level = root.level
    root.addHandler(events)
    root.setLevel(logging.DEBUG)
    try:
        yield events.told
    finally:
        root.removeHandler(events)
        root.setLevel(level)
