"""A crowd: thousands of people who open a page, read it, and open the next. One session that is asked for
thousands of times a second shows the cost of a hit; this shows how many requests are hits, and what a page
costs.

A front proxy asks about each request, over connections that it keeps. People are slow where the system is:
they begin to read when the page and all of its parts are there.
"""

from __future__ import annotations

import argparse
import asyncio
import heapq
import random
import re
import secrets
import time
import urllib.request
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import NamedTuple

import redis
import uvloop
from measuring import Load, cpu_seconds, memory
from systems import Systems

from authproxy.access.own_cookies import TICKET
from authproxy.bootstrap.clock import utc_now
from authproxy.identity.ticket import IDENTIFIER_SIZE, SECRET_SIZE, SessionTicket, parse
from authproxy.storage.records.sealing import KeyRing
from authproxy.storage.redis.connection import RedisConnection
from authproxy.storage.redis.sessions import RedisSessions

PARTS = 30
"""Sub-resources of a page, asked for at once when the page is there."""
_THINKS = (10.0, 30.0)
_CONNECTIONS = 32
_IDLE = 2.0
_PATIENCE = 30.0
_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)", re.IGNORECASE)
_LOOKUPS = re.compile(r'^authproxy_near_cache_lookups_total\{result="(\w+)"\} (\d+)', re.MULTILINE)


class Crowd(NamedTuple):
    """`scale` is how long a second of these people takes: less than 1 for a trial. The near cache's time is
    never scaled."""

    people: int
    before: float
    """Seconds until it is measured: as long as the near cache keeps a session."""
    measured: float
    scale: float = 1.0


class Watched(NamedTuple):
    """A system that the crowd asks. `metrics` is the address of authproxy's."""

    name: str
    loads: Sequence[Load]
    """One for each session. People share them in turns."""
    pids: Sequence[int]
    store_url: str
    metrics: str | None = None


class Result(NamedTuple):
    pages: int
    expected: float
    """Pages that people would have opened if every answer came at once."""
    milliseconds: float
    """CPU time of a page with all of its parts."""
    hits: float | None
    """Share of the requests for which authproxy asked the store nothing; None for others."""
    commands: float
    """What the store was told for each page, beside what gateways tell it all the time."""


def sessions(store_url: str, key: bytes, cookie: str, count: int) -> list[str]:
    """Cookies of `count` sessions of as many people, made in the store after the pattern of the session that
    `cookie` opens."""
    return uvloop.run(_sessions(store_url, key, cookie, count))


async def _sessions(store_url: str, key: bytes, cookie: str, count: int) -> list[str]:
    pattern = re.search(rf"{TICKET}=([^;]+)", cookie)
    ticket = None if pattern is None else parse(pattern[1])
    connection = RedisConnection(store_url, deadline=timedelta(seconds=_PATIENCE))
    store = RedisSessions(connection, keys=KeyRing((key,), random_bytes=secrets.token_bytes))
    try:
        stored = None if ticket is None else await store.load(ticket, now=utc_now())
        if stored is None:
            raise RuntimeError("the cookie opens no session")
        made = []
        for number in range(count):
            ticket = SessionTicket(secrets.token_bytes(IDENTIFIER_SIZE), secrets.token_bytes(SECRET_SIZE))
            person = replace(stored.session.person, subject=f"{stored.session.person.subject}-{number}")
            session = replace(stored.session, session_id=ticket.session_id, person=person)
            await store.create(ticket, session, browser="", now=utc_now())
            made.append(f"Cookie: {TICKET}={ticket.text}")
        return made
    finally:
        await connection.aclose()


def measured(crowd: Crowd, watched: Watched) -> Result:
    async def result() -> Result:
        people = _People(crowd, watched)
        try:
            return await people.result()
        finally:
            await people.leave()

    return uvloop.run(result())


