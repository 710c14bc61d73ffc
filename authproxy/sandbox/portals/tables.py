"""PURE: tables of a demo portal: the rows that a query asks for, values written in both languages, sums and
shares."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Literal, NamedTuple

Value = str | int
Row = tuple[Value, ...]
Kind = Literal["text", "code", "day", "cents", "count", "level", "word"]
Tone = Literal["plain", "good", "busy", "bad"]
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_SWAPPED = str.maketrans(",.", ".,")


class Words(NamedTuple):
    """The same in both languages."""

    sl: str
    en: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column. In a `word` column (a state or a kind), `words` gives each value its words and its tone."""

    name: str
    title: Words
    kind: Kind = "text"
    is_filter: bool = False
    is_hidden: bool = False
    words: Mapping[str, tuple[Words, Tone]] = field(default_factory=dict)

    def shown(self, value: Value) -> Words:
        """The written value: euros as `1.234,50` in Slovene and `1,234.50` in English, days without leading
        zeros."""
        match self.kind:
            case "cents":
                english = f"{int(value) / 100:,.2f}"
                return Words(english.translate(_SWAPPED), english)
            case "count":
                return Words(f"{value:,}".translate(_SWAPPED), f"{value:,}")
            case "level":
                return Words(f"{value} %", f"{value}%")
            case "day":
                day = date.fromisoformat(str(value))
                return Words(
                    f"{day.day}. {day.month}. {day.year}", f"{day.day} {_MONTHS[day.month - 1]} {day.year}"
                )
            case "word":
                return self.words[str(value)][0]
            case _:
                return Words(str(value), str(value))

    def tone(self, value: Value) -> Tone:
        if self.kind == "word":
            return self.words[str(value)][1]
        if self.kind == "level":
            return "bad" if int(value) < 15 else "busy" if int(value) < 40 else "good"
        return "plain"


class Cell(NamedTuple):
    column: Column
    value: Value
    text: Words
    tone: Tone


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table. The first column identifies a row, also in its address."""

    path: str
    title: Words
    intro: Words
    columns: tuple[Column, ...]
    rows: tuple[Row, ...] = field(repr=False)
    is_monthly: bool = False
    """Whether there is a statement for each month."""

    def position(self, name: str) -> int:
        """Raises KeyError."""
        return {column.name: index for index, column in enumerate(self.columns)}[name]

    def cells(self, row: Row) -> Iterator[Cell]:
        """The cells of a row in a list."""
        for column, value in zip(self.columns, row, strict=True):
            if not column.is_hidden:
                yield Cell(column, value, column.shown(value), column.tone(value))

    def find(self, key: str) -> Row | None:
        return next((row for row in self.rows if str(row[0]) == key), None)

    @property
    def day(self) -> Column | None:
        """The column to which `od` and `do` refer."""
        return next((column for column in self.columns if column.kind == "day"), None)


def filtered(table: Table, query: Mapping[str, str]) -> tuple[Row, ...]:
    """The rows that a query asks for. Text columns match by a part of their value, words exactly; `od` and
    `do` are the first and last day."""
    wanted = [(index, column, query.get(column.name, "")) for index, column in enumerate(table.columns)]
    first, last = query.get("od", ""), query.get("do", "") or "9999-12-31"

    def fits(row: Row) -> bool:
        for index, column, text in wanted:
            value = str(row[index])
            if column.kind == "word" and text not in ("", value):
                return False
            if column.is_filter and text.casefold() not in value.casefold():
                return False
            if column is table.day and not first <= value <= last:
                return False
        return True

    return tuple(row for row in table.rows if fits(row))


def month(table: Table, year: int, number: int) -> tuple[Row, ...]:
    """The rows of one month of a table that has days."""
    if table.day is None:
        return ()
    index = table.position(table.day.name)
    return tuple(row for row in table.rows if str(row[index]).startswith(f"{year:04}-{number:02}-"))


def total(table: Table, rows: Iterable[Row], name: str) -> int:
    index = table.position(name)
    return sum(int(row[index]) for row in rows)


class Share(NamedTuple):
    value: Value
    amount: int
    percent: int
    """Relative to the largest share."""


def shares(table: Table, *, by: str, of: str | None) -> tuple[Share, ...]:
    """The number of rows, or the sum of column `of`, for each value of column `by`; the largest first."""
    sums: dict[Value, int] = defaultdict(int)
    index, summed = table.position(by), table.position(of) if of is not None else None
    for row in table.rows:
        sums[row[index]] += 1 if summed is None else int(row[summed])
    most = max(sums.values(), default=0) or 1
    return tuple(
        Share(value, amount, round(100 * amount / most))
        for value, amount in sorted(sums.items(), key=lambda each: -each[1])
    )


def as_csv(table: Table, rows: Iterable[Row], *, is_english: bool) -> str:
    """CSV that Slovene spreadsheets open directly: semicolons, a byte order mark, Slovene amounts."""
    text = io.StringIO()
    written = csv.writer(text, delimiter=";", lineterminator="\r\n")
    written.writerow(column.title[is_english] for column in table.columns if not column.is_hidden)
    for row in rows:
        written.writerow(
            cell.text[is_english] if cell.column.kind == "word" else cell.text.sl for cell in table.cells(row)
        )
    return "\ufeff" + text.getvalue()
