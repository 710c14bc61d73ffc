"""The page that shows what is about to be sent: a form that came when a fresh proof was missing, and was kept
until there is one.

Its button sends it to the portal, and not to us: the edge puts the kept request in the place of that one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from aiohttp import web

from authproxy.access.decision import Reason
from authproxy.flows.access import Access
from authproxy.flows.held.requests import HeldRequests
from authproxy.flows.visit import Visit
from authproxy.identity.session import Session
from authproxy.telemetry.audit import Audit
from authproxy.web.forms import submitted
from authproxy.web.pages import Pages
from authproxy.web.proofs import onward, sign_in_first
from authproxy.web.refusals import Refusals
from authproxy.web.request_keys import CONTEXT
from authproxy.web.visits import place_of, visit_of

_MOST_SHOWN: Final = 40
_LONGEST_SHOWN: Final = 200
# What portals call a field that is nobody else's business on a screen.
_SECRET_NAME: Final = re.compile(
    r"pass|pwd|geslo|secret|token|csrf|(?<![a-z])pin(?![a-z])", re.IGNORECASE | re.ASCII
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownField:
    name: str
    value: str
    is_secret: bool
    """The value is not repeated: it looks like a password, or like something that only the portal reads."""


class HeldRequestPages:
    def __init__(
        self,
        *,
        held: HeldRequests,
        sessions: Access,
        pages: Pages,
        refusals: Refusals,
        audit: Audit,
        clock: Callable[[], datetime],
    ) -> None:
        self._held = held
        self._sessions = sessions
        self._pages = pages
        self._refusals = refusals
        self._audit = audit
        self._clock = clock

    async def confirm(self, request: web.Request) -> web.StreamResponse:
        """GET step-up/send: what is about to be sent."""
        visit = visit_of(request, request.query, now=self._clock())
        session = await self._session(visit)
        if session is None:
            return sign_in_first(request, visit.return_to)
        waiting = None if visit.held is None else await self._held.preview(visit.held, session)
        if waiting is None:
            return self._refusals.answer(request, Reason.HELD_REQUEST_GONE, return_to=visit.return_to)
        return self._pages.answer(
            request,
            "step_up_send.html",
            here="step-up/send",
            keep=place_of(visit),
            waiting=waiting,
            address=_cut(waiting.target),
            action=request[CONTEXT].portal.origin + waiting.target,
            name=visit.held,
            fields=tuple(map(_shown, waiting.fields[:_MOST_SHOWN])),
            files=tuple(map(_cut, waiting.files[:_MOST_SHOWN])),
            is_whole=waiting.is_whole and max(len(waiting.fields), len(waiting.files)) <= _MOST_SHOWN,
            back=visit.return_to,
        )

    async def discard(self, request: web.Request) -> web.StreamResponse:
        """POST step-up/discard: forgets it. What is gone already has been forgotten as well."""
        visit = visit_of(request, await submitted(request, self._audit), now=self._clock())
        session = await self._session(visit)
        if session is None:
            return sign_in_first(request, visit.return_to)
        if visit.held is not None:
            await self._held.discard(visit.held, session)
        return onward(request, visit.return_to, None)

    async def _session(self, visit: Visit) -> Session | None:
        current = await self._sessions.current(
            portal_id=visit.portal_id, ticket_text=visit.ticket_text, now=visit.now
        )
        return None if current is None else current.session


def _shown(pair: tuple[str, str]) -> ShownField:
    name, value = pair
    is_secret = _SECRET_NAME.search(name) is not None
    return ShownField(name=_cut(name), value="" if is_secret else _cut(value), is_secret=is_secret)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "…"