class _People:
    def __init__(self, crowd: Crowd, watched: Watched) -> None:
        self._crowd = crowd
        self._watched = watched
        self._requests = [_request(load) for load in watched.loads]
        self._random = random.Random(watched.name)
        self._connections: list[_Connection] = []
        self._free: list[_Connection] = []
        self._waiting: deque[tuple[int, bool]] = deque()
        self._missing: dict[int, int] = {}
        self._next: list[tuple[float, int]] = []
        self._pages = 0
        self._lost = 0
        self._reconnecting: list[asyncio.Task[None]] = []
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def result(self) -> Result:
        crowd, loop = self._crowd, asyncio.get_running_loop()
        for _ in range(_CONNECTIONS):
            await self._connect()
        of_others = await self._idle_commands()
        begins_at = loop.time()
        # Nobody has waited long for the others: everybody is somewhere between two pages.
        first = sum(_THINKS) / 2 * crowd.scale
        self._next = [(begins_at + self._random.uniform(0, first), each) for each in range(crowd.people)]
        heapq.heapify(self._next)
        await self._until(begins_at + crowd.before * crowd.scale)
        began_at, before = loop.time(), self._counted()
        already = self._pages
        await self._until(loop.time() + crowd.measured * crowd.scale)
        while self._pages == already:
            await self._until(loop.time() + 0.1)
        ended_at, after = loop.time(), self._counted()
        pages, cpu, hits, misses, commands = (one - other for one, other in zip(after, before, strict=True))
        return Result(
            pages=round(pages),
            expected=crowd.people * crowd.measured / (sum(_THINKS) / 2),
            milliseconds=cpu / pages * 1000,
            hits=None if self._watched.metrics is None else hits / (hits + misses),
            commands=max(0.0, commands - of_others * (ended_at - began_at)) / pages,
        )

    async def leave(self) -> None:
        self._failed.cancel()
        for connection in self._connections:
            connection.close()
        await asyncio.sleep(0.01)

    async def _connect(self) -> None:
        host, port = re.findall(r"//([^:/]+):(\d+)/", self._watched.loads[0].url)[0]
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(lambda: _Connection(self), host, int(port))
        self._connections.append(connection)
        self._is_free(connection)

    async def _until(self, end: float) -> None:
        """Lets people open their pages."""
        loop = asyncio.get_running_loop()
        while (now := loop.time()) < end:
            while self._next and self._next[0][0] <= now:
                _, person = heapq.heappop(self._next)
                self._ask(person, is_page=True)
            if self._failed.done():
                self._failed.result()
            due = self._next[0][0] if self._next else end
            await asyncio.sleep(max(0.0, min(due, end, now + 0.01) - loop.time()))

    async def _idle_commands(self) -> float:
        """What gateways tell the store in a second while nobody asks them anything."""
        began_at, before = time.monotonic(), self._commands()
        await asyncio.sleep(_IDLE * self._crowd.scale)
        return (self._commands() - before) / (time.monotonic() - began_at)

    def _counted(self) -> tuple[float, ...]:
        """Pages, CPU seconds, hits, misses, commands of the store. Nothing else runs meanwhile."""
        return (self._pages, cpu_seconds(self._watched.pids), *self._lookups(), self._commands())

    def _commands(self) -> int:
        with redis.Redis.from_url(self._watched.store_url) as store:
            return store.info("stats")["total_commands_processed"]

    def _lookups(self) -> tuple[int, int]:
        if self._watched.metrics is None:
            return 0, 0
        with urllib.request.urlopen(self._watched.metrics, timeout=_PATIENCE) as answer:
            text = answer.read().decode()
        found = dict(_LOOKUPS.findall(text))
        return int(found.get("hit", 0)), int(found.get("miss", 0))

    def _ask(self, person: int, *, is_page: bool) -> None:
        if self._free:
            self._free.pop().ask(self._requests[person % len(self._requests)], person, is_page=is_page)
        else:
            self._waiting.append((person, is_page))

    def _is_free(self, connection: _Connection) -> None:
        self._free.append(connection)
        if self._waiting:
            waits, is_page = self._waiting.popleft()
            self._ask(waits, is_page=is_page)

    def lost(self, connection: _Connection, asked: tuple[int, bool] | None) -> None:
        """A server may close a connection; Apache does when it ends a thread. Another one takes its place."""
        if self._failed.done():
            return
        if connection in self._free:
            self._free.remove(connection)
        self._reconnecting = [task for task in self._reconnecting if not task.done()]
        self._reconnecting.append(asyncio.get_running_loop().create_task(self._connect()))
        if asked is not None:
            self._lost += 1
            if self._lost > 10 + self._pages / 3:
                self.fail("closes connections on which it was asked")
            person, is_page = asked
            self._ask(person, is_page=is_page)

    def fail(self, why: str) -> None:
        if not self._failed.done():
            self._failed.set_exception(RuntimeError(f"{self._watched.name}: {why}"))

    def answered(self, connection: _Connection, person: int, *, was_page: bool) -> None:
        self._is_free(connection)
        if was_page:
            self._missing[person] = PARTS
            for _ in range(PARTS):
                self._ask(person, is_page=False)
            return
        self._missing[person] -= 1
        if not self._missing[person]:
            self._pages += 1
            thinks = self._random.uniform(*_THINKS) * self._crowd.scale
            heapq.heappush(self._next, (asyncio.get_running_loop().time() + thinks, person))


