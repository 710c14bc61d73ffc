"""Asks Redis (or Valkey), with a deadline for each question. Every failure is CannotAsk(STORE_UNAVAILABLE).

redis-py speaks the protocol and handles TLS, users and Unix sockets. Its retries are switched off, because
with them a dead server costs each request nine seconds. Here a question fails at its deadline, the caller
answers 503, and the next question uses a new connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import structlog
from redis.asyncio.connection import (
    AbstractConnection,
    Connection,
    ConnectionPool,
    SSLConnection,
    UnixDomainSocketConnection,
    parse_url,
)
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import InvalidResponse, ReadOnlyError, ResponseError

from authproxy.access.decision import Reason
from authproxy.access.unavailable import CannotAsk
from authproxy.dns.resolver import Resolver
from authproxy.storage.redis import answer_shapes, errors
from authproxy.storage.redis.answer_shapes import Command

PAGE: Final = 500
"""How many items one question is about. A question about thousands of them would not end by the deadline."""
_Item = TypeVar("_Item")
_CLOSING_WITHIN: Final = timedelta(seconds=1)
_SCHEMES: Final = {"valkey": "redis", "valkeys": "rediss"}
_FROM_URL: Final = frozenset({"host", "port", "path", "db", "username", "password", "connection_class"})
"""What is read from a URL. redis-py would also accept options that change the form of answers."""
_log = structlog.get_logger(__name__)


class WrongType(CannotAsk):
    """The key holds a value of the wrong type. Asking again would not help."""


class LacksRight(CannotAsk):
    """The store's user may not do this. Asking again would not help."""


_FAILURES: Final[Mapping[str | None, type[CannotAsk]]] = {"WRONGTYPE": WrongType, "NOPERM": LacksRight}


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreTls:
    """Files for TLS with the store. With `ca_file`, only certificates of that authority are accepted. A store
    that asks for a client certificate gets the one in `certificate_file`."""

    ca_file: str | None = None
    certificate_file: str | None = None
    key_file: str | None = None


