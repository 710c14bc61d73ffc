"""The pages as they run: the application on a Unix socket, the edge's part played by whoever sets its
headers.

The use cases below them are scripted objects that satisfy the Protocols of `authproxy.web`: they hold state
and answer from it.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import aiohttp
from aiohttp import web
from multidict import CIMultiDict

from authproxy.access.decision import Reason
from authproxy.access.personal_cookies import PersonalCookies
from authproxy.access.unavailable import CannotAsk
from authproxy.flows.ending.back_channel_logout import LogoutRefused, SessionsEnded
from authproxy.flows.ending.logout import LogoutOutcome
from authproxy.flows.sign_in.attempts import AlreadySignedIn, SignedIn, SignInRefused
from authproxy.flows.visit import Visit
from authproxy.identity.assurance import AuthenticationEvent, Level
from authproxy.identity.person import Issuer, Person, Subject, TaxNumber
from authproxy.identity.session import Session, SessionId, SessionSummary, StoredSession
from authproxy.identity.ticket import SessionTicket
from authproxy.oidc.end_session import EndSessionRequest
from authproxy.telemetry.audit import Audit
from authproxy.telemetry.metrics import Metrics
from authproxy.web.application import Services, StepUpServices, application
from authproxy.web.pages import Links
from authproxy.web.rates import Rates
from authproxy.web.refused_sign_ins import RefusalSeals
from authproxy.web.request_context import PortalPresentation
from tests.support.step_up_script import ScriptedEnrolling, ScriptedHeldRequests, ScriptedStepUps

NOW = datetime(2026, 3, 2, 13, 5, tzinfo=UTC)
TICKET = SessionTicket(bytes(16), bytes(32)).text
OTHER_TICKET = SessionTicket(bytes([7]) * 16, bytes(32)).text
FLOW = "f" * 43
ACQ = PortalPresentation(
    portal_id="acq",
    origin="https://acq.example.si",
    names={"sl": "Portal za trgovce", "en": "Merchant portal"},
    contact="podpora@example.si",
)
B2B = PortalPresentation(
    portal_id="b2b",
    origin="http://b2b.example.si",
    names={"sl": "B2B"},
    contact="tel. 01 234 56 78",
    sign_in=("acnlb",),
)
LINKS = Links(
    dashboard_url="https://idp.example.si/dashboard",
    register_url=None,
    help_url="https://www.example.si/help",
)
SESSION = Session(
    session_id=SessionId("s" * 24),
    portal="acq",
    person=Person(
        issuer=Issuer("https://idp.example.si/"),
        subject=Subject("a1b2"),
        name="Ana <Novak>",
        email="ana@example.si",
        tax_number=TaxNumber("99990008"),
    ),
    method="rekono",
    level=Level.MEDIUM,
    events=(
        AuthenticationEvent(
            method="rekono", at=NOW - timedelta(hours=1), source="https://idp.example.si/", is_step_up=True
        ),
    ),
    started_at=NOW - timedelta(hours=1),
    expires_at=NOW + timedelta(hours=7),
    idle_for=timedelta(minutes=15),
    id_token="eyJhbGciOiJub25lIn0.e30.",
)
ELSEWHERE = SessionSummary(
    session_id=SessionId("o" * 24),
    portal="b2b",
    method="rekono",
    level=Level.MEDIUM,
    started_at=NOW - timedelta(hours=2),
    expires_at=NOW + timedelta(hours=6),
    last_active_at=NOW - timedelta(minutes=5),
    browser="Firefox, Windows",
)
PROVIDER_LOGOUT = EndSessionRequest(
    by="get",
    endpoint="https://idp.example.si/endsession",
    fields={
        "client_id": "prehod",
        "post_logout_redirect_uri": "https://acq.example.si/.authproxy/logout",
        "state": "st4te",
    },
)
EDGE = {"X-Authproxy-Portal": "acq", "X-Authproxy-Client": "203.0.113.7", "X-Request-Id": "0123abcd"}
PAGE = {"Sec-Fetch-Mode": "navigate", "Accept": "text/html", "Accept-Language": "en"}
FORM = {**PAGE, "Sec-Fetch-Site": "same-origin", "Origin": "https://acq.example.si"}


@dataclass
class ScriptedFlows:
    """The use cases. `down` makes every question to them impossible; `broken` is the fault of a
    programmer."""

    outcome: SignedIn | AlreadySignedIn | SignInRefused = field(
        default_factory=lambda: SignedIn(TICKET, "/", SESSION)
    )
    open_sessions: dict[str, Session] = field(default_factory=lambda: {TICKET: SESSION})
    elsewhere: list[SessionSummary] = field(default_factory=lambda: [ELSEWHERE])
    provider_logout: EndSessionRequest | None = None
    provider: str = "https://idp.example.si"
    is_looping: bool = False
    down: Reason | None = None
    broken: Exception | None = None
    begun: list[Mapping[str, object]] = field(default_factory=list)
    completed: list[Mapping[str, object]] = field(default_factory=list)
    last_active_at: datetime = NOW - timedelta(minutes=1)
    signed_out_with: str = ""
    """The cookies of the last sign-out."""

    def _ask(self) -> None:
        if self.down is not None:
            raise CannotAsk(self.down, "asked in vain")
        if self.broken is not None:
            raise self.broken

    async def begin(self, visit: Visit, *, anew: bool) -> str:
        self._ask()
        self.begun.append(
            {
                "portal": visit.portal_id,
                "return_to": visit.return_to,
                "browser": visit.browser,
                "locale": visit.locale,
                "anew": anew,
            }
        )
        return f"{self.provider}/authorize?state=x"

    async def complete(
        self, visit: Visit, parameters: Sequence[tuple[str, str]]
    ) -> SignedIn | AlreadySignedIn | SignInRefused:
        self._ask()
        self.completed.append(
            {
                "parameters": tuple(parameters),
                "browser": visit.browser,
                "ticket": visit.ticket_text,
                "user_agent": visit.user_agent,
            }
        )
        return self.outcome

    async def looping(self, browser: str | None, *, now: datetime) -> bool:
        return self.is_looping

    async def current(
        self, *, portal_id: str, ticket_text: str | None, now: datetime
    ) -> StoredSession | None:
        self._ask()
        session = self.open_sessions.get(ticket_text or "")
        return StoredSession(session=session, last_active_at=self.last_active_at) if session else None

    async def extend(self, *, portal_id: str, ticket_text: str | None, now: datetime) -> StoredSession | None:
        self._ask()
        self.last_active_at = now
        return await self.current(portal_id=portal_id, ticket_text=ticket_text, now=now)

    async def others(self, session: Session, *, now: datetime) -> tuple[SessionSummary, ...]:
        return tuple(self.elsewhere)

    async def end_other(self, session: Session, session_id: SessionId, *, now: datetime) -> bool:
        before = len(self.elsewhere)
        self.elsewhere[:] = [summary for summary in self.elsewhere if summary.session_id != session_id]
        return len(self.elsewhere) < before

    async def discard(self, session: Session) -> None:
        self.open_sessions = {ticket: one for ticket, one in self.open_sessions.items() if one != session}

    async def end(
        self, *, portal_id: str, ticket_text: str | None, now: datetime, everywhere: bool, cookies: str
    ) -> LogoutOutcome:
        self._ask()
        self.signed_out_with = cookies
        session = self.open_sessions.pop(ticket_text or "", None)
        others = tuple(summary.session_id for summary in self.elsewhere) if session and everywhere else ()
        if others:
            self.elsewhere.clear()
        return LogoutOutcome(session=session, provider_logout=self.provider_logout, others=others)


@dataclass
class ScriptedBackChannel:
    """What becomes of a logout token; `down` makes every question impossible."""

    outcome: SessionsEnded | LogoutRefused = field(
        default_factory=lambda: SessionsEnded(sessions=(ELSEWHERE,), person=SESSION.person, named_by="sid")
    )
    down: Reason | None = None
    received: list[str] = field(default_factory=list)

    async def end(self, token_text: str, *, now: datetime) -> SessionsEnded | LogoutRefused:
        if self.down is not None:
            raise CannotAsk(self.down, "asked in vain")
        self.received.append(token_text)
        return self.outcome


@dataclass
class PagesFixture:
    socket: Path
    flows: ScriptedFlows
    back_channel: ScriptedBackChannel
    audit_lines: list[str]
    metrics: Metrics
    portals: dict[str, PortalPresentation]
    step_ups: ScriptedStepUps
    held: ScriptedHeldRequests
    enrolling: ScriptedEnrolling
    browser: aiohttp.ClientSession

    @contextlib.asynccontextmanager
    async def asked(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        cookies: str | None = None,
        body: str | bytes | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The answer to one request; `headers` are the client's, to which the edge's are added."""
        sent = {**EDGE, **(PAGE if headers is None else headers)}
        if cookies is not None:
            sent["Cookie"] = cookies
        if body is not None:
            sent.setdefault("Content-Type", "application/x-www-form-urlencoded")
        async with self.browser.request(
            method, f"http://pages{path}", headers=sent, data=body, allow_redirects=False
        ) as answer:
            yield answer


