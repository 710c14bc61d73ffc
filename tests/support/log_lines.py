"""The log as it is written, line by line, or as events; and the logging system put back afterwards."""

from __future__ import annotations

import contextlib
import io
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime

import structlog

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
        structlog.reset_defaults()


@contextlib.contextmanager
def logged_events() -> Iterator[list[dict]]:
    """Our own events of every level, as they are told, with their fields."""
    with structlog.testing.capture_logs() as told:
        yield told
