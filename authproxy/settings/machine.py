"""PURE: the machine that settings are checked for: its time, its addresses, its folders."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    now: datetime
    has_address: Callable[[str], bool]
    """Whether a literal address belongs to one of its interfaces or is a loopback address."""
    has_folder: Callable[[str], bool]