@contextlib.asynccontextmanager
async def running_pages(
    *,
    rates: Rates | None = None,
    written: Callable[[str], Awaitable[bool]] | None = None,
    seals: RefusalSeals | None = None,
    clock: Callable[[], datetime] = lambda: NOW,
    hsts: str | None = "max-age=31536000; includeSubDomains",
    links: Links = LINKS,
    personal_cookies: Mapping[str, PersonalCookies] | None = None,
) -> AsyncIterator[PagesFixture]:
    """`written` says whether an audit event has been written; with it such events are required. With `seals`
    refused sign-ins are told at addresses of their own."""
    flows, back_channel = ScriptedFlows(), ScriptedBackChannel()
    portals = {"acq": ACQ, "b2b": B2B}
    audit_lines: list[str] = []
    metrics = Metrics(version="test")
    counter = iter(range(1, 1000))
    step_ups, held, enrolling = (
        ScriptedStepUps(SESSION, NOW),
        ScriptedHeldRequests(SESSION),
        ScriptedEnrolling(SESSION, NOW),
    )
    audit = Audit(
        audit_lines.append,
        clock=lambda: NOW,
        person_key=bytes(32),
        written=written,
        is_required=written is not None,
    )
    services = Services(
        login=flows,
        logout=flows,
        back_channel_logout=back_channel,
        sessions=flows,
        portals=portals,
        links=links,
        jwks=lambda: {"keys": [{"kty": "EC", "kid": "one"}]},
        audit=audit,
        metrics=metrics,
        clock=clock,
        random_text=lambda size: f"{next(counter):0{(size * 4 + 2) // 3}d}",
        zone=ZoneInfo("Europe/Ljubljana"),
        step_up=StepUpServices(step_ups=step_ups, held_requests=held, enrolling=enrolling),
        rates=rates or Rates({}),
        seals=seals,
        hsts=hsts,
        personal_cookies=personal_cookies or {},
    )
    with tempfile.TemporaryDirectory() as folder:
        socket = Path(folder) / "pages"
        runner = web.AppRunner(application(services), access_log=None)
        await runner.setup()
        await web.UnixSite(runner, str(socket)).start()
        try:
            async with aiohttp.ClientSession(
                connector=aiohttp.UnixConnector(str(socket)),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=10),
            ) as browser:
                yield PagesFixture(
                    socket=socket,
                    flows=flows,
                    back_channel=back_channel,
                    audit_lines=audit_lines,
                    metrics=metrics,
                    portals=portals,
                    step_ups=step_ups,
                    held=held,
                    enrolling=enrolling,
                    browser=browser,
                )
        finally:
            await runner.cleanup()


