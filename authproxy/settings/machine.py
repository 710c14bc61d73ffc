"""PURE: what checks want to know of the machine that settings are for: its time, which addresses are its own,
which folders there are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    now: datetime
    has_address: Callable[[str], bool]
    """Whether a literal address is one of its interfaces', or leads to itself."""
    has_folder: Callable[[str], bool]
