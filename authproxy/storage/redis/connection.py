"""The border to Redis (or Valkey): questions with a deadline, and every failure as
CannotAsk(STORE_UNAVAILABLE).

redis-py speaks the protocol and knows TLS, users and Unix sockets. Its own retries stay off: they turn one
dead server into nine seconds of waiting for each request. A question may fail; whoever asked answers 503, and
the next question starts on fresh connections.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
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

_CLOSING_WITHIN: Final = timedelta(seconds=1)
_SCHEMES: Final = {"valkey": "redis", "valkeys": "rediss"}
_FROM_URL: Final = frozenset({"host", "port", "path", "db", "username", "password", "connection_class"})
"""What is taken from a URL. redis-py would also take options that change what answers look like."""
_log = structlog.get_logger(__name__)


class WrongType(CannotAsk):
    """The key holds a value of another type than it should. Asking again would not help."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreTls:
    """Files for TLS with the store. With `ca_file` its certificate must come from that authority and no
    other; `certificate_file` and `key_file` are shown to a store that asks for a certificate."""

    ca_file: str | None = None
    certificate_file: str | None = None
    key_file: str | None = None


class RedisConnection:
    """All questions to one Redis. Beyond `max_connections` at a time a question waits its turn, within its
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
        """`redis://`, `rediss://`, `valkey://`, `valkeys://` or `unix://`; `username` and `password` go
        before those of the URL. `names` says which addresses the host of the URL has; without it the
        connection has a resolver of its own. Connects to nothing yet.

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
        self._refusals_told: set[str] = set()
        self.failures = 0
        """Questions that got no answer since the start, for metrics."""

    async def ask(self, *command: str | bytes | int) -> Any:
        """The answer to one command. Raises CannotAsk."""
        return (await self.all([command]))[0]

    async def all(self, commands: Sequence[Command]) -> list[Any]:
        """The answers to commands sent together. Raises CannotAsk if one of them was refused; the others may
        have been carried out."""
        answers = await self.each(commands)
        for answer in answers:
            if isinstance(answer, CannotAsk):
                raise answer
        return answers

    async def each(self, commands: Sequence[Command]) -> list[Any]:
        """As `all`, but a refused command has a CannotAsk in its place. Raises CannotAsk where no answer came
        at all.

        The deadline is one for all of them. A connection that failed or was given up in the middle is never
        used again: its next answer would belong to somebody else's question. What a primary that has become a
        replica refuses is asked once more, over a fresh connection, which may lead to the new primary.
        """
        try:
            with self._translated():
                async with asyncio.timeout(self._deadline):
                    answers = await self._conversation(commands)
                    late = _refused_by_a_replica(answers)
                    if late:
                        await self._drop_idle(nowait=True)
                        again = await self._conversation([commands[at] for at in late])
                        answers = [
                            again[late.index(at)] if at in late else answer
                            for at, answer in enumerate(answers)
                        ]
        except CannotAsk:
            # What happened to this connection (restart, failover, cut cable) has probably happened to the
            # idle ones too.
            await self._drop_idle(nowait=True)
            raise
        if late and _refused_by_a_replica(answers):
            await self._drop_idle(nowait=True)
        self._note_answer()
        return [
            self._unavailable(answer) if isinstance(answer, ResponseError) else answer for answer in answers
        ]

    async def ping(self) -> None:
        """Raises CannotAsk if the store does not answer."""
        await self.ask("PING")

    @contextlib.asynccontextmanager
    async def line(self) -> AsyncIterator[Line]:
        """A connection of its own, for subscriptions. Everything in the block that fails on it raises
        CannotAsk."""
        connection = self._made()
        with self._translated():
            try:
                async with asyncio.timeout(self._deadline):
                    await connection.connect()  # type: ignore[no-untyped-call]
                yield Line(connection, self._deadline)
            finally:
                await connection.disconnect(nowait=True)

    async def aclose(self) -> None:
        """Closes idle connections; busy ones close when their question ends."""
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
        """The answers over one connection; a refusal is the error itself. Raises where an answer cannot be
        one to its question: the answers to come would be wrong as well."""
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
            # Everything, because on octets that are no protocol redis-py and hiredis raise ValueError,
            # IndexError, UnicodeDecodeError …
            raise self._unavailable(error) from error

    def _unavailable(self, error: Exception) -> CannotAsk:
        self.failures += 1
        said = errors.words(error, deadline=self._deadline)
        if isinstance(error, ResponseError):
            if said not in self._refusals_told:
                self._refusals_told.add(said)
                _log.warning("store.refusing", detail=said)
        elif self._is_answering:
            self._is_answering = False
            _log.warning("store.unavailable", detail=said)
        return (WrongType if errors.code_of(error) == "WRONGTYPE" else CannotAsk)(
            Reason.STORE_UNAVAILABLE, said
        )

    def _note_answer(self) -> None:
        # One log record for each change and not for each request: an outage under load would bury its own
        # cause.
        if not self._is_answering:
            self._is_answering = True
            self._refusals_told.clear()
            _log.info("store.available")


class Line:
    """A connection in conversation: what is said and what is heard do not pair up. Made by
    `RedisConnection.line`."""

    def __init__(self, connection: AbstractConnection, deadline: float) -> None:
        self._connection = connection
        self._deadline = deadline

    async def say(self, *command: str | bytes | int) -> None:
        async with asyncio.timeout(self._deadline):
            await self._connection.send_command(*command)

    async def hear(self, within: timedelta) -> Any | None:
        """The next message, or None if none came in that time (nothing is lost then)."""
        return await self._connection.read_response(
            timeout=max(within.total_seconds(), 0), disconnect_on_error=False
        )


class _Tcp(Connection):
    """A connection whose host is looked up by our resolver. redis-py would have the event loop look it up in
    one of its few threads."""

    def __init__(self, *, names: Resolver, **options: Any) -> None:
        super().__init__(**options)
        self._names = names
        self._reached: socket.socket | None = None

    async def _connect(self) -> None:
        self._reached = await self._names.connect(self.host, int(self.port))
        await super()._connect()  # type: ignore[no-untyped-call]

    def _connection_arguments(self) -> dict[str, Any]:
        return {"sock": self._reached}


class _Unix(UnixDomainSocketConnection):
    def __init__(self, *, names: Resolver, **options: Any) -> None:
        del names  # a path is found without them
        super().__init__(**options)


class _Tls(_Tcp, SSLConnection):
    """redis-py would trust the system's authorities beside the given one; here the context decides, whatever
    the URL's options say."""

    def __init__(self, *, tls: ssl.SSLContext, **options: Any) -> None:
        super().__init__(**options)
        self.ssl_context.context = tls

    def _connection_arguments(self) -> dict[str, Any]:
        return super()._connection_arguments() | {"ssl": self.ssl_context.get(), "server_hostname": self.host}


async def _answer(connection: AbstractConnection) -> Any:
    try:
        return await connection.read_response()
    except ResponseError as refusal:
        return refusal


def _refused_by_a_replica(answers: Sequence[Any]) -> list[int]:
    """The places of the answers with which a replica refused a write."""
    return [at for at, answer in enumerate(answers) if isinstance(answer, ReadOnlyError)]


async def _is_spoilt(connection: AbstractConnection) -> bool:
    """Whether an idle connection was closed by the other side or has something unread on it."""
    writer = connection._writer  # noqa: SLF001  (redis-py's `can_read` notices a closed connection, but not one that was reset)
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
    # RESP2, because there a connection can subscribe to its own invalidations without push handlers. Time
    # limits are ours alone.
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
