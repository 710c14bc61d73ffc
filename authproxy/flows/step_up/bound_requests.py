"""A request that needs a proof of its own (`max_age: 0`): which request it is, which of its fields the person
sees, and whether it has the proof.

The route is looked up from the request itself. The page's address names a route too, but a script of the
portal can change that, and could make the person give the proof without seeing what they send.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from authproxy.access import bound_proof, policy
from authproxy.access.routes import Portal, Route
from authproxy.challenges.notification import on_one_line
from authproxy.flows.held.form_contents import contents, is_plain
from authproxy.flows.held.requests import HeldRequests
from authproxy.flows.stores import UsedProofs
from authproxy.flows.visit import Visit
from authproxy.identity.session import Session

_LONGEST_VALUE: Final = 100
_NO_VALUE: Final = "–"
_BETWEEN_VALUES: Final = " | "
_MOST_VALUES: Final = 3
_URLENCODED: Final = "application/x-www-form-urlencoded"
_BETWEEN_WORDS: Final = re.compile(r"[^0-9a-z]+", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundRequest:
    """`shown` are names and values of its fields, each value on one line and cut to 100 characters. It is
    None if it is uncertain which fields the portal would find in the form: it cannot be read as a whole, or
    no browser writes forms like this."""

    route: Route
    binding: str = field(repr=False)
    shown: tuple[tuple[str, str], ...] | None = field(repr=False)


class HeldRequestGone:
    """The held request is not in the store any more."""


class BoundRequests:
    """Every method raises CannotAsk."""

    def __init__(self, *, held_requests: HeldRequests, used_proofs: UsedProofs) -> None:
        self._held_requests = held_requests
        self._used_proofs = used_proofs

    async def of(
        self, visit: Visit, session: Session, portal: Portal, named: Route
    ) -> BoundRequest | HeldRequestGone | None:
        """The request that the visit is about. None if its route does not demand a proof for each request.
        `named` is the route in the page's address."""
        if visit.held is None:
            query = visit.return_to.partition("?")[2]
            route = policy.route_at(portal, "GET", visit.return_to)
            if (
                route is None
                or not route.requirement.is_per_request
                or (named is not route and not named.requirement.is_per_request)
            ):
                return None
            shown = _shown(route, _query_part(query))
            return BoundRequest(route=route, binding=bound_proof.of_get(visit.return_to), shown=shown)
        held_request = await self._held_requests.find(visit.held, session)
        if held_request is None:
            return HeldRequestGone() if named.requirement.is_per_request else None
        query = held_request.target.partition("?")[2]
        route = policy.route_at(portal, "POST", held_request.target)
        if route is None or not route.requirement.is_per_request:
            return None
        # Many programs read the fields of a form in the query as well, some of them before those in the body.
        shown = _shown(route, _query_part(query), _FormPart(held_request.content_type, held_request.body))
        return BoundRequest(route=route, binding=bound_proof.of_form(visit.held, held_request), shown=shown)

    async def is_proved(self, request: BoundRequest, session: Session, visit: Visit) -> bool:
        """Whether the session has a proof for this request that has not been used."""
        for proof in bound_proof.matching_proofs(
            session.events, request.binding, request.route.requirement, visit.now
        ):
            if not await self._used_proofs.is_used(proof.bound_to or ""):
                return True
        return False


class _FormPart(NamedTuple):
    """A part of a request in which a portal looks for fields."""

    content_type: str
    octets: bytes


def _query_part(query: str) -> _FormPart:
    return _FormPart(_URLENCODED, query.encode("latin-1", "replace"))


def _shown(route: Route, *parts: _FormPart) -> tuple[tuple[str, str], ...] | None:
    """The fields that `step_up.shows` names, with all their values."""
    names = route.requirement.step_up.shows if route.requirement.step_up is not None else ()
    if not names:
        return ()
    forms = [contents(*part) for part in parts]
    if not all(is_plain(*part) for part in parts) or not all(form.is_complete for form in forms):
        return None
    fields = [pair for form in forms for pair in form.fields]
    shown = [(name, [value for field_name, value in fields if _may_be(field_name, name)]) for name in names]
    is_file = any(
        _may_be(field_name, name) for form in forms for field_name in form.file_fields for name in names
    )
    if is_file or any(len(values) > _MOST_VALUES for _, values in shown):
        return None
    return tuple((name, _joined(values)) for name, values in shown)


def _may_be(field_name: str, name: str) -> bool:
    """Whether some program takes a field of the one name for that of the other. Programs ignore case, drop
    blanks, cut names at NUL and at brackets, and read `a.b`, `a[b]` and `a_b` alike. Showing too much harms
    nobody."""
    return _folded(name) in {
        _folded(part)
        for part in (field_name, field_name.partition("[")[0], field_name.partition("\ufffd")[0])
    }


def _folded(name: str) -> str:
    return _BETWEEN_WORDS.sub("_", unicodedata.normalize("NFKC", name).casefold()).strip("_")


def _joined(values: Sequence[str]) -> str:
    """All values of a field, because nobody knows which of them the portal takes."""
    return _BETWEEN_VALUES.join(on_one_line(value, longest=_LONGEST_VALUE) for value in values) or _NO_VALUE
