"""A real edge on loopback between a raw client and a recording portal: the listener, its gate, and the
counterparts whose part the tests play.

The counterparts read and write bytes, because what is tested is framing; h11 reads answers as a second
opinion on llhttp.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import socket
import ssl
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import h11

from authproxy.access.decision import (
    Allowed,
    AuthenticationRequired,
    Decision,
    Denied,
    Reason,
    StepUpRequired,
    Unavailable,
)
from authproxy.access.routes import Portal, Requirement, Route, StepUp
from authproxy.access.sender import Sender
from authproxy.access.target import RequestTarget
from authproxy.edge.client.listener import Listener
from authproxy.edge.client.sockets import BoundAddress, ListenAddress, bind
from authproxy.edge.rules.client_address import TrustedProxies
from authproxy.edge.rules.headers import RequestFilter
from authproxy.edge.rules.public_addresses import PublicAddresses
from authproxy.edge.rules.via import Via
from authproxy.edge.site import EdgeLimits, FormKeeping, Gate, Site, Way
from authproxy.edge.upstream.pool import Upstream, UpstreamPool
from authproxy.identity.assurance import AuthenticationEvent, Level
from authproxy.identity.person import Issuer, Person, Subject
from authproxy.identity.session import Session, SessionId
from authproxy.telemetry.identifiers import Identifiers

PATIENCE = 10.0
"""Seconds after which a test gives up waiting. Nothing waits that long unless it is broken."""
_TURNS_OF_LEAVING = 200
"""In which the loop hears of clients that have closed."""
HOST = "acq.localhost"
NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
GOOD, FORBIDDEN, UNANSWERABLE, SLOW = "1.good", "1.forbidden", "1.unanswerable", "1.slow"
"""Tickets: each is a case of `TicketAccess`."""
COOKIE = f"Cookie: __Host-authproxy={GOOD}\r\n"
HANDSHAKE = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)
"""The fields by which a client asks for a WebSocket."""
SWITCHED = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
    b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)
"""The answer of a portal that has switched to it."""
IDENTITY = (
    b"X-Auth-Subject: ana-subject\r\nX-Auth-Name: Ana\r\nX-Auth-Level: 20\r\nX-Auth-Assertion: "
    b"header.payload.signature\r\n"
)
NOBODY = b"X-Auth-Subject: -\r\nX-Auth-Name: -\r\nX-Auth-Level: -\r\n"

OPEN = Route(name="open", path="/open", access="public", requirement=Requirement())
ROUTE = Route(name="all", path="/", requirement=Requirement())
GUARDED = Route(
    name="acq/payments POST",
    path="/",
    requirement=Requirement(step_up=StepUp(methods=("push", "totp"), max_age=timedelta(minutes=5))),
)
PORTAL = Portal(portal_id="acq", origin=f"http://{HOST}", host=HOST, routes=(ROUTE,))
SESSION = Session(
    session_id=SessionId("session-of-ana"),
    portal="acq",
    person=Person(issuer=Issuer("https://idp.example"), subject=Subject("ana-subject")),
    method="rekono",
    level=Level.MEDIUM,
    events=(AuthenticationEvent(method="rekono", at=NOW, source="https://idp.example", is_step_up=True),),
    started_at=NOW,
    expires_at=NOW + timedelta(hours=8),
    idle_for=timedelta(minutes=15),
)


def request(line: str, *fields: str, host: str = HOST, cookie: str = COOKIE, body: bytes = b"") -> bytes:
    """A request as bytes: signed in unless `cookie` is empty."""
    return (
        f"{line} HTTP/1.1\r\nHost: {host}\r\n{cookie}" + "".join(f"{field}\r\n" for field in fields) + "\r\n"
    ).encode("latin-1") + body


class TicketAccess:
    """Decides by the ticket alone, as the gateway's access does for a portal with one route."""

    def __init__(self) -> None:
        self.asked: list[RequestTarget] = []
        self.revoked: set[str] = set()
        self.activities: list[str | None] = []
        """What has happened on open connections each time somebody looked after them."""
        self.lacks_proof: set[str] = set()
        self.closed: tuple[str, ...] = ()
        """Beginnings of paths that nobody may enter."""
        self.public: tuple[str, ...] = ()
        """Beginnings of paths that everybody may enter."""
        self.sessions: dict[str, Session] = {}
        """Sessions of tickets, if not Ana's."""
        self.may_answer = asyncio.Event()
        """Until it is set, the SLOW ticket gets no decision."""

    def decide_now(
        self, portal: Portal, target: RequestTarget, sender: Sender, now: datetime
    ) -> Decision | None:
        self.asked.append(target)
        ticket = sender.ticket
        if self.closed and target.path.startswith(self.closed):
            return Denied(reason=Reason.LEVEL_TOO_LOW, portal=portal, route=ROUTE, session=SESSION)
        return None if ticket == SLOW else self._decision(portal, target, ticket)

    def decide_soon(
        self,
        portal: Portal,
        target: RequestTarget,
        sender: Sender,
        now: datetime,
        then: Callable[[Decision | None], None],
    ) -> Decision | None:
        decision = self.decide_now(portal, target, sender, now)
        if decision is None:
            then(None)
        return decision

    async def decide(self, portal: Portal, target: RequestTarget, sender: Sender, now: datetime) -> Decision:
        await self.may_answer.wait()
        return self._decision(portal, target, sender.ticket)

    def still_allowed_now(self, allowed: Allowed, sender: Sender, now: datetime, **what: Any) -> bool | None:
        self.activities.append(what["activity"])
        return None

    async def still_allowed(self, allowed: Allowed, sender: Sender, now: datetime, **what: Any) -> bool:
        return allowed.session is None or sender.ticket not in self.revoked

    def _decision(self, portal: Portal, target: RequestTarget, ticket: str | None) -> Decision:
        if ticket in {GOOD, SLOW, *self.sessions} and ticket not in self.revoked:
            session = self.sessions.get(ticket, SESSION)
            if ticket in self.lacks_proof:
                return StepUpRequired(portal=portal, route=GUARDED, session=session)
            return Allowed(portal=portal, route=ROUTE, session=session, identity_headers=IDENTITY)
        if ticket == FORBIDDEN:
            return Denied(reason=Reason.LEVEL_TOO_LOW, portal=portal, route=ROUTE, session=SESSION)
        if ticket == UNANSWERABLE:
            return Unavailable(reason=Reason.STORE_UNAVAILABLE, portal=portal)
        if self.public and target.path.startswith(self.public):
            return Allowed(portal=portal, route=OPEN, session=None, identity_headers=NOBODY)
        return AuthenticationRequired(reason=Reason.NO_SESSION, portal=portal)


