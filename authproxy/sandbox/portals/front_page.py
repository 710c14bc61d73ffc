"""PURE: the content of a portal's front page, computed from its tables: figures, bars, and the pins of a
map."""

from __future__ import annotations

from typing import NamedTuple

from authproxy.sandbox.portals import atlas
from authproxy.sandbox.portals.description import Description
from authproxy.sandbox.portals.tables import Table, Tone, Words, filtered, shares, total


class Number(NamedTuple):
    label: Words
    text: Words
    path: str
    query: dict[str, str]


class Bar(NamedTuple):
    label: Words
    text: Words
    percent: int


class Pin(NamedTuple):
    key: str
    label: str
    state: Words
    tone: Tone
    x: int
    y: int


def numbers(portal: Description) -> list[Number]:
    figures = []
    for figure in portal.figures:
        table = portal.table(figure.path)
        rows = filtered(table, figure.query)
        text = _amount(table, figure.of, len(rows) if figure.of is None else total(table, rows, figure.of))
        figures.append(Number(figure.label, text, figure.path, dict(figure.query)))
    return figures


def bars(portal: Description) -> list[Bar]:
    """Empty for a portal without a breakdown."""
    breakdown = portal.breakdown
    if breakdown is None:
        return []
    table = portal.table(breakdown.path)
    by = table.columns[table.position(breakdown.by)]
    return [
        Bar(by.shown(share.value), _amount(table, breakdown.of, share.amount), share.percent)
        for share in shares(table, by=breakdown.by, of=breakdown.of)
    ]


def pins(portal: Description) -> list[Pin]:
    """Empty for a portal without a map. The label is the second and third column."""
    if portal.map is None:
        return []
    table = portal.table(portal.map.path)
    latitude, longitude, state_index = (
        table.position(name) for name in (portal.map.latitude, portal.map.longitude, portal.map.state)
    )
    state = table.columns[state_index]
    return [
        Pin(
            str(row[0]),
            f"{row[2]}, {row[1]}",
            state.shown(row[state_index]),
            state.tone(row[state_index]),
            *atlas.position(float(row[latitude]), float(row[longitude])),
        )
        for row in table.rows
    ]


def _amount(table: Table, of: str | None, amount: int) -> Words:
    """The amount as the column writes it; a number of rows as a plain number."""
    return Words(str(amount), str(amount)) if of is None else table.columns[table.position(of)].shown(amount)
