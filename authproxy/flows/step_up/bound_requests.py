"""A request that needs a proof of its own (`max_age: 0`): which one it is, what its person sees of it, and
whether the proof is there.

The route is that of the request itself, and not the one that an address of our pages names: otherwise a
script in the portal could have the person prove themselves for it without seeing what they send.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from authproxy.access import bound_proof
from authproxy.access.routes import Portal, Route
from authproxy.flows.held.form_contents import contents, is_plain
from authproxy.flows.held.requests import HeldRequests
from authproxy.flows.stores import UsedProofs
from authproxy.flows.visit import Visit
from authproxy.identity.session import Session

_LONGEST: Final = 100
_ABSENT: Final = "–"
_BETWEEN: Final = " | "
_MOST_VALUES: Final = 3
_URLENCODED: Final = "application/x-www-form-urlencoded"
_BETWEEN_WORDS: Final = re.compile(r"[^0-9a-z]+", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundRequest:
    """`shown` are names and values of its fields, each on one line and not endless; None if the form cannot
    be read as a whole, or is written as no browser writes forms, so that nobody can say what the portal would
    find in it."""

    route: Route
    binding: str = field(repr=False)
    shown: tuple[tuple[str, str], ...] | None = field(repr=False)


class Gone:
    """The form is not kept any more."""


class BoundRequests:
    """Every method raises CannotAsk."""

    def __init__(self, *, held: HeldRequests, used: UsedProofs) -> None:
        self._held = held
        self._used = used

    async def of(
        self, visit: Visit, session: Session, portal: Portal, named: Route
    ) -> BoundRequest | Gone | None:
        """The one request that the visit is about; None where its route demands no proof for each request.
        `named` is the route that the page's address names."""
        if visit.held is None:
            path, _, query = visit.return_to.partition("?")
            route = portal.route(path, "GET")
            if (
                route is None
                or not route.requirement.is_per_request
                or (named is not route and not named.requirement.is_per_request)
            ):
                return None
            shown = _shown(route, _query(query))
            return BoundRequest(route=route, binding=bound_proof.of_get(visit.return_to), shown=shown)
        form = await self._held.found(visit.held, session)
        if form is None:
            return Gone() if named.requirement.is_per_request else None
        path, _, query = form.target.partition("?")
        route = portal.route(path, "POST")
        if route is None or not route.requirement.is_per_request:
            return None
        # Many programs read the fields of a form in its query as well, some before those in its body.
        shown = _shown(route, _query(query), _Part(form.content_type, form.body))
        return BoundRequest(route=route, binding=bound_proof.of_form(visit.held, form), shown=shown)

    async def is_proved(self, request: BoundRequest, session: Session, visit: Visit) -> bool:
        """Whether there is a proof for it that has not been used."""
        for proof in bound_proof.matching_proofs(
            session.events, request.binding, request.route.requirement, visit.now
        ):
            if not await self._used.is_used(proof.bound_to or ""):
                return True
        return False


class _Part(NamedTuple):
    """A part of a request in which a portal looks for fields."""

    content_type: str
    octets: bytes


def _query(query: str) -> _Part:
    return _Part(_URLENCODED, query.encode("latin-1", "replace"))


def _shown(route: Route, *parts: _Part) -> tuple[tuple[str, str], ...] | None:
    names = route.requirement.step_up.shows if route.requirement.step_up is not None else ()
    if not names:
        return ()
    inside = [contents(*part) for part in parts]
    if not all(is_plain(*part) for part in parts) or not all(each.is_complete for each in inside):
        return None
    fields = [each for part in inside for each in part.fields]
    found = tuple(
        (name, [value for field_name, value in fields if _may_be(field_name, name)]) for name in names
    )
    is_file = any(
        _may_be(field_name, name) for part in inside for field_name in part.file_fields for name in names
    )
    if is_file or any(len(values) > _MOST_VALUES for _, values in found):
        return None
    return tuple((name, _value(values)) for name, values in found)


def _may_be(field_name: str, name: str) -> bool:
    """Whether some program takes a field of the one name for that of the other: programs fold case, drop
    blanks, end names at NUL and at brackets, and read `a.b`, `a[b]` and `a_b` alike. What is shown too much
    harms nobody."""
    return _folded(name) in {
        _folded(part)
        for part in (field_name, field_name.partition("[")[0], field_name.partition("\ufffd")[0])
    }


def _folded(name: str) -> str:
    return _BETWEEN_WORDS.sub("_", unicodedata.normalize("NFKC", name).casefold()).strip("_")


def _value(values: Sequence[str]) -> str:
    """All values of a field: which of several the portal takes, we do not know."""
    return _BETWEEN.join(map(on_one_line, values)) or _ABSENT


def on_one_line(text: str) -> str:
    """A value as a phone can show it: what cannot be seen is a mark, and what is too long ends with one."""
    seen = "".join(sign if sign.isprintable() else " " for sign in text)
    tidied = " ".join(seen.split())
    return tidied if len(tidied) <= _LONGEST else f"{tidied[: _LONGEST - 1]}…"
