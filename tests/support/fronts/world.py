"""One gateway, store, provider and portal for all front proxies: each of them is in front of portals of its own
name, so that all run at the same time."""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import trustme

from authproxy.bootstrap.gateway import Gateway
from tests.support.fronts.every import FRONTS
from tests.support.fronts.front import Front, Places, Running
from tests.support.fronts.http2_client import Http2Answer, Http2Client
from tests.support.fronts.http3_client import Http3Client, http3_client
from tests.support.gateway import House, Person, open_house
from tests.support.http_client import Browser
from tests.support.nginx import RecordingPortal, recording_portal
from tests.support.ports import free_port
from tests.support.redis_server import RedisServer
from tests.support.step_up import enrol_everything, step_up_settings

PATIENCE = 15.0
OPEN, READABLE, DEMANDING, HIGHER, CLOSED = "/odprto", "/oglasi", "/potrdi", "/trezor", "/zaprto"
"""Places of every portal: for everybody, to be read by everybody, for a fresh proof, for a higher level of trust than Ana has, and for
nobody here."""
ROUTES = [
    {"path": OPEN, "access": "public"},
    {"path": READABLE, "methods": ["GET", "HEAD"], "access": "public"},
    {"path": DEMANDING, "step_up": {"methods": ["push", "totp", "sms"], "max_age": "5m"}},
    {"path": HIGHER, "level": "30"},
    {"path": CLOSED, "networks": ["192.0.2.0/24"]},
]
QUESTION_KEY = secrets.token_hex(32)
"""Of questions that a front proxy signs."""
_PORTALS = ("acq", "b2b", "bips", "bws", "ecmsweb", "bankomati")
_ENDING_COOKIES = ("envoy-spare", "haproxy-spare")
"""Places whose portals have a session of their own, which ends with ours."""
_CHUNK = 1 << 18
_LAST = 1 << 30
"""More answers than anybody waits for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a front proxy stands: a port, and the hosts that are there."""

    port: int
    hosts: Mapping[str, str]
    """By the names in the shipped files."""

    @property
    def url(self) -> str:
        return f"https://{self.hosts['acq.example.si']}:{self.port}"


