"""PURE: a demo portal as data: its tables, forms and figures, and its own sign-in if it has one.

`described` reads the YAML of `descriptions/`. A mistake there raises KeyError, TypeError or ValueError at the
start.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from authproxy.sandbox.portals.ledger import GENERATED
from authproxy.sandbox.portals.tables import Column, Row, Table, Words

Monitor = Literal["events", "websocket"]
Server = Literal["java", "windows"]
Look = Literal["green", "brown", "blue", "grey", "red", "teal"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A number on the front page that links to its rows: how many rows a query finds, or the sum of their
    column `of`."""

    label: Words
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    of: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Breakdown:
    """Bars on the front page: the number of rows, or the sum of column `of`, for each value of column
    `by`."""

    title: Words
    path: str
    by: str
    of: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Map:
    """A map on the front page with the positions of a table's rows."""

    title: Words
    path: str
    latitude: str
    longitude: str
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    name: str
    label: Words
    kind: Literal["text", "long", "day", "number", "choice", "file"] = "text"
    is_required: bool = True
    choices: tuple[Words, ...] = ()
    """The values of a `choice`. The form sends the Slovene word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalForm:
    """A form. If `about` names the path of a table, the first field of the form is a row of this table."""

    path: str
    title: Words
    intro: Words
    fields: tuple[Field, ...]
    button: Words
    done: Words
    reference: str
    about: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A user name and password of one portal."""

    name: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnSignIn:
    """A portal's own sign-in behind the gateway, with user name and password, from before there was a
    gateway."""

    users: tuple[User, ...]
    location: Literal["absolute", "relative"]
    """How the portal writes its redirects."""
    cookies: tuple[str, ...] = ()
    """Further `Set-Cookie` values at sign-in, as old servers write them."""
    realm: str = ""
    basic: str | None = None
    """A path that takes HTTP Basic instead of the form, and answers with the rows of `basic_table`."""
    basic_table: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OldWay:
    """A place where the portal does something as old portals do it."""

    path: str
    label: Words


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    portal_id: str
    name: str
    purpose: Words
    look: Look
    tables: tuple[Table, ...]
    forms: tuple[PortalForm, ...] = ()
    figures: tuple[Figure, ...] = ()
    breakdown: Breakdown | None = None
    map: Map | None = None
    own_sign_in: OwnSignIn | None = None
    server: Server | None = None
    """The old server that the portal runs on, if one notices."""
    monitor: Monitor | None = None
    """What its monitoring screen listens to, if it has one."""
    takes_batches: bool = False
    """Whether programs hand in batches."""
    old_ways: tuple[OldWay, ...] = ()

    def table(self, path: str) -> Table:
        """Raises KeyError."""
        return {table.path: table for table in self.tables}[path]

    @property
    def monthly(self) -> Table | None:
        return next((table for table in self.tables if table.is_monthly), None)


def described(text: Mapping[str, Any]) -> Description:
    own, breakdown, at = text.get("own_sign_in"), text.get("breakdown"), text.get("map")
    return Description(
        portal_id=text["id"],
        name=text["name"],
        purpose=Words(*text["purpose"]),
        look=text["look"],
        tables=tuple(_table(each) for each in text["tables"]),
        forms=tuple(_form(each) for each in text.get("forms", ())),
        figures=tuple(Figure(**each | {"label": Words(*each["label"])}) for each in text.get("figures", ())),
        breakdown=Breakdown(**breakdown | {"title": Words(*breakdown["title"])}) if breakdown else None,
        map=Map(**at | {"title": Words(*at["title"])}) if at else None,
        own_sign_in=_own_sign_in(own) if own else None,
        server=text.get("server"),
        monitor=text.get("monitor"),
        takes_batches=text.get("takes_batches", False),
        old_ways=tuple(
            OldWay(path=each["path"], label=Words(*each["label"])) for each in text.get("old_ways", ())
        ),
    )


def _table(text: Mapping[str, Any]) -> Table:
    return Table(
        path=text["path"],
        title=Words(*text["title"]),
        intro=Words(*text["intro"]),
        columns=tuple(_column(each) for each in text["columns"]),
        rows=_rows(text["rows"]),
        is_monthly=text.get("monthly", False),
    )


def _column(text: Mapping[str, Any]) -> Column:
    return Column(
        name=text["name"],
        title=Words(*text["title"]),
        kind=text.get("kind", "text"),
        is_filter=text.get("filter", False),
        is_hidden=text.get("hidden", False),
        words={sl: (Words(sl, en), tone) for sl, (en, tone) in text.get("words", {}).items()},
    )


def _rows(text: Any) -> tuple[Row, ...]:
    if isinstance(text, Mapping):
        return GENERATED[text["generated"]](text["names"], text["count"])
    return tuple(tuple(row) for row in text)


def _form(text: Mapping[str, Any]) -> PortalForm:
    return PortalForm(
        path=text["path"],
        title=Words(*text["title"]),
        intro=Words(*text["intro"]),
        fields=tuple(_field(each) for each in text["fields"]),
        button=Words(*text["button"]),
        done=Words(*text["done"]),
        reference=text["reference"],
        about=text.get("about"),
    )


def _field(text: Mapping[str, Any]) -> Field:
    return Field(
        name=text["name"],
        label=Words(*text["label"]),
        kind=text.get("kind", "text"),
        is_required=text.get("required", True),
        choices=tuple(Words(*each) for each in text.get("choices", ())),
    )


def _own_sign_in(text: Mapping[str, Any]) -> OwnSignIn:
    return OwnSignIn(
        users=tuple(User(**each) for each in text["users"]),
        location=text["location"],
        cookies=tuple(text.get("cookies", ())),
        realm=text.get("realm", ""),
        basic=text.get("basic"),
        basic_table=text.get("basic_table"),
    )
