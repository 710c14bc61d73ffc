"""The page about one's own session: who, how strong, until when, the other sessions. Looking at it keeps no session alive."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Protocol

from aiohttp import hdrs, web

from authproxy.access.decision import Reason
from authproxy.flows.access import CurrentSession
from authproxy.identity.session import Session, SessionId, SessionSummary
from authproxy.telemetry.audit import Audit, Event
from authproxy.web import cookies
from authproxy.web.forms import cookie_fields, submitted
from authproxy.web.pages import CONTEXT, PREFIX, Pages
from authproxy.web.refusals import Refused
from authproxy.web.request_context import PortalPresentation


class Sessions(Protocol):
    async def current(self, *, portal_id: str, ticket_text: str | None, now: datetime) -> CurrentSession | None: ...

    async def others(self, session: Session, *, now: datetime) -> tuple[SessionSummary, ...]: ...

    async def end_other(self, session: Session, session_id: SessionId, *, now: datetime) -> bool: ...


class SessionPages:
    def __init__(
        self, *, sessions: Sessions, pages: Pages, audit: Audit, portals: Mapping[str, PortalPresentation], clock: Callable[[], datetime]
    ) -> None:
        self._sessions = sessions
        self._pages = pages
        self._audit = audit
        self._portals = portals
        self._clock = clock

    async def show(self, request: web.Request) -> web.StreamResponse:
        """GET session: a page for people, a JSON object for scripts."""
        now = self._clock()
        current = await self._current(request, now)
        if current is None:
            return _sign_in_first(request)
        idle_ends_at = current.last_active_at + current.session.idle_for
        left = max(min(current.session.expires_at, idle_ends_at) - now, timedelta())
        if not request[CONTEXT].is_page_load:
            return _described(current.session, idle_ends_at=idle_ends_at, left=left)
        return self._pages.answer(
            request,
            "session.html",
            form_targets=(),
            session=current.session,
            idle_ends_at=idle_ends_at,
            minutes_left=int(left / timedelta(minutes=1)),
            others=await self._sessions.others(current.session, now=now),
            portals=self._portals,
        )

    async def end_other(self, request: web.Request) -> web.StreamResponse:
        """POST session/end: ends another session of the same person. One that is over already has ended as well."""
        fields = await submitted(request, self._audit)
        now = self._clock()
        current = await self._current(request, now)
        if current is None:
            return _sign_in_first(request)
        session_id = SessionId(fields.get("session_id", ""))
        if await self._sessions.end_other(current.session, session_id, now=now):
            self._audit.record(Event.SESSION_REVOKED, session_id=session_id, person=current.session.person, by="person")
        return _see(request, "session")

    async def _current(self, request: web.Request, now: datetime) -> CurrentSession | None:
        ticket = cookies.ticket_in(cookie_fields(request))
        return await self._sessions.current(portal_id=request[CONTEXT].portal.portal_id, ticket_text=ticket.value, now=now)


def _sign_in_first(request: web.Request) -> web.Response:
    if not request[CONTEXT].is_page_load:
        raise Refused(Reason.NO_SESSION)
    return _see(request, "login")


def _see(request: web.Request, name: str) -> web.Response:
    context = request[CONTEXT]
    language = f"?lang={context.locale}" if context.locale_is_chosen else ""
    return web.Response(status=303, headers={hdrs.LOCATION: f"{context.portal.origin}{PREFIX}{name}{language}"})


def _described(session: Session, *, idle_ends_at: datetime, left: timedelta) -> web.Response:
    members = {
        "subject": session.person.subject,
        "name": session.person.name,
        "method": session.method,
        "level": int(session.level),
        "portal": session.portal,
        "session_id": session.session_id,
        "started_at": session.started_at.isoformat(timespec="seconds"),
        "expires_at": session.expires_at.isoformat(timespec="seconds"),
        "idle_ends_at": idle_ends_at.isoformat(timespec="seconds"),
        "seconds_left": int(left.total_seconds()),
    }
    return web.Response(text=json.dumps(members) + "\n", content_type="application/json", charset="utf-8")