class RedisConnection:
    """All questions to one Redis. When `max_connections` are busy, a question waits for one, within its
    deadline."""

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
    ) -> None:
        """The URL begins with `redis://`, `rediss://`, `valkey://`, `valkeys://` or `unix://`. `username` and
        `password` win over those in the URL. `names` resolves the host of the URL; without it the connection
        makes a resolver of its own. Nothing is connected yet.

        Raises ValueError for a URL that cannot be used and OSError for a file of `tls` that cannot be read.
        """
        self._own_names = Resolver() if names is None else None
        self._factory = ConnectionPool(
            **_options(url, username, password, tls), names=names or self._own_names
        )
        self._deadline = deadline.total_seconds()
        self._turn = asyncio.Semaphore(max_connections)
        self._idle: list[AbstractConnection] = []
        self._is_closed = False
        self._is_answering = True
        self._refusals_logged: set[str] = set()
        self.failures = 0
        """Questions without an answer since the start, for metrics."""
        self.refused: CannotAsk | None = None
        """Why this store is not asked, although it would answer."""

    async def ask(self, *command: str | bytes | int) -> Any:
        """The answer to one command. Raises CannotAsk."""
        return (await self.all([command]))[0]

    async def all(self, commands: Sequence[Command]) -> list[Any]:
        """The answers to commands that are sent together. Raises CannotAsk if the store refused one of them;
        it may have carried out the others."""
        answers = await self.each(commands)
        for answer in answers:
            if isinstance(answer, CannotAsk):
                raise answer
        return answers

    async def each(self, commands: Sequence[Command], *, in_any_case: bool = False) -> list[Any]:
        """As `all`, but the answer to a refused command is a CannotAsk. Raises CannotAsk if no answer came at
        all. A store that is `refused` is asked only `in_any_case`.

        One deadline covers all commands. A connection that failed or was abandoned half-way is never used
        again: its next answer would belong to an earlier question. A primary that has become a replica
        refuses writes. Those are sent once more over a new connection, which may lead to the new primary.
        """
        if self.refused is not None and not in_any_case:
            raise CannotAsk(self.refused.reason, str(self.refused))
        try:
            with self._translated():
                async with asyncio.timeout(self._deadline):
                    answers = await self._conversation(commands)
                    refused = _refused_by_a_replica(answers)
                    if refused:
                        await self._drop_idle(nowait=True)
                        again = await self._conversation([commands[at] for at in refused])
                        answers = [
                            again[refused.index(at)] if at in refused else answer
                            for at, answer in enumerate(answers)
                        ]
        except CannotAsk:
            # A restart, a failover or a cut cable has probably broken the idle connections too.
            await self._drop_idle(nowait=True)
            raise
        if refused and _refused_by_a_replica(answers):
            await self._drop_idle(nowait=True)
        self._note_answer()
        return [
            self._unavailable(answer) if isinstance(answer, ResponseError) else answer for answer in answers
        ]

    async def scan(self, pattern: str) -> AsyncIterator[list[bytes]]:
        """Pages of the keys that match the pattern. A key may come more than once. Raises CannotAsk."""
        cursor: int | bytes = 0
        while True:
            cursor, keys = await self.ask("SCAN", cursor, "MATCH", pattern, "COUNT", PAGE)
            yield keys
            if int(cursor) == 0:
                return

    async def ping(self) -> None:
        """Raises CannotAsk if the store does not answer."""
        await self.ask("PING")

    @contextlib.asynccontextmanager
    async def dedicated(self) -> AsyncIterator[DedicatedConnection]:
        """A connection for one subscriber alone. Whatever fails in the block raises CannotAsk."""
        connection = self._made()
        with self._translated():
            try:
                async with asyncio.timeout(self._deadline):
                    await connection.connect()  # type: ignore[no-untyped-call]
                yield DedicatedConnection(connection, self._deadline)
            finally:
                await connection.disconnect(nowait=True)

    async def aclose(self) -> None:
        """Closes idle connections now, and busy ones when their question has ended."""
        self._is_closed = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSING_WITHIN.total_seconds()):
                await self._drop_idle(nowait=False)
        if self._own_names is not None:
            await self._own_names.aclose()

    @contextlib.asynccontextmanager
    async def _borrowed(self) -> AsyncIterator[AbstractConnection]:
        async with self._turn:
            connection = self._idle.pop() if self._idle else self._made()
            try:
                if connection.is_connected and await _is_spoilt(connection):
                    await connection.disconnect(nowait=True)
                await connection.connect()  # type: ignore[no-untyped-call]
                yield connection
            except BaseException:
                await connection.disconnect(nowait=True)
                raise
            if self._is_closed:
                await connection.disconnect(nowait=True)
            else:
                self._idle.append(connection)

    def _made(self) -> AbstractConnection:
        connection: AbstractConnection = self._factory.make_connection()  # type: ignore[no-untyped-call]
        return connection

    async def _drop_idle(self, *, nowait: bool) -> None:
        idle, self._idle = self._idle, []
        for connection in idle:
            await connection.disconnect(nowait=nowait)

    async def _conversation(self, commands: Sequence[Command]) -> list[Any]:
        """The answers over one connection. A refused command is answered with the error itself. Raises
        InvalidResponse if an answer cannot belong to its question, because then later answers would not
        either."""
        async with self._borrowed() as connection:
            await connection.send_packed_command(connection.pack_commands(commands))
            answers = [await _answer(connection) for _ in commands]
            if not answer_shapes.all_fit(commands, answers):
                raise InvalidResponse
        return answers

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
        if isinstance(error, ResponseError):
            if text not in self._refusals_logged:
                self._refusals_logged.add(text)
                _log.warning("store.refusing", detail=text)
        elif self._is_answering:
            self._is_answering = False
            _log.warning("store.unavailable", detail=text)
        failure = _FAILURES.get(errors.code_of(error), CannotAsk)
        return failure(Reason.STORE_UNAVAILABLE, text)

    def _note_answer(self) -> None:
        # Only changes are logged. A record for each request would bury the cause of an outage.
        if not self._is_answering:
            self._is_answering = True
            self._refusals_logged.clear()
            _log.info("store.available")