@dataclass(kw_only=True)
class World:
    """What the scenarios share. `store` and the gateway can be taken away."""

    house: House
    store: RedisServer
    portal: RecordingPortal
    tap: Tap
    tls: ssl.SSLContext
    """Of clients that trust the hosts' certificate."""
    places: Mapping[str, Place]
    spares: Mapping[str, Place]
    """A second place for each kind of front proxy, with portals of its own: for broken deployments."""
    folder: Path
    http2: Http2Client
    started: dict[str, Running] = field(default_factory=dict)
    people: dict[str, Person] = field(default_factory=dict)
    """Ana's browsers, by kind of front proxy."""
    _gateway: AsyncExitStack = field(default_factory=AsyncExitStack)
    _http3: Http3Client | None = None
    _kept: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    @property
    def gateway(self) -> Gateway:
        assert self.house.gateway is not None
        return self.house.gateway

    def front(self, kind: Front) -> Standing:
        """The front proxy with the shipped files. It is started once, and stays."""
        place = self.places[kind.name]
        if kind.name not in self.started:
            self.started[kind.name] = self._kept.enter_context(
                kind.started(self._placed(kind, place, kind.name), kind.files())
            )
        return Standing(kind=kind, world=self, place=place, running=self.started[kind.name])

    @contextlib.contextmanager
    def broken(
        self, kind: Front, files: Mapping[str, str], gateway: SilentGateway | None = None
    ) -> Iterator[Standing]:
        """Another one at the spare place, with files that are not quite the shipped ones, or in front of
        something that is no gateway."""
        place = self.spares[kind.name]
        name = f"{kind.name}-{len(list(self.folder.iterdir()))}"
        places = self._placed(kind, place, name)
        if gateway is not None:
            places = replace(places, gateway=gateway.socket, gateway_port=gateway.port)
        with kind.started(places, files) as running:
            yield Standing(kind=kind, world=self, place=place, running=running)

    def over_http3(self) -> Http3Client:
        """The client for all front proxies that have HTTP/3. It is started once, and stays."""
        if self._http3 is None:
            folder = self.folder / "http3"
            folder.mkdir()
            servers = {
                place.port: place.hosts["acq.example.si"]
                for kind in FRONTS
                if "http3" not in kind.cannot
                for place in (self.places[kind.name],)
            }
            authority = self.folder.parent / "authority.pem"
            self._http3 = self._kept.enter_context(http3_client(servers, authority, folder))
        return self._http3

    def _placed(self, kind: Front, place: Place, folder: str) -> Places:
        (self.folder / folder).mkdir()
        return Places(
            folder=self.folder / folder,
            port=place.port,
            hosts=place.hosts,
            portal=self.tap.port,
            gateway=self.house.socket,
            gateway_port=self.house.ports["gateway"],
            chain=self.folder.parent / "chain.pem",
            key=self.folder.parent / "key.pem",
            chain_and_key=self.folder.parent / "chain-and-key.pem",
        )

    async def start_gateway(self) -> None:
        self.house.gateway = await self._gateway.enter_async_context(self.house.instance(self.house.settings))

    async def stop_gateway(self) -> None:
        self.house.gateway = None
        await self._gateway.aclose()

    @contextlib.asynccontextmanager
    async def without_gateway(self) -> AsyncIterator[None]:
        await self.stop_gateway()
        try:
            yield
        finally:
            await self.start_gateway()

    def end(self) -> None:
        self._kept.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A front proxy in the world. `url` is the portal as browsers know it."""

    kind: Front
    world: World
    place: Place
    running: Running

    @property
    def url(self) -> str:
        return self.place.url

    @property
    def host(self) -> str:
        """With the port, as browsers send it."""
        return self.url.removeprefix("https://")

    @property
    def portal(self) -> RecordingPortal:
        return self.world.portal

    @property
    def cannot(self) -> Mapping[str, str]:
        return self.kind.cannot

    @property
    def differs(self) -> Mapping[str, str]:
        return self.kind.differs

    def browser(self) -> Browser:
        return Browser(tls=self.world.tls)

    def person(self, email: str | None = None) -> Person:
        return (
            self.world.house.person(browser=self.browser())
            if email is None
            else self.world.house.person(email, browser=self.browser())
        )

    async def signed_in(self, path: str = "/", *, email: str | None = None) -> Person:
        """Ana at her browser, after a sign-in through the front proxy."""
        somebody = self.person(email)
        page = await somebody.signs_in(self.url + path)
        assert (page.status, page.text) == (200, "portal"), (page.status, page.text, self.running.errors)
        return somebody

    async def ana(self) -> Person:
        """Ana, who has signed in here in an earlier scenario, and still is."""
        known = self.world.people.get(self.url)
        if known is None or (await known.browser.fetch(self.url + "/")).status != 200:
            known = self.world.people[self.url] = await self.signed_in()
        return known

    def cookie(self, person: Person) -> str:
        return f"__Host-authproxy={person.ticket(self.url)}"

    async def over_http2(
        self,
        target: str,
        headers: Mapping[str, str | Sequence[str]] | None = None,
        *,
        method: str = "GET",
        body: bytes = b"",
        trailers: Mapping[str, str] | None = None,
        authority: str | None = None,
    ) -> Http2Answer:
        return await self.world.http2.ask(
            method,
            authority or self.host,
            target,
            headers,
            port=self.place.port,
            server=self.place.hosts["acq.example.si"],
            body=body,
            trailers=trailers,
        )

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """A TLS connection of its own, which is cut at the end of the block."""
        reader, writer = await asyncio.open_connection(
            "127.0.0.1",
            self.place.port,
            ssl=self.world.tls,
            server_hostname=self.place.hosts["acq.example.si"],
            limit=_CHUNK,
        )
        try:
            yield reader, writer
        finally:
            writer.transport.abort()

    async def raw(self, sent: bytes | str, *, answers: int = 1) -> bytes:
        """What comes back on a connection of its own for these bytes: so many answers, or less if the front
        proxy closes it before."""
        answer = bytearray()
        is_head = sent.startswith(b"HEAD " if isinstance(sent, bytes) else "HEAD ")
        async with asyncio.timeout(PATIENCE), self.connection() as (reader, writer):
            writer.write(sent.encode("latin-1") if isinstance(sent, str) else sent)
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                while _whole(answer, is_head=is_head) < answers and (piece := await reader.read(_CHUNK)):
                    answer += piece
        return bytes(answer)

    async def raw_get(
        self, target: str, *fields: str, cookie: str = "", method: str = "GET", host: str | None = None
    ) -> bytes:
        lines = [f"{method} {target} HTTP/1.1", f"Host: {host or self.host}", "Connection: close", *fields]
        if cookie:
            lines.append(f"Cookie: {cookie}")
        return await self.raw("\r\n".join([*lines, "", ""]))


def _whole(came: bytes | bytearray, *, is_head: bool) -> int:
    """How many whole answers these bytes are, without those before the final one (100 Continue). After one that
    closes the connection nothing comes any more. An answer that ends with the connection is never whole."""
    found, rest = 0, bytes(came)
    while b"\r\n\r\n" in rest:
        head, _, rest = rest.partition(b"\r\n\r\n")
        status = status_of(head)
        if status in {100, 103}:
            continue
        length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
        if is_head or status in {101, 204, 304}:
            pass
        elif length is not None:
            if len(rest) < int(length[1]):
                break
            rest = rest[int(length[1]) :]
        elif re.search(rb"\r\ntransfer-encoding: *chunked", head, re.IGNORECASE):
            if b"0\r\n\r\n" not in rest:
                break
            rest = rest.partition(b"0\r\n\r\n")[2]
        else:
            break
        found += 1
        if re.search(rb"\r\nconnection: *close", head, re.IGNORECASE):
            return _LAST
    return found


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


@dataclass(kw_only=True)
class SilentGateway:
    """Something that takes the front proxy's questions in the place of the gateway, and answers each of them
    with the same bytes, then closes the connection. With None it says nothing, and closes nothing."""

    socket: Path
    port: int
    says: bytes | None = None

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        servers = (
            await asyncio.start_unix_server(self._serve, self.socket),
            await asyncio.start_server(self._serve, "127.0.0.1", self.port),
        )
        self._connections: set[asyncio.Task[None]] = set()
        try:
            yield
        finally:
            for server in servers:
                server.close()
            for connection in self._connections:
                connection.cancel()
            await asyncio.gather(*self._connections, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.current_task()
        assert connection is not None
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                await reader.readuntil(b"\r\n\r\n")
                if self.says is None:
                    await reader.read()
                else:
                    writer.write(self.says)
                    await writer.drain()
        finally:
            writer.close()


class Tap:
    """Stands between the front proxies and the portal, passes on what comes, and keeps what the front proxies
    have sent while somebody listens, byte for byte."""

    def __init__(self, portal: int) -> None:
        self.port = free_port()
        self._portal = portal
        self._heard: list[bytearray] | None = None
        self._connections: set[asyncio.Task[None]] = set()

    @contextlib.contextmanager
    def heard(self) -> Iterator[list[bytearray]]:
        """What comes in the length of the block, connection by connection."""
        assert self._heard is None
        self._heard = []
        try:
            yield self._heard
        finally:
            self._heard = None

    @contextlib.contextmanager
    def leads_to(self, port: int) -> Iterator[None]:
        """Somebody else answers in the portal's place for the length of the block."""
        portal, self._portal = self._portal, port
        self._cut()
        try:
            yield
        finally:
            self._portal = portal
            self._cut()

    def _cut(self) -> None:
        # Front proxies keep connections, which would go on leading to where they led.
        for connection in self._connections:
            connection.cancel()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, limit=_CHUNK)
        try:
            yield
        finally:
            server.close()
            for connection in self._connections:
                connection.cancel()
            await asyncio.gather(*self._connections, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.current_task()
        assert connection is not None
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)
        try:
            onward, back = await asyncio.open_connection("127.0.0.1", self._portal, limit=_CHUNK)
        except OSError:
            writer.transport.abort()
            return
        turns = [
            asyncio.create_task(self._pass_on(reader, back, listens=True)),
            asyncio.create_task(self._pass_on(onward, writer, listens=False)),
        ]
        try:
            await asyncio.wait(turns, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for turn in turns:
                turn.cancel()
            for end in (writer, back):
                end.close()

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, listens: bool
    ) -> None:
        kept: bytearray | None = None
        of: list[bytearray] | None = None
        with contextlib.suppress(ConnectionError):
            while piece := await reader.read(_CHUNK):
                if listens and self._heard is not None:
                    if kept is None or of is not self._heard:
                        kept, of = bytearray(), self._heard
                        of.append(kept)
                    kept += piece
                writer.write(piece)
                await writer.drain()


