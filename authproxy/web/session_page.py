"""The session page: who is signed in, at which level, until when, and the person's other sessions and step-up
methods. Looking at it does not keep the session alive."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from aiohttp import web

from authproxy.flows.access import Access
from authproxy.flows.step_up.enrolling import Enrolling
from authproxy.identity.session import SessionId, StoredSession
from authproxy.telemetry.audit import Audit, Event
from authproxy.web import cookies, return_to
from authproxy.web.forms import cookie_fields, submitted
from authproxy.web.pages import Pages, see
from authproxy.web.request_context import PortalPresentation
from authproxy.web.request_keys import CONTEXT
from authproxy.web.step_up_answers import sign_in_first
from authproxy.web.visits import visit_of

_WARNED_BEFORE = timedelta(minutes=2)
"""How long before its end people are warned that a session is about to end. WCAG 2.2 SC 2.2.1: at least 20
seconds."""


class SessionPages:
    def __init__(
        self,
        *,
        sessions: Access,
        pages: Pages,
        audit: Audit,
        portals: Mapping[str, PortalPresentation],
        clock: Callable[[], datetime],
        certificates_end: Callable[[datetime], datetime | None],
        enrolling: Enrolling,
    ) -> None:
        self._sessions = sessions
        self._pages = pages
        self._audit = audit
        self._portals = portals
        self._clock = clock
        self._certificates_end = certificates_end
        self._enrolling = enrolling

    async def show(self, request: web.Request) -> web.StreamResponse:
        """GET session: a page for people, a JSON object for scripts."""
        now = self._clock()
        current = await self._current(request, now)
        if current is None:
            return sign_in_first(request, return_to.HOME)
        if not request[CONTEXT].is_page_load:
            return _described(current, now)
        return self._pages.answer(
            request,
            "session.html",
            here="session",
            said=request.query.get("said"),
            session=current.session,
            ends_at=_end(current),
            seconds_left=_seconds(_end(current) - now),
            seconds_to_absolute_end=_seconds(current.session.expires_at - now),
            others=await self._sessions.others(current.session, now=now),
            portals=self._portals,
            methods=await self._enrolling.listed(visit_of(request, {}, now=now)),
            certificates_end_at=self._certificates_end(now) if current.session.method == "acnlb" else None,
        )

    async def extend(self, request: web.Request) -> web.StreamResponse:
        """POST session/extend: moves the idle end, as any request of the person does. The absolute end
        stays."""
        await submitted(request, self._audit)
        now = self._clock()
        ticket = cookies.ticket_in(cookie_fields(request))
        current = await self._sessions.extend(
            portal_id=request[CONTEXT].portal.portal_id, ticket_text=ticket.value, now=now
        )
        if current is None:
            return sign_in_first(request, return_to.HOME)
        return (
            see(request, "session", {"said": "extended"})
            if request[CONTEXT].is_page_load
            else _described(current, now)
        )

    async def end_others(self, request: web.Request) -> web.StreamResponse:
        """POST session/end: ends one other session of the same person, or all of them. Succeeds also if the
        session had ended before."""
        fields = await submitted(request, self._audit)
        now = self._clock()
        current = await self._current(request, now)
        if current is None:
            return sign_in_first(request, return_to.HOME)
        ends_all = fields.get("which") == "others"
        if ends_all:
            ended = [summary.session_id for summary in await self._sessions.others(current.session, now=now)]
        else:
            ended = [SessionId(fields.get("session_id", ""))]
        for session_id in ended:
            if await self._sessions.end_other(current.session, session_id, now=now):
                self._audit.record(
                    Event.SESSION_REVOKED, session_id=session_id, person=current.session.person, by="person"
                )
        return see(request, "session", {"said": "others-ended" if ends_all else "ended"})

    async def _current(self, request: web.Request, now: datetime) -> StoredSession | None:
        ticket = cookies.ticket_in(cookie_fields(request))
        return await self._sessions.current(
            portal_id=request[CONTEXT].portal.portal_id, ticket_text=ticket.value, now=now
        )


def _end(current: StoredSession) -> datetime:
    """When the session ends if its person does nothing."""
    return min(current.idle_end, current.session.expires_at)


def _seconds(span: timedelta) -> int:
    return max(int(span.total_seconds()), 0)


def _described(current: StoredSession, now: datetime) -> web.Response:
    session = current.session
    authenticated_at = session.authenticated_at
    members = {
        "subject": session.person.subject,
        "name": session.person.name,
        "method": session.method,
        "level": int(session.level),
        "portal": session.portal,
        "session_id": session.session_id,
        "step_up": [
            {"method": event.method, "at": event.at.isoformat(timespec="seconds")}
            for event in session.events
            if event.is_step_up
        ],
        "started_at": session.started_at.isoformat(timespec="seconds"),
        "authenticated_at": None
        if authenticated_at is None
        else authenticated_at.isoformat(timespec="seconds"),
        "expires_at": session.expires_at.isoformat(timespec="seconds"),
        "idle_ends_at": current.idle_end.isoformat(timespec="seconds"),
        # Spans too: the browser's clock may be wrong.
        "seconds_left": _seconds(_end(current) - now),
        "seconds_to_absolute_end": _seconds(session.expires_at - now),
        "warned_before": _seconds(min(_WARNED_BEFORE, session.idle_for / 2)),
    }
    return web.Response(text=json.dumps(members) + "\n", content_type="application/json", charset="utf-8")
