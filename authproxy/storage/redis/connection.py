"""Asks Redis (or Valkey), with a deadline for each question. Every failure is CannotAsk(STORE_UNAVAILABLE).

The retries of redis-py are switched off, because with them a dead server costs each request nine seconds.
Here a question fails at its deadline, the caller answers 503, and the next question uses a new connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Final, TypeVar

from redis.exceptions import ResponseError

from authproxy.access.decision import Reason
from authproxy.access.unavailable import CannotAsk
from authproxy.dns.resolver import Resolver
from authproxy.dns.store_urls import Address, StoreUrl, names_several, store_url
from authproxy.storage.redis import errors
from authproxy.storage.redis.answer_shapes import Command
from authproxy.storage.redis.cluster import Cluster
from authproxy.storage.redis.pipeline import Pipeline
from authproxy.storage.redis.sentinels import Sentinels
from authproxy.storage.redis.servers import (
    DedicatedConnection,
    Server,
    StoreTls,
    options_by_address,
    options_of_url,
)
from authproxy.telemetry.logging import logger

PAGE: Final = 500
"""How many items one question is about. A question about thousands of them would not end by the deadline."""
_Item = TypeVar("_Item")
Part = Address | None
"""The node of a cluster that is asked, as far as is known; None if there is no cluster, or nothing is known."""
_CLOSING_WITHIN: Final = timedelta(seconds=1)
_CONFIRMED_WITHIN: Final = 0.6
"""The part of the deadline in which a replica must confirm what has to be durable."""
_ALL_PARTS_AFTER: Final = 5.0
"""Seconds without a question that was not answered, after which all parts of a cluster count as there."""
_MOST_READINGS: Final = 8
_READS_AGAIN_AFTER: Final = 0.1
"""Seconds, longer each time."""
_RUN: Final = re.compile(rb"^run_id:(\w+)", re.MULTILINE)
_HISTORY: Final = re.compile(rb"^(?:role|master_replid):(\w+)", re.MULTILINE)
_log = logger(__name__)


class WrongType(CannotAsk):
    """The key holds a value of the wrong type. Asking again would not help."""


class LacksRight(CannotAsk):
    """The store's user may not do this. Asking again would not help."""


class TooFewReplicas(CannotAsk):
    """The primary takes no writes, because too few replicas are connected (`min-replicas-to-write`)."""


class Unanswered(CannotAsk):
    """A part of a cluster has not answered, not even with a refusal, while others have."""


class Unconfirmed(CannotAsk):
    """It is written, but no replica has confirmed that: a failover may undo it."""


