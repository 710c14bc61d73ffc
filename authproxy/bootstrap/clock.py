"""The one clock. Everything else gets the time as an argument, or this function."""

from __future__ import annotations

from datetime import UTC, datetime


def utc_now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251  (here and nowhere else)