@contextlib.asynccontextmanager
async def open_world(folder: Path) -> AsyncIterator[World]:
    places = {kind.name: _place(kind.name) for kind in FRONTS}
    spares = {kind.name: _place(f"{kind.name}-spare") for kind in FRONTS}
    names = sorted({host for place in (*places.values(), *spares.values()) for host in place.hosts.values()})
    authority = trustme.CA()
    _write_certificate(authority, names, folder)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(tls)
    tls.set_alpn_protocols(["http/1.1"])
    (folder / "fronts").mkdir()
    ports = {name: free_port() for name in ("outbox", "provider")}
    async with AsyncExitStack() as resources:
        store = resources.enter_context(RedisServer(append_only=True))
        portal = await resources.enter_async_context(recording_portal())
        tap = Tap(portal.port)
        await resources.enter_async_context(tap.running())
        sections = {
            "server": {
                "trusted_proxies": ["127.0.0.1"],
                "subrequest_key": [QUESTION_KEY],
                "subrequests_kept_for": "2s",
            },
            "store": {"url": store.socket_url, "deadline": "1s"},
            "step_up": step_up_settings(ports),
            "portals": dict(
                _portals((*places.items(), *((f"{n}-spare", p) for n, p in spares.items())), tap.port)
            ),
        }
        house = await resources.enter_async_context(
            open_house(store.socket_url, has_gateway=False, keeps_log=True, ports=ports, sections=sections)
        )
        world = World(
            house=house,
            store=store,
            portal=portal,
            tap=tap,
            tls=tls,
            places=places,
            spares=spares,
            folder=folder / "fronts",
            http2=await resources.enter_async_context(
                Http2Client.running(authority.cert_pem.bytes().decode())
            ),
        )
        resources.push_async_callback(world.stop_gateway)
        resources.callback(world.end)
        await world.start_gateway()
        await enrol_everything(house)
        yield world


def _place(name: str) -> Place:
    return Place(
        port=free_port(),
        hosts={f"{portal}.example.si": f"{portal}.{name}.localhost" for portal in _PORTALS},
    )


def _portals(places: tuple[tuple[str, Place], ...], upstream: int) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, place in places:
        for example, host in place.hosts.items():
            short = example.partition(".")[0]
            yield (
                f"{name}-{short}",
                {
                    "name": f"{short.upper()} ({name})",
                    "url": f"https://{host}:{place.port}",
                    "upstream": f"http://127.0.0.1:{upstream}",
                    "idle": "30m",
                    "preflight": "pass",
                    "routes": ROUTES,
                    "cookies": {"end_with_session": ["JSESSIONID"] if name in _ENDING_COOKIES else []},
                },
            )


def _write_certificate(authority: trustme.CA, names: list[str], folder: Path) -> None:
    issued = authority.issue_cert(*names)
    authority.cert_pem.write_to_path(folder / "authority.pem")
    issued.private_key_pem.write_to_path(folder / "key.pem")
    issued.private_key_and_cert_chain_pem.write_to_path(folder / "chain-and-key.pem")
    for place, blob in enumerate(issued.cert_chain_pems):
        blob.write_to_path(folder / "chain.pem", append=place > 0)