_FAILURES: Final[Mapping[str | None, type[CannotAsk]]] = {
    "WRONGTYPE": WrongType,
    "NOPERM": LacksRight,
    "NOREPLICAS": TooFewReplicas,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SeveralServers:
    """What matters if the store is more than one server."""

    sentinel_username: str | None = None
    sentinel_password: str | None = field(default=None, repr=False)
    may_lead_to: Callable[[str], bool] = lambda _host: True
    """Where Sentinels and nodes of a cluster may send us if there is no TLS."""
    is_durable: bool = False
    """Whether a replica must confirm what must not be lost."""


class RedisConnection:
    """All questions to the store: to one Redis, to the primary that Sentinels name, or to the primaries of a
    cluster. When `max_connections` to one server are busy, a question waits for one, within its deadline."""

    def __init__(
        self,
        url: str,
        *,
        username: str | None = None,
        password: str | None = None,
        tls: StoreTls | None = None,
        deadline: timedelta = timedelta(milliseconds=800),
        max_connections: int = 128,
        names: Resolver | None = None,
        several: SeveralServers | None = None,
    ) -> None:
        """The URL begins with `redis://`, `rediss://`, `valkey://`, `valkeys://` or `unix://`, or is one of
        `dns.store_urls`. `username` and `password` win over those in the URL. `names` resolves the hosts;
        without it the connection makes a resolver of its own. Nothing is connected yet.

        Raises ValueError for a URL that cannot be used and OSError for a file of `tls` that cannot be read.
        """
        self._own_names = Resolver() if names is None else None
        resolver = names or self._own_names or Resolver()
        self._deadline = deadline.total_seconds()
        several = several or SeveralServers()
        self._confirmed_within = int(self._deadline * 1000 * _CONFIRMED_WITHIN) if several.is_durable else 0
        # While no replica confirms anything, each of these questions keeps a connection until its time is over.
        # The others are for questions that need none.
        self._confirming = asyncio.Semaphore(max(max_connections // 2, 1))
        self._changed = asyncio.Event()
        self._sentinels: Sentinels | None = None
        self._has_several = names_several(url)
        if self._has_several:
            self._store = self._several_servers(
                store_url(url), several, username, password, tls, resolver, max_connections
            )
        else:
            self._store = Server(options_of_url(url, username, password, tls, resolver), max_connections)
        self._is_answering = True
        self._unanswered_at = float("-inf")
        self._logged: set[str] = set()
        self.failures = 0
        """Questions without an answer since the start, for metrics."""
        self.refused: CannotAsk | None = None
        """Why this store is not asked, although it would answer."""

    def _several_servers(
        self,
        parts: StoreUrl,
        several: SeveralServers,
        username: str | None,
        password: str | None,
        tls: StoreTls | None,
        resolver: Resolver,
        max_connections: int,
    ) -> Server | Cluster:
        """The cluster, or the server that Sentinels name."""
        may_lead_to = (lambda _host: True) if parts.has_tls else several.may_lead_to
        options = options_by_address(
            parts,
            parts.username if username is None else username,
            parts.password if password is None else password,
            tls,
            resolver,
        )
        if parts.kind == "cluster":
            return Cluster(
                parts.servers,
                lambda address: Server(options(address), max_connections),
                may_lead_to=may_lead_to,
                has_tls=parts.has_tls,
                on_change=self._changed.set,
                deadline=self._deadline,
            )
        of_sentinel = options_by_address(
            replace(parts, database=0), several.sentinel_username, several.sentinel_password, tls, resolver
        )
        self._sentinels = Sentinels(
            {address: Server(of_sentinel(address)) for address in parts.servers},
            parts.service,
            may_lead_to=may_lead_to,
            on_change=self._follow_primary,
        )
        return Server(options(parts.servers[0]), max_connections, primary=self._sentinels)

    async def ask(self, *command: str | bytes | int) -> Any:
        """The answer to one command. Raises CannotAsk."""
        return (await self.all([command]))[0]

    async def all(self, commands: Sequence[Command], *, in_order: bool = False) -> list[Any]:
        """The answers to commands that are sent together. Raises CannotAsk if the store refused one of them;
        it may have carried out the others. A cluster carries out commands for different slots at the same
        time, unless they are `in_order`."""
        return _answered(await self.each(commands, in_order=in_order))

    async def confirmed(self, commands: Sequence[Command], *, in_order: bool = False) -> list[Any]:
        """As `all`, for what must not be lost in a failover: with `is_durable`, a replica has
        confirmed it before this returns. If none does, Unconfirmed is raised, although the primary has it."""
        return _answered(await self.each_confirmed(commands, in_order=in_order))

    async def each_confirmed(self, commands: Sequence[Command], *, in_order: bool = False) -> list[Any]:
        """As `confirmed`, but with failures in the places of answers, as in `each`."""
        if not self._confirmed_within:
            return await self.each(commands, in_order=in_order)
        try:
            async with asyncio.timeout(self._deadline), self._confirming:
                return await self.each(commands, in_order=in_order, confirmed_within=self._confirmed_within)
        except TimeoutError:
            detail = "too many questions wait for a replica of the store to confirm what was written"
            raise CannotAsk(Reason.STORE_UNAVAILABLE, detail) from None

    async def each(
        self,
        commands: Sequence[Command],
        *,
        in_order: bool = False,
        confirmed_within: int = 0,
        server: Server | None = None,
        in_any_case: bool = False,
    ) -> list[Any]:
        """As `all`, but in the place of an answer is a CannotAsk if the command was refused, or if its part of
        a cluster does not answer. Raises CannotAsk if no answer came at all.

        One deadline covers all commands. A former primary refuses writes. Those are sent once more over a new
        connection, which may lead to the new primary. With `confirmed_within`, a replica must confirm within so
        many milliseconds what was written. With `server`, that one of the `primaries` is asked. A
        store that is `refused` is asked only `in_any_case`.
        """
        if not in_any_case:
            self.demand()
        try:
            with self._translated():
                async with asyncio.timeout(self._deadline):
                    answers = await (server or self._store).answers(
                        commands, in_order=in_order, confirmed_within=confirmed_within
                    )
                    if all(map(_is_unanswered, answers)) and answers:
                        raise answers[0]
        except CannotAsk:
            if server is not None:
                await server.leave()
            await self._store.leave()
            raise
        self._note_answer()
        return [self.failure(answer) if isinstance(answer, Exception) else answer for answer in answers]

    def pipeline(self, part: Part = None) -> Pipeline | None:
        """For questions to this part that change nothing: much cheaper than `each`, if one is open. A node of a
        cluster may answer that the key is elsewhere; `each` follows."""
        server = None if self.refused is not None else self._server_of(part)
        return None if server is None else server.pipeline

    def open_pipeline(self, part: Part) -> None:
        """Opens a `pipeline` in the background."""
        server = self._server_of(part)
        if server is not None:
            server.open_pipeline(self._deadline)

    def _server_of(self, part: Part) -> Server | None:
        return self._store if isinstance(self._store, Server) else self._store.server_of(part)

    def demand(self) -> None:
        """Raises CannotAsk if this store is `refused`."""
        if self.refused is not None:
            raise CannotAsk(self.refused.reason, str(self.refused))

    async def leave(self) -> None:
        """Whatever is asked next is asked over a new connection."""
        await self._store.leave()

    async def scan(self, pattern: str) -> AsyncIterator[list[bytes]]:
        """Pages of the keys that match the pattern, on every primary. A key may come more than once.

        Everything is read again if a primary was replaced meanwhile, because a place in the keys of one server
        means nothing to another. A cluster is read twice, because a key that moves to another node is missed
        by one reading, and not by both. Raises CannotAsk, also if the servers change faster than they can be
        read.
        """
        whole, wanted = 0, 1 if isinstance(self._store, Server) else 2
        for reading in range(_MOST_READINGS):
            servers = await self._holders()
            origins = [await self._origin(server) for server in servers]
            for server in servers:
                async for keys in self._keys_at(server, pattern):
                    yield keys
            if origins == [await self._origin(server) for server in servers]:
                whole += 1
                if whole == wanted:
                    return
            else:
                await self._store.leave()
                await asyncio.sleep(reading * _READS_AGAIN_AFTER)
        raise CannotAsk(Reason.STORE_UNAVAILABLE, "the store's servers change while they are read: ask again")

    async def _keys_at(self, server: Server, pattern: str) -> AsyncIterator[list[bytes]]:
        cursor: int | bytes = 0
        while True:
            [answer] = await self.each([("SCAN", cursor, "MATCH", pattern, "COUNT", PAGE)], server=server)
            if isinstance(answer, CannotAsk):
                raise answer
            cursor, keys = answer
            yield keys
            if int(cursor) == 0:
                break

    async def _origin(self, server: Server) -> Any:
        """Changes when the server is another one, or was one: None if it may not be asked."""
        process, replication = await self.each([("INFO", "server"), ("INFO", "replication")], server=server)
        for answer in (process, replication):
            if isinstance(answer, LacksRight):
                return None
            if isinstance(answer, CannotAsk):
                raise answer
        history = _HISTORY.findall(replication)
        if self._has_several and b"slave" in history:
            return object()  # it was a primary a moment ago, and equals nothing
        return _RUN.findall(process), history

    async def _holders(self) -> list[Server]:
        """Every server that has keys, or to which keys may be moving."""
        if isinstance(self._store, Server):
            return [self._store]
        with self._translated():
            async with asyncio.timeout(self._deadline):
                return await self._store.holders()

    async def primaries(self) -> list[Server]:
        """Every server that has keys. Raises CannotAsk."""
        if isinstance(self._store, Server):
            return [self._store]
        with self._translated():
            async with asyncio.timeout(self._deadline):
                return await self._store.primaries()

    @property
    def shape(self) -> int:
        """Changes when other servers have keys than before."""
        return self._store.generation if isinstance(self._store, Server) else self._store.shape

    def part_of(self, command: Command) -> Part:
        """The same for commands that are asked of the same server. A question about several parts of a cluster
        has no answer before all of them have answered."""
        return None if isinstance(self._store, Server) else self._store.part_of(command)

    @property
    def hears_few_sentinels(self) -> bool:
        """Whether most of the Sentinels are silent: others may have chosen another primary meanwhile."""
        return self._sentinels is not None and self._sentinels.are_few

    async def warnings(self) -> list[str]:
        """What an operator should mend about the Sentinels, in sentences."""
        return [] if self._sentinels is None else await self._sentinels.warnings()

    async def ping(self) -> None:
        """Raises CannotAsk if the store does not answer."""
        await self.ask("PING")

    @contextlib.asynccontextmanager
    async def dedicated(self, server: Server | None = None) -> AsyncIterator[DedicatedConnection]:
        """A connection to one of the `primaries`, by default the first, for one subscriber alone. Whatever
        fails in the block raises CannotAsk."""
        if server is None:
            server = (await self.primaries())[0]
        with self._translated():
            async with server.dedicated(self._deadline) as connection:
                yield connection

    async def aclose(self) -> None:
        """Closes idle connections now, and busy ones when their question has ended."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSING_WITHIN.total_seconds()):
                await self._store.aclose()
                if self._sentinels is not None:
                    await self._sentinels.aclose()
        if self._own_names is not None:
            await self._own_names.aclose()

    async def rest(self, seconds: float) -> None:
        """Returns after this time, or as soon as other servers have keys than before."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        self._changed.clear()

    async def begin_anew(self) -> None:
        """Call this when the store is another server than before. Open connections may lead to the former one,
        also the one that tells the near cache of changes: none of them is used any more. Sentinels and clusters
        tell of other servers themselves."""
        if isinstance(self._store, Server) and self._sentinels is None:
            await self._store.renew()

    async def _follow_primary(self) -> None:
        self._changed.set()
        if isinstance(self._store, Server):
            await self._store.renew()

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except CannotAsk:
            raise
        except Exception as error:
            # Every exception: for octets that are not RESP, redis-py and hiredis raise ValueError,
            # IndexError, UnicodeDecodeError and others.
            raise self._unavailable(error) from error

    def _unavailable(self, error: Exception) -> CannotAsk:
        self.failures += 1
        text = errors.description(error, deadline=self._deadline)
        # Each reason once: what cuts the first connection (a reload, a restart) is often not what keeps the next
        # ones away (a certificate).
        is_new = text not in self._logged
        self._logged.add(text)
        if not isinstance(error, ResponseError):
            self._unanswered_at = time.monotonic()
            self._is_answering = False
        if is_new:
            event = "store.refusing" if isinstance(error, ResponseError) else "store.unavailable"
            _log.warning(event, detail=text)
        failure = _FAILURES.get(errors.code_of(error), CannotAsk)
        return failure(Reason.STORE_UNAVAILABLE, text)

    def failure(self, error: Exception) -> CannotAsk:
        """What stands in the place of an answer."""
        failure = self._unavailable(error)
        if isinstance(error, errors.Unconfirmed):
            return Unconfirmed(failure.reason, str(failure))
        return Unanswered(failure.reason, str(failure)) if _is_unanswered(error) else failure

    def _note_answer(self) -> None:
        # Only changes are logged. A record for each request would bury the cause of an outage.
        # While a part of a cluster is away, the others answer.
        if not self._is_answering and (
            isinstance(self._store, Server) or time.monotonic() - self._unanswered_at > _ALL_PARTS_AFTER
        ):
            self._is_answering = True
            self._logged.clear()
            _log.info("store.available")


def pages(items: Sequence[_Item], size: int = PAGE) -> Iterator[Sequence[_Item]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _answered(answers: list[Any]) -> list[Any]:
    """Raises the first failure among them."""
    for answer in answers:
        if isinstance(answer, CannotAsk):
            raise answer
    return answers


def _is_unanswered(answer: Any) -> bool:
    """Whether no answer came, not even a refusal."""
    return isinstance(answer, Exception) and not isinstance(answer, ResponseError)