class DedicatedConnection:
    """A connection on which messages come without having been asked for. `RedisConnection.dedicated` makes
    it."""

    def __init__(self, connection: AbstractConnection, deadline: float) -> None:
        self._connection = connection
        self._deadline = deadline

    async def send(self, *command: str | bytes | int) -> None:
        async with asyncio.timeout(self._deadline):
            await self._connection.send_command(*command)

    async def receive(self, within: timedelta) -> Any | None:
        """The next message, or None if none came in that time. Half a message that has come is not lost."""
        return await self._connection.read_response(
            timeout=max(within.total_seconds(), 0), disconnect_on_error=False
        )


class _Tcp(Connection):
    """Resolves its host with our resolver. redis-py would use the event loop's, which blocks one of a few
    threads."""

    def __init__(self, *, names: Resolver, **options: Any) -> None:
        super().__init__(**options)
        self._names = names
        self._socket: socket.socket | None = None

    async def _connect(self) -> None:
        self._socket = await self._names.connect(self.host, int(self.port))
        await super()._connect()  # type: ignore[no-untyped-call]

    def _connection_arguments(self) -> dict[str, Any]:
        return {"sock": self._socket}


class _Unix(UnixDomainSocketConnection):
    def __init__(self, *, names: Resolver, **options: Any) -> None:
        del names  # a path needs no resolver
        super().__init__(**options)


class _Tls(_Tcp, SSLConnection):
    """Trusts only what our TLS context trusts. redis-py would also trust the system's authorities, and would
    follow options in the URL."""

    def __init__(self, *, tls: ssl.SSLContext, **options: Any) -> None:
        super().__init__(**options)
        self.ssl_context.context = tls

    def _connection_arguments(self) -> dict[str, Any]:
        return super()._connection_arguments() | {"ssl": self.ssl_context.get(), "server_hostname": self.host}


def pages(items: Sequence[_Item]) -> Iterator[Sequence[_Item]]:
    for start in range(0, len(items), PAGE):
        yield items[start : start + PAGE]


async def _answer(connection: AbstractConnection) -> Any:
    try:
        return await connection.read_response()
    except ResponseError as refusal:
        return refusal


def _refused_by_a_replica(answers: Sequence[Any]) -> list[int]:
    """The positions of the answers in which a replica refuses a write."""
    return [at for at, answer in enumerate(answers) if isinstance(answer, ReadOnlyError)]


async def _is_spoilt(connection: AbstractConnection) -> bool:
    """Whether the other side has closed an idle connection, or something unread lies on it."""
    writer = connection._writer  # noqa: SLF001  (`can_read` notices that a connection was closed, not that it was reset)
    return writer is None or writer.is_closing() or await connection.can_read()


def _options(url: str, username: str | None, password: str | None, tls: StoreTls | None) -> dict[str, Any]:
    scheme, _, rest = url.partition("://")
    url = f"{_SCHEMES.get(scheme, scheme)}://{rest}"
    number = urlsplit(url).path.strip("/")
    if not url.startswith("unix:") and number and not (number.isascii() and number.isdigit()):
        raise ValueError(
            "the path of the store's URL is the number of a database"
        )  # redis-py would silently take database 0
    options: dict[str, Any] = {name: value for name, value in parse_url(url).items() if name in _FROM_URL}
    kind = options.get("connection_class")
    options["connection_class"] = _Unix if kind is UnixDomainSocketConnection else _Tcp
    if kind is SSLConnection:
        options |= {"connection_class": _Tls, "tls": _context(tls or StoreTls())}
    elif tls is not None:
        raise ValueError("files for TLS with the store need a rediss:// or valkeys:// URL")
    if username is not None:
        options["username"] = username
    if password is not None:
        options["password"] = password
    # With RESP2 a connection can subscribe to its own invalidations, without push handlers. redis-py's time
    # limits are off: the deadline is ours.
    return options | {
        "protocol": 2,
        "socket_timeout": None,
        "socket_connect_timeout": None,
        "retry": Retry(NoBackoff(), 0),
    }


def _context(tls: StoreTls) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=tls.ca_file)
    if tls.certificate_file is not None:
        context.load_cert_chain(tls.certificate_file, tls.key_file)
    return context