class _Connection(asyncio.Protocol):
    """Asks one request at a time. Every answer must be 2xx."""

    def __init__(self, people: _People) -> None:
        self._people = people
        self._held = b""
        self._asked: tuple[int, bool] | None = None

    def connection_made(self, transport: asyncio.WriteTransport) -> None:
        self._transport = transport

    def ask(self, request: bytes, person: int, *, is_page: bool) -> None:
        self._asked = (person, is_page)
        self._transport.write(request)

    def close(self) -> None:
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        held = self._held + data
        head, found, body = held.partition(b"\r\n\r\n")
        if not found or len(body) < _length(head):
            self._held = held
            return
        self._held = b""
        if not head.startswith(b"HTTP/1.1 2") or self._asked is None:
            self._people.fail(head.partition(b"\r\n")[0].decode("ascii", "replace"))
            return
        (person, was_page), self._asked = self._asked, None
        self._people.answered(self, person, was_page=was_page)

    def connection_lost(self, _: Exception | None) -> None:
        asked, self._asked = self._asked, None
        self._people.lost(self, asked)


def _request(load: Load) -> bytes:
    _, _, host, target = load.url.split("/", 3)
    headers = load.headers or (f"Host: {host}",)
    return "\r\n".join([f"GET /{target} HTTP/1.1", *headers, "", ""]).encode()


def _length(head: bytes) -> int:
    found = _LENGTH.search(head)
    return int(found[1]) if found else 0


def table(systems: Systems, arguments: argparse.Namespace) -> Iterator[str]:
    """Only authproxy remembers sessions, so that the number of people matters to it alone. The others look up
    each request's session anew; a smaller crowd with one session costs them the same."""
    trial = arguments.check
    ours = Crowd(10, 30, 20, scale=0.02) if trial else Crowd(arguments.people, 30, 20)
    others = Crowd(min(arguments.people, 1000), 2, 8)
    bench, place = systems.bench, "authproxy" if trial else "authproxy_crowd"
    pid = next(row.pids[0] for row in systems.rows) if trial else bench.authproxy(place)
    bench.wait()
    host, cookie = bench.signed_in(systems.person, place)
    every = [
        Load(bench.local(place, "/.authproxy/auth/nginx"), (host, made, *bench.asked_by_nginx(place)))
        for made in sessions(bench.store_url, bench.session_key, cookie, ours.people)
    ]
    metrics = bench.local(f"{place} management", "/metrics")
    results = [
        ("authproxy", ours, measured(ours, Watched("authproxy", every, [pid], bench.store_url, metrics)))
    ]
    for row in systems.rows:
        if row.group == "subrequest" and row.name != "authproxy" and not trial:
            watched = Watched(row.name, [row.load], row.pids, bench.store_url)
            results.append((row.name, others, measured(others, watched)))
    yield from _table(results)
    yield ""
    yield f"authproxy has {memory([pid]).resident / 1e6:.0f} MB in memory with {ours.people:,} sessions."


def _table(results: Sequence[tuple[str, Crowd, Result]]) -> Iterator[str]:
    headings = (
        "system",
        "people",
        "pages",
        "CPU time of a page",
        "from the near cache",
        "to the store",
        "authproxy is",
    )
    yield f"| {' | '.join(headings)} |"
    yield "|---|" + "---:|" * (len(headings) - 1)
    cheapest = results[0][2].milliseconds
    for name, crowd, one in results:
        hits = "" if one.hits is None else f"{one.hits:.1%}"
        ratio = "" if one is results[0][2] else f"{one.milliseconds / cheapest:.2f} ×"
        pages = f"{one.pages:,} of {one.expected:,.0f}"
        numbers = f"{one.milliseconds:.2f} ms | {hits} | {one.commands:.1f}"
        yield f"| {name} | {crowd.people:,} | {pages} | {numbers} | {ratio} |"
