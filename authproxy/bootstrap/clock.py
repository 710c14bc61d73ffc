"""The one clock. Everything else gets the time as an argument, or this function."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

utc_now: Callable[[], datetime] = partial(datetime.now, UTC)  # noqa: TID251  (here and nowhere else)
"""Not a function of Python: it is asked for every request."""
