"""PURE: the invented transactions that the demo portals list, the same at every start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_PLACES = ("Ljubljana", "Maribor", "Celje", "Koper", "Kranj", "Novo mesto")
_STATES = ("poravnano", "v obdelavi", "zavrnjeno")


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    number: str
    day: str
    place: str
    cents: int
    state: str

    @property
    def amount(self) -> str:
        """Euros as they are written in Slovenia: `1.234,50`."""
        return f"{self.cents / 100:,.2f}".translate(str.maketrans(",.", ".,"))


def transactions() -> tuple[Transaction, ...]:
    return tuple(
        Transaction(
            number=f"2026-{row:05}", day=f"2026-11-{row % 28 + 1:02}", place=_PLACES[row % 6], cents=(row * 7919) % 250_000 + 99,
            state=_STATES[row % 7 % 3],
        )
        for row in range(1, 121)
    )  # fmt: skip


def filtered(rows: tuple[Transaction, ...], query: Mapping[str, str]) -> tuple[Transaction, ...]:
    """The rows that a query asks for: `kraj` (part of the place), `stanje` (exactly), `od` and `do` (days, both included)."""
    place, state = query.get("kraj", "").casefold(), query.get("stanje", "")
    first, last = query.get("od", ""), query.get("do", "") or "9999-12-31"
    return tuple(
        row for row in rows
        if place in row.place.casefold() and state in ("", row.state) and first <= row.day <= last
    )  # fmt: skip


def states() -> tuple[str, ...]:
    return _STATES
