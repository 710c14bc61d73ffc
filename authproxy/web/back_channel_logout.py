"""The endpoint at which the provider says that somebody has signed out there (OpenID Connect Back-Channel
Logout 1.0 §2.5, §2.8). It is asked server to server, so there are no cookies, and the form need not come from
our own page. The token's signature is the proof.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime

from aiohttp import web

from authproxy.access.unavailable import CannotAsk
from authproxy.flows.ending.back_channel_logout import BackChannelLogout, LogoutRefused, SessionsEnded
from authproxy.telemetry.audit import Audit, Event
from authproxy.telemetry.metrics import Metrics
from authproxy.web.forms import fields_of
from authproxy.web.refusals import Refused


class BackChannelLogoutEndpoint:
    def __init__(
        self, *, logout: BackChannelLogout, audit: Audit, metrics: Metrics, clock: Callable[[], datetime]
    ) -> None:
        self._logout = logout
        self._audit = audit
        self._metrics = metrics
        self._clock = clock

    async def receive(self, request: web.Request) -> web.StreamResponse:
        """POST backchannel-logout: 200 once the sessions have ended, and 400 for a token that must not be
        believed. Raises CannotAsk, which becomes 503."""
        try:
            token_text = (await fields_of(request)).get("logout_token")
        except Refused:
            token_text = None
        if token_text is None:
            return self._refused("the request is no form with one logout_token")
        try:
            outcome = await self._logout.end(token_text, now=self._clock())
        except CannotAsk:
            self._metrics.back_channel_logouts["unavailable",] += 1
            raise
        if isinstance(outcome, LogoutRefused):
            self._audit.record(Event.PROVIDER_LOGOUT_REFUSED, detail=outcome.detail)
            return self._refused(outcome.detail)
        self._record(outcome)
        return web.Response()

    def _record(self, ended: SessionsEnded) -> None:
        self._metrics.back_channel_logouts["accepted",] += 1
        self._audit.record(
            Event.PROVIDER_LOGOUT_ACCEPTED,
            person=ended.person,
            detail=f"{len(ended.sessions)} ended, named by {ended.named_by}",
        )
        for session in ended.sessions:
            self._audit.record(
                Event.SESSION_REVOKED,
                person=ended.person,
                by="provider",
                portal=session.portal,
                method=session.method,
                session_id=session.session_id,
            )

    def _refused(self, detail: str) -> web.Response:
        self._metrics.back_channel_logouts["refused",] += 1
        return web.json_response(
            {"error": "invalid_request", "error_description": detail}, status=400, dumps=json.dumps
        )