@contextlib.asynccontextmanager
async def front(
    house: PagesFixture, *, portal: Callable[[web.BaseRequest], web.Response] | None = None
) -> AsyncIterator[int]:
    """A TCP port before the pages for a real browser; it adds the edge's headers as the edge does.
    The portal acq then has its origin there. `portal` answers what is not ours."""

    async def forward(request: web.BaseRequest) -> web.StreamResponse:
        if portal is not None and not request.path.startswith("/.authproxy/"):
            return portal(request)
        client_headers = {
            name: value for name, value in request.headers.items() if name not in {"Host", "Content-Length"}
        }
        client_headers.update(EDGE)
        async with house.browser.request(
            request.method,
            f"http://pages{request.raw_path}",
            headers=client_headers,
            data=await request.read(),
            allow_redirects=False,
        ) as answer:
            kept = CIMultiDict(answer.headers)
            for name in ("Content-Length", "Content-Encoding", "Connection", "Date"):
                kept.pop(name, None)
            return web.Response(status=answer.status, headers=kept, body=await answer.read())

    runner = web.ServerRunner(web.Server(forward))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        server = site._server
        assert isinstance(server, asyncio.Server)
        port = server.sockets[0].getsockname()[1]
        house.portals["acq"] = replace(ACQ, origin=f"http://acq.localhost:{port}")
        yield port
    finally:
        await runner.cleanup()
