"""PURE: the invented payments of the demo portals. They are the same at every start."""

from __future__ import annotations

from collections.abc import Sequence

from authproxy.sandbox.portals.tables import Row

_PLACES = ("Ljubljana", "Maribor", "Celje", "Koper", "Kranj", "Novo mesto")
_STATES = (*["poravnano"] * 5, "v obdelavi", *["poravnano"] * 4, "zavrnjeno")
_INSTANT_STATES = ("v teku", *["izvršeno"] * 21, "zavrnjeno", *["izvršeno"] * 14)


def transactions(names: Sequence[str], count: int) -> tuple[Row, ...]:
    """Number, day in November 2026, name, place, amount in cents, state."""
    return tuple(
        (
            f"2026-{row:05}",
            f"2026-11-{row * 22 // (count + 1) + 1:02}",
            names[row % len(names)],
            _PLACES[(row * 5 + row // 7) % 6],
            (row * row * 7919 + row * 104_729) % 25_000 + 99,
            _STATES[row % len(_STATES)],
        )
        for row in range(1, count + 1)
    )


def instant_payments(names: Sequence[str], count: int) -> tuple[Row, ...]:
    """Reference, time on 22 November 2026, paying bank, receiving bank, amount in cents, duration in
    milliseconds, state; newest first."""
    banks = len(names)
    return tuple(
        (
            f"IP{260000 + count - row}",
            f"{9 - row // 60:02}:{59 - row % 60:02}:{(row * 37) % 60:02}",
            names[row % banks],
            names[(row + 1 + row // banks % (banks - 1)) % banks],
            (row * 104_729) % 1_500_000 + 100,
            180 + (row * 53) % 900,
            _INSTANT_STATES[row % len(_INSTANT_STATES)],
        )
        for row in range(count)
    )


GENERATED = {"transactions": transactions, "instant_payments": instant_payments}
"""By the name in a portal's description."""
