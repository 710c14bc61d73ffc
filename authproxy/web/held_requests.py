"""The page that shows a held request to its person, after the proof or the sign-in, and before it is sent on.

The page's button posts to the portal's own address. The edge recognises that POST, and sends the held request
instead of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from aiohttp import web

from authproxy.access.decision import Reason
from authproxy.access.unavailable import CannotAsk
from authproxy.flows.access import Access
from authproxy.flows.held.requests import HeldRequests
from authproxy.flows.visit import Visit
from authproxy.identity.session import Session
from authproxy.telemetry.audit import Audit
from authproxy.web.forms import submitted
from authproxy.web.pages import Pages
from authproxy.web.refusals import Refusals
from authproxy.web.request_keys import CONTEXT
from authproxy.web.step_up_answers import go_on, sign_in_first
from authproxy.web.visits import visit_of, visit_query

_MOST_SHOWN: Final = 40
_LONGEST_SHOWN: Final = 200
# Names that portals give to fields whose values must not be seen on a screen.
_SECRET_NAME: Final = re.compile(
    r"pass|pwd|geslo|secret|token|csrf|(?<![a-z])pin(?![a-z])", re.IGNORECASE | re.ASCII
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownField:
    name: str
    value: str
    is_secret: bool
    """The value is not shown: by its name, the field holds a password or a token."""


class HeldRequestPages:
    def __init__(
        self,
        *,
        held_requests: HeldRequests,
        sessions: Access,
        pages: Pages,
        refusals: Refusals,
        audit: Audit,
        clock: Callable[[], datetime],
    ) -> None:
        self._held_requests = held_requests
        self._sessions = sessions
        self._pages = pages
        self._refusals = refusals
        self._audit = audit
        self._clock = clock

    async def confirm(self, request: web.Request) -> web.StreamResponse:
        """GET step-up/send: shows the held request."""
        visit = visit_of(request, request.query, now=self._clock())
        session = await self._session(visit)
        if session is None:
            return sign_in_first(request, visit.return_to, visit.held)
        preview = None if visit.held is None else await self._held_requests.preview(visit.held, session)
        if preview is None:
            return self._refusals.answer(request, Reason.HELD_REQUEST_GONE, return_to=visit.return_to)
        return self._pages.answer(
            request,
            "step_up_send.html",
            here="step-up/send",
            keep=visit_query(visit),
            address=_cut(preview.target),
            action=request[CONTEXT].portal.origin + preview.target,
            name=visit.held,
            fields=tuple(map(_shown_field, preview.fields[:_MOST_SHOWN])),
            files=tuple(map(_cut, preview.files[:_MOST_SHOWN])),
            is_whole=preview.is_whole and max(len(preview.fields), len(preview.files)) <= _MOST_SHOWN,
            back=visit.return_to,
        )

    async def discard(self, request: web.Request) -> web.StreamResponse:
        """POST step-up/discard: deletes the held request. Succeeds also if it was gone already."""
        visit = visit_of(request, await submitted(request, self._audit), now=self._clock())
        session = await self._session(visit)
        if session is None:
            return sign_in_first(request, visit.return_to)
        if visit.held is not None:
            await self._held_requests.discard(visit.held, session)
        return go_on(request, visit.return_to, None)

    async def _session(self, visit: Visit) -> Session | None:
        current = await self._sessions.current(
            portal_id=visit.portal_id, ticket_text=visit.ticket_text, now=visit.now
        )
        return None if current is None else current.session


async def way_on(
    request: web.Request, held_requests: HeldRequests, session: Session, return_to: str, held: str | None
) -> web.Response:
    """303 for a person who has signed in: to the page of the held request if it is theirs, otherwise to
    `return_to`. Nobody learns that there is a request of somebody else."""
    try:
        is_theirs = held is not None and await held_requests.preview(held, session) is not None
    except CannotAsk:
        is_theirs = True  # that page says that the store cannot be asked, and can be loaded again
    return go_on(request, return_to, held if is_theirs else None)


def _shown_field(pair: tuple[str, str]) -> ShownField:
    name, value = pair
    is_secret = _SECRET_NAME.search(name) is not None
    return ShownField(name=_cut(name), value="" if is_secret else _cut(value), is_secret=is_secret)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "…"
