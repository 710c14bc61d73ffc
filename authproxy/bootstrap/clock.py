"""The only clock. Everything else gets the time, or this function, as an argument."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

utc_now: Callable[[], datetime] = partial(datetime.now, UTC)  # noqa: TID251  (here and nowhere else)
"""A partial object instead of a Python function: it is called for every request."""