REQUEST_ID = f"{0:016x}"
"""The id of the first request of an edge."""


def counted_bytes(size: int) -> bytes:
    """Instead of random bytes: request ids are numbers."""
    return b"".join(number.to_bytes(8, "big") for number in range(size // 8))


class RecordingReader(asyncio.StreamReader):
    """Keeps every byte that arrives, read or not."""

    def __init__(self) -> None:
        super().__init__()
        self.recorded = bytearray()

    def feed_data(self, data: bytes) -> None:
        self.recorded += data
        super().feed_data(data)


class Conversation:
    """One connection that the edge made to a counterpart. `received` holds every byte of it, read by the
    script or not."""

    def __init__(self, reader: RecordingReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.received = reader.recorded
        self.is_over = asyncio.Event()

    async def read(self, most: int = 65536) -> bytes:
        """Empty at the end."""
        return await self.reader.read(most)

    async def read_until(self, end: bytes) -> bytes:
        return await self.reader.readuntil(end)

    async def read_request(self) -> tuple[bytes, bytes]:
        """Head and raw body of a request, framed as it says."""
        head = await self.read_until(b"\r\n\r\n")
        return head, await self.read_body(head)

    async def read_body(self, head: bytes) -> bytes:
        lower = head.lower()
        if b"\r\ntransfer-encoding: chunked\r\n" in lower:
            body = b""
            while True:
                size = await self.read_until(b"\r\n")
                if int(size, 16) == 0:
                    body += size
                    while (line := await self.read_until(b"\r\n")) != b"\r\n":
                        body += line
                    return body + line
                body += size + await self.reader.readexactly(int(size, 16) + 2)
        if b"\r\ncontent-length: " in lower:
            return await self.reader.readexactly(
                int(lower.partition(b"\r\ncontent-length: ")[2].partition(b"\r\n")[0])
            )
        return b""

    async def say(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, body: bytes = b"fine", *, status: str = "200 OK", fields: bytes = b"") -> None:
        await self.say(
            b"HTTP/1.1 %s\r\nContent-Length: %d\r\n%s\r\n%s" % (status.encode(), len(body), fields, body)
        )


Script = Callable[[Conversation], Awaitable[None]]


async def answers_everything(conversation: Conversation) -> None:
    """Answers each request with its request line, until the edge closes."""
    while True:
        head, _ = await conversation.read_request()
        line = head.partition(b"\r\n")[0]
        await conversation.answer(b"" if head.startswith(b"HEAD ") else line)


class Counterpart:
    """A server that records what it gets and answers by script: the portal, or our pages."""

    def __init__(self, script: Script = answers_everything) -> None:
        self.script = script
        self.conversations: list[Conversation] = []
        self.port = 0
        self._server: Any = None
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def received(self) -> bytes:
        return b"".join(bytes(conversation.received) for conversation in self.conversations)

    @property
    def heads(self) -> list[bytes]:
        """The request heads of all conversations, for counterparts that got no bodies."""
        return [head for head in self.received.split(b"\r\n\r\n") if head]

    async def listen(
        self, *, unix: Path | None = None, tls: ssl.SSLContext | None = None, has_small_window: bool = False
    ) -> None:
        loop = asyncio.get_running_loop()
        if unix is not None:
            self._server = await loop.create_unix_server(self._protocol, str(unix))
        else:
            listening = socket.create_server(("127.0.0.1", 0))
            if has_small_window:
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            self._server = await loop.create_server(self._protocol, sock=listening, ssl=tls)
            self.port = listening.getsockname()[1]

    def _protocol(self) -> asyncio.StreamReaderProtocol:
        return asyncio.StreamReaderProtocol(RecordingReader(), self._serve)  # type: ignore[arg-type]

    async def _serve(self, reader: RecordingReader, writer: asyncio.StreamWriter) -> None:
        conversation = Conversation(reader, writer)
        self.conversations.append(conversation)
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
                await self.script(conversation)
        except asyncio.CancelledError:
            return  # the test is over
        finally:
            conversation.is_over.set()
            self._tasks.discard(task)
            with contextlib.suppress(Exception):
                writer.close()

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=PATIENCE)


async def renders_refusals(conversation: Conversation) -> None:
    """Our pages as the edge sees them: a refusal has the status and reason that it was asked for."""
    while True:
        head, _ = await conversation.read_request()
        fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
        status = fields.get(b"X-Authproxy-Status", b"200").decode()
        body = b"<h1>page %s</h1>" % fields.get(b"X-Authproxy-Reason", head.split(b" ")[1])
        shown = b"" if head.startswith(b"HEAD ") else body
        await conversation.say(
            b"HTTP/1.1 %s Page\r\nContent-Type: text/html\r\nSet-Cookie: "
            b"__Host-authproxy-flow=f\r\nContent-Length: %d\r\n\r\n%s" % (status.encode(), len(body), shown)
        )


RECORDED = (
    "request_id",
    "portal",
    "method",
    "path",
    "status",
    "decision",
    "reason",
    "rule",
    "session",
    "client",
    "dialect",
    "bytes_in",
    "bytes_out",
    "seconds",
    "decision_seconds",
    "upstream_seconds",
)


@dataclass
class ReadAnswer:
    """An answer as h11 read it. `interim` are the statuses before it."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes = b""
    interim: list[int] = field(default_factory=list)
    trailers: list[tuple[bytes, bytes]] = field(default_factory=list)

    def all(self, name: str) -> list[bytes]:
        return [value for key, value in self.headers if key == name.lower().encode()]

    def get(self, name: str) -> bytes | None:
        values = self.all(name)
        assert len(values) < 2, f"{name} stands {len(values)} times"
        return values[0] if values else None


class RawClient:
    """A client of the edge that sends bytes and reads answers with h11, which raises for one that is not
    complete."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self._rest = b""

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        with contextlib.suppress(ConnectionError):
            await asyncio.wait_for(self.writer.drain(), PATIENCE)

    async def answer(self, method: str = "GET") -> ReadAnswer:
        oracle = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
        oracle.send(h11.Request(method=method, target="/", headers=[("Host", HOST)]))
        oracle.send(h11.EndOfMessage())
        if self._rest:
            oracle.receive_data(self._rest)
            self._rest = b""
        interim: list[int] = []
        answer: ReadAnswer | None = None
        body: list[bytes] = []
        while True:
            event = oracle.next_event()
            if event is h11.NEED_DATA:
                oracle.receive_data(await self.some())
            elif isinstance(event, h11.InformationalResponse):
                interim.append(event.status_code)
            elif isinstance(event, h11.Response):
                answer = ReadAnswer(event.status_code, list(event.headers), interim=interim)
            elif isinstance(event, h11.Data):
                body.append(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage):
                assert answer is not None
                answer.body, answer.trailers = b"".join(body), list(event.headers)
                self._rest = oracle.trailing_data[0]
                return answer
            else:
                raise ConnectionResetError(f"the edge closed instead of answering: {event}")

    def unread(self, data: bytes) -> None:
        """Gives back what `some` has read, to be read by `answer`."""
        self._rest = data + self._rest

    async def some(self) -> bytes:
        return await asyncio.wait_for(self.reader.read(65536), PATIENCE)

    async def everything(self) -> bytes:
        """What comes until the edge closes; a reset ends it, too."""
        data, self._rest = self._rest, b""
        with contextlib.suppress(ConnectionError):
            while piece := await self.some():
                data += piece
        return data

    async def ask(self, line: str, *fields: str, cookie: str = COOKIE, body: bytes = b"") -> ReadAnswer:
        await self.send(request(line, *fields, cookie=cookie, body=body))
        return await self.answer(line.partition(" ")[0])

    def close(self) -> None:
        self.writer.transport.abort()


class Edge:
    """The listener with everything around it. Time for limits is the loop's plus what `pass_time` has
    added."""

    def __init__(
        self, gate: Gate, listener: Listener, portal: Counterpart, pages: Counterpart, access: TicketAccess
    ) -> None:
        self.gate, self.listener, self.portal, self.pages, self.access = gate, listener, portal, pages, access
        self.port = 0
        self.unix: Path = Path()
        self.observed: list[dict[str, object]] = []
        self.errors: list[dict[str, Any]] = []
        self.tls: ssl.SSLContext | None = None
        self.bound: tuple[BoundAddress, ...] = ()
        self.pool: UpstreamPool = gate.sites[HOST].way.pool
        self._clients: list[RawClient] = []

    async def client(self, *, unix: bool = False, has_small_window: bool = False) -> RawClient:
        """`has_small_window`: the kernel takes little on its behalf, so that not reading is felt by the
        edge."""
        if unix:
            reader, writer = await asyncio.open_unix_connection(str(self.unix))
        elif has_small_window:
            small = socket.socket()
            small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            small.setblocking(False)
            await asyncio.get_running_loop().sock_connect(small, ("127.0.0.1", self.port))
            reader, writer = await asyncio.open_connection(sock=small, limit=4096)
        else:
            name = HOST if self.tls else None
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", self.port, ssl=self.tls, server_hostname=name
            )
        client = RawClient(reader, writer)
        self._clients.append(client)
        return client

    async def exchange(self, data: bytes) -> bytes:
        """Sends bytes on a connection of their own and returns everything that comes back until the edge
        closes."""
        client = await self.client()
        await client.send(data)
        return await client.everything()

    def pass_time(self, seconds: float) -> None:
        """Lets `seconds` pass for all limits, and looks after the connections as the listener does every
        second."""
        self._offset += seconds
        self.listener.sweep(self.gate.time(), (self.pool, self.gate.pages))

    _offset = 0.0

    async def settled(self, condition: Callable[[], bool]) -> None:
        """Waits until `condition` holds; fails the test if it does not within PATIENCE."""
        async with asyncio.timeout(PATIENCE):
            while not condition():
                await asyncio.sleep(0.002)

    async def reloaded(self, *, closed: tuple[str, ...], tls: ssl.SSLContext | None = None) -> Listener:
        """Hands over to a new listener on the same sockets, as a reload does: there nobody may enter paths that
        begin with one of `closed`. Returns the listener before."""
        before, shared = self.listener, tuple(each.shared() for each in self.bound)
        self.access = TicketAccess()
        self.access.closed = closed
        self.gate = dataclasses.replace(self.gate, access=self.access)
        self.listener = Listener(self.gate, tls=tls)
        await self.listener.open(shared)
        for new, old in zip(shared, self.bound, strict=True):
            new.take_over(old)
        self.bound = shared
        before.hand_over(self.listener)
        return before

    def close_clients(self) -> None:
        for client in self._clients:
            client.close()


@contextlib.asynccontextmanager
async def running_edge(
    *,
    script: Script = answers_everything,
    limits: EdgeLimits | None = None,
    trusted: Iterable[str] = (),
    listener_tls: ssl.SSLContext | None = None,
    client_tls: ssl.SSLContext | None = None,
    upstream: Callable[[int, Path], Upstream] | None = None,
    portal_tls: ssl.SSLContext | None = None,
    portal_unix: bool = False,
    portal_has_small_window: bool = False,
    pool_limit: int = 64,
    pool_streams: int = 0,
    pool_reuses: bool = True,
    connect_timeout: float = 5.0,
    own_headers: Iterable[str] = (),
    portal: Portal = PORTAL,
    via: str = "authproxy",
    addresses: PublicAddresses | None = None,
    form_keeping: FormKeeping | None = None,
) -> AsyncIterator[Edge]:
    """An edge on a TCP port and a Unix socket, with one portal and the pages behind it. Fails the test for
    any error nobody expected."""
    loop = asyncio.get_running_loop()
    errors: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: errors.append(context))
    with tempfile.TemporaryDirectory(prefix="edge-") as folder:
        folder_path = Path(folder)
        portal_server, pages = Counterpart(script), Counterpart(renders_refusals)
        await portal_server.listen(
            unix=folder_path / "portal.sock" if portal_unix else None,
            tls=portal_tls,
            has_small_window=portal_has_small_window,
        )
        await pages.listen(unix=folder_path / "pages.sock")
        portal_upstream = (
            upstream(portal_server.port, folder_path / "portal.sock")
            if upstream
            else Upstream(host="127.0.0.1", port=portal_server.port, addresses=addresses)
        )
        access = TicketAccess()
        observed: list[dict[str, object]] = []
        tasks: set[asyncio.Task[None]] = set()

        def spawn(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
            # As in a TaskGroup, an exception that reaches a task is a failure of everything.
            task = loop.create_task(work)
            tasks.add(task)
            task.add_done_callback(
                lambda done: (
                    tasks.discard(done),
                    done.cancelled() or (done.exception() and errors.append({"task": done})),
                )
            )
            return task

        site = Site(
            portal=portal,
            way=Way(
                pool=UpstreamPool(
                    portal_upstream,
                    upstream_connections=pool_limit,
                    connect_timeout=connect_timeout,
                    upstream_idle_timeout=30,
                    upstream_streams=pool_streams,
                    reuses=pool_reuses,
                    via=Via(via),
                ),
                limits=limits or EdgeLimits(),
            ),
            filter=RequestFilter(own_headers),
            forwarded=b"X-Forwarded-Proto: http\r\nX-Forwarded-Host: %s\r\n" % HOST.encode(),
            websocket_origins=frozenset({f"http://{HOST}".encode()}),
        )
        gate = Gate(
            sites={HOST: site},
            pages=UpstreamPool(
                Upstream(unix_path=str(folder_path / "pages.sock")),
                upstream_connections=64,
                connect_timeout=5,
                upstream_idle_timeout=30,
            ),
            access=access,
            trusted_proxies=TrustedProxies.of(trusted),
            limits=limits or EdgeLimits(),
            observer=lambda record: observed.append({name: getattr(record, name) for name in RECORDED}),
            identifiers=Identifiers(counted_bytes),
            clock=lambda: NOW,
            time=loop.time,
            spawn=spawn,
            form_keeping=form_keeping,
        )
        edge = Edge(gate, Listener(gate, tls=listener_tls), portal_server, pages, access)
        gate.time = lambda: loop.time() + edge._offset
        edge.observed, edge.errors, edge.tls = observed, errors, client_tls
        edge.unix = folder_path / "edge.sock"
        edge.bound = bind(
            (ListenAddress(key="tcp", host="127.0.0.1"), ListenAddress(key="unix", unix_path=edge.unix))
        )
        edge.port = (await edge.listener.open(edge.bound))[0][1]
        try:
            yield edge
        finally:
            edge.close_clients()
            access.may_answer.set()
            for _ in range(_TURNS_OF_LEAVING):
                if edge.listener.connection_count == 0:
                    edge.listener.hurry()  # nobody is left for whom an end would take its time
                    break
                await asyncio.sleep(0)
            await edge.listener.drain(0.2)
            for pool in site.pools():
                pool.close()
            gate.pages.close()
            await portal_server.close()
            await pages.close()
            if tasks:
                await asyncio.wait(tasks, timeout=PATIENCE)
        await asyncio.sleep(0)
    assert not errors, errors
