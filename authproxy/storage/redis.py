"""The border to Redis (or Valkey): questions with a deadline, and every failure as CannotAsk(STORE_UNAVAILABLE).

redis-py speaks the protocol and knows TLS, users and Unix sockets. Its own retries stay off: they turn one dead server into nine
seconds of waiting for each request. A question may fail; whoever asked answers 503, and the next question starts on fresh connections.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import timedelta
from typing import Any, Final

import structlog
from redis.asyncio.connection import AbstractConnection, Connection, ConnectionPool, SSLConnection, UnixDomainSocketConnection, parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ReadOnlyError, RedisError, ResponseError

from authproxy.access.decision import Reason
from authproxy.access.unavailable import CannotAsk
from authproxy.dns.resolver import Resolver

Command = tuple[str | bytes | int, ...]

_CLOSING_WITHIN: Final = timedelta(seconds=1)
_log = structlog.get_logger(__name__)


class RedisConnection:
    """All questions to one Redis. Beyond `max_connections` at a time a question waits its turn, within its deadline."""

    def __init__(
        self,
        url: str,
        *,
        username: str | None = None,
        password: str | None = None,
        ca_file: str | None = None,
        deadline: timedelta = timedelta(milliseconds=800),
        max_connections: int = 128,
        names: Resolver | None = None,
    ) -> None:
        """`redis://`, `rediss://` or `unix://`; `username` and `password` go before those of the URL. With `ca_file` the server's
        certificate must come from that authority and no other. `names` says which addresses the host of the URL has; without it the
        connection has a resolver of its own. Connects to nothing yet.

        Raises ValueError for a URL that cannot be used and OSError for a CA file that cannot be read.
        """
        self._own_names = Resolver() if names is None else None
        self._factory = ConnectionPool(**_options(url, username, password, ca_file), names=names or self._own_names)
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
        """The answers to commands sent together. Raises CannotAsk if one of them was refused; the others may have been carried out."""
        answers = await self.each(commands)
        for answer in answers:
            if isinstance(answer, CannotAsk):
                raise answer
        return answers

    async def each(self, commands: Sequence[Command]) -> list[Any]:
        """As `all`, but a refused command has a CannotAsk in its place. Raises CannotAsk where no answer came at all.

        The deadline is one for all of them. A connection that failed or was given up in the middle is never used again: its next
        answer would belong to somebody else's question.
        """
        try:
            with self._translated():
                async with asyncio.timeout(self._deadline), self._borrowed() as connection:
                    await connection.send_packed_command(connection.pack_commands(commands))
                    answers = [await self._answer(connection) for _ in commands]
        except CannotAsk:
            # What happened to this connection (restart, failover, cut cable) has probably happened to the idle ones too.
            await self._drop_idle(nowait=True)
            raise
        self._note_answer()
        return answers

    async def ping(self) -> None:
        """Raises CannotAsk if the store does not answer."""
        await self.ask("PING")

    @contextlib.asynccontextmanager
    async def line(self) -> AsyncIterator[Line]:
        """A connection of its own, for subscriptions. Everything in the block that fails on it raises CannotAsk."""
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

    async def _answer(self, connection: AbstractConnection) -> Any:
        try:
            return await connection.read_response()
        except ReadOnlyError:
            raise  # a primary that has become a replica: the next connection may find the new primary
        except ResponseError as error:
            return self._unavailable(error)

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (RedisError, OSError, TimeoutError) as error:
            raise self._unavailable(error) from error

    def _unavailable(self, error: Exception) -> CannotAsk:
        self.failures += 1
        name = type(error).__name__
        if isinstance(error, ResponseError):
            said = name  # the text of a refusal may repeat arguments of the command
            if name not in self._refusals_told:
                self._refusals_told.add(name)
                _log.warning("store.refusing", detail=said)
        else:
            said = f"{name} {error}".strip()
            if self._is_answering:
                self._is_answering = False
                _log.warning("store.unavailable", detail=said)
        return CannotAsk(Reason.STORE_UNAVAILABLE, f"the session store cannot be asked: {said}")

    def _note_answer(self) -> None:
        # One log record for each change and not for each request: an outage under load would bury its own cause.
        if not self._is_answering:
            self._is_answering = True
            self._refusals_told.clear()
            _log.info("store.available")


class Line:
    """A connection in conversation: what is said and what is heard do not pair up. Made by `RedisConnection.line`."""

    def __init__(self, connection: AbstractConnection, deadline: float) -> None:
        self._connection = connection
        self._deadline = deadline

    async def say(self, *command: str | bytes | int) -> None:
        async with asyncio.timeout(self._deadline):
            await self._connection.send_command(*command)

    async def hear(self, within: timedelta) -> Any | None:
        """The next message, or None if none came in that time (nothing is lost then)."""
        return await self._connection.read_response(timeout=max(within.total_seconds(), 0), disconnect_on_error=False)


class _Tcp(Connection):
    """redis-py would let the loop ask for the address of its host, in one of few threads."""

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
    """redis-py would trust the system's authorities beside the given one; here the context decides, whatever the URL's options say."""

    def __init__(self, *, tls: ssl.SSLContext, **options: Any) -> None:
        super().__init__(**options)
        self.ssl_context.context = tls

    def _connection_arguments(self) -> dict[str, Any]:
        return super()._connection_arguments() | {"ssl": self.ssl_context.get(), "server_hostname": self.host}


async def _is_spoilt(connection: AbstractConnection) -> bool:
    """Whether an idle connection was closed by the other side or has something unread on it."""
    writer = connection._writer  # noqa: SLF001  (redis-py's `can_read` notices a closed connection, but not one that was reset)
    return writer is None or writer.is_closing() or await connection.can_read()


def _options(url: str, username: str | None, password: str | None, ca_file: str | None) -> dict[str, Any]:
    options: dict[str, Any] = dict(parse_url(url))
    kind = options.get("connection_class")
    options["connection_class"] = _Unix if kind is UnixDomainSocketConnection else _Tcp
    if kind is SSLConnection:
        options |= {"connection_class": _Tls, "tls": ssl.create_default_context(cafile=ca_file)}
    elif ca_file is not None:
        raise ValueError("a certificate authority for the store needs a rediss:// URL")
    if username is not None:
        options["username"] = username
    if password is not None:
        options["password"] = password
    # RESP2, because there a connection can subscribe to its own invalidations without push handlers. Time limits are ours alone.
    return options | {"protocol": 2, "socket_timeout": None, "socket_connect_timeout": None, "retry": Retry(NoBackoff(), 0)}
