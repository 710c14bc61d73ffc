"""The connections to one server of the store. redis-py speaks the protocol and handles TLS, users and Unix
sockets; its retries and time limits are switched off, because the deadline is ours."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

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

from authproxy.dns.resolver import Resolver
from authproxy.dns.store_urls import Address, StoreUrl
from authproxy.storage.redis import answer_shapes, errors
from authproxy.storage.redis import keys as keyspace
from authproxy.storage.redis.answer_shapes import Command, key_of
from authproxy.storage.redis.pipeline import Pipeline

_SCHEMES: Final = {"valkey": "redis", "valkeys": "rediss"}
_FROM_URL: Final = frozenset({"host", "port", "path", "db", "username", "password", "connection_class"})
"""What is read from a URL. redis-py would also accept options that change the form of answers."""
ASKING: Final[Command] = ("ASKING",)
_MARK_KEPT_FOR: Final = 1000
_OPENED_AGAIN_AFTER: Final = 1.0
"""Seconds. A store that takes no more connections may still answer on those that are open: each answer would lead
to another attempt."""
Options = dict[str, Any]
"""What redis-py wants to know before it connects to a server."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreTls:
    """Files for TLS with the store. With `ca_file`, only certificates of that authority are accepted. A store
    that asks for a client certificate gets the one in `certificate_file`."""

    ca_file: str | None = None
    certificate_file: str | None = None
    key_file: str | None = None


class Primary(Protocol):
    """Who knows which server is the primary."""

    async def address(self) -> Address:
        """Where the primary is now. The caller limits the time."""

    def look(self) -> None:
        """Finds out in the background whether it is another server, if that was not asked lately."""

    def doubt(self) -> None:
        """The address that was given is not that of a primary any more, or is not reached."""


class Server:
    """All questions to one server. When `max_connections` are busy, a question waits for one; the caller
    limits the time. With a `primary`, the server is the one that is the primary when a connection is made."""

    def __init__(
        self, options: Options, max_connections: int = 128, *, primary: Primary | None = None
    ) -> None:
        self._factory = ConnectionPool(**options)
        self.name = f"{options.get('host', '')}:{options.get('port', '')}"
        self._turn = asyncio.Semaphore(max_connections)
        self._primary = primary
        self._idle: list[AbstractConnection] = []
        self._is_closed = False
        self._pipeline: Pipeline | None = None
        self._opening: asyncio.Task[None] | None = None
        self._may_open_from = float("-inf")
        self.generation = 0
        """Connections of an earlier generation lead to a server that is not asked any more."""

    async def answers(
        self,
        commands: Sequence[Command],
        *,
        in_order: bool = True,  # noqa: ARG002  (a server knows no other way)
        confirmed_within: int = 0,
    ) -> list[Any]:
        """The answers over one connection. A refused command is answered with the error itself. A connection
        that failed or was abandoned half-way is never used again: its next answer would belong to an earlier
        question. A primary that has become a replica refuses writes. Those are sent once more over a new
        connection, which may lead to the new primary."""
        answers = await self.conversation(commands, confirmed_within=confirmed_within)
        refused = [at for at, answer in enumerate(answers) if isinstance(answer, ReadOnlyError)]
        if refused:
            await self.leave()
            again = await self.conversation(
                [commands[at] for at in refused], confirmed_within=confirmed_within
            )
            for at, answer in zip(refused, again, strict=True):
                answers[at] = answer
            if any(isinstance(answer, ReadOnlyError) for answer in again):
                await self.leave()
        return answers

    async def conversation(self, commands: Sequence[Command], *, confirmed_within: int = 0) -> list[Any]:
        """As `answers`, without sending anything again. With `confirmed_within`, a replica must confirm within
        so many milliseconds that it has what was answered; otherwise each answer is a refusal. Raises
        InvalidResponse if an answer cannot belong to its question, because then later answers would not
        either."""
        async with self._borrowed() as connection:
            await connection.send_packed_command(connection.pack_commands(commands))
            answers = [await _answer(connection) for _ in commands]
            if not answer_shapes.all_fit(commands, answers):
                raise InvalidResponse
            doubt = (
                await _doubt(connection, commands, answers, confirmed_within) if confirmed_within else None
            )
            if doubt is not None:
                return [answer if isinstance(answer, ResponseError) else doubt for answer in answers]
        return answers

    @property
    def pipeline(self) -> Pipeline | None:
        """A connection for questions that change nothing, if one is open (`open_pipeline`)."""
        if self._primary is not None:
            self._primary.look()
        pipeline = self._pipeline
        is_ours = pipeline is not None and pipeline.is_open and pipeline.generation == self.generation
        return pipeline if is_ours else None

    def open_pipeline(self, deadline: float) -> None:
        """Opens a `pipeline` in the background. If that fails, questions go over the other connections, and
        tell why."""
        loop = asyncio.get_running_loop()
        if self._is_closed or self._opening is not None or loop.time() < self._may_open_from:
            return
        if self.pipeline is None:
            self._opening = loop.create_task(self._open_pipeline(deadline))

    async def _open_pipeline(self, deadline: float) -> None:
        connection, generation = self._made(), self.generation
        self._may_open_from = asyncio.get_running_loop().time() + _OPENED_AGAIN_AFTER
        try:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(deadline):
                    await self._connect(connection)
                    is_clean = not await _is_spoilt(connection)
                if is_clean and generation == self.generation:
                    self._pipeline = Pipeline(connection, deadline=deadline, generation=generation)
                    self._may_open_from = float("-inf")
        finally:
            self._opening = None
            # This does nothing to a connection that the pipeline has taken over.
            await connection.disconnect(nowait=True)

    async def leave(self) -> None:
        """Whatever is asked next is asked over a new connection. After a restart, a failover or a cut cable
        the idle ones are probably broken too."""
        await self.drop_idle(nowait=True)
        if self._primary is not None:
            self._primary.doubt()

    async def drop_idle(self, *, nowait: bool) -> None:
        if self._pipeline is not None:
            self._pipeline.retire()
        idle, self._idle = self._idle, []
        for connection in idle:
            await connection.disconnect(nowait=nowait)

    async def renew(self) -> None:
        """No open connection is used for a further question."""
        self.generation += 1
        await self.drop_idle(nowait=True)

    @contextlib.asynccontextmanager
    async def dedicated(self, deadline: float) -> AsyncIterator[DedicatedConnection]:
        """A connection for one subscriber alone."""
        connection = self._made()
        try:
            async with asyncio.timeout(deadline):
                await self._connect(connection)
            yield DedicatedConnection(connection, deadline)
        finally:
            await connection.disconnect(nowait=True)

    async def aclose(self, *, nowait: bool = False) -> None:
        """Closes idle connections now, and busy ones when their question has ended. Waits for the other side,
        unless `nowait`: with TLS, a server that is frozen takes half a minute."""
        self._is_closed = True
        self.generation += 1
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.wait([self._opening])
        await self.drop_idle(nowait=nowait)
        if self._pipeline is not None and not nowait:
            await self._pipeline.wait_closed()

    @contextlib.asynccontextmanager
    async def _borrowed(self) -> AsyncIterator[AbstractConnection]:
        if self._primary is not None:
            self._primary.look()
        async with self._turn:
            connection = self._idle.pop() if self._idle else self._made()
            generation = self.generation
            try:
                if connection.is_connected and await _is_spoilt(connection):
                    await connection.disconnect(nowait=True)
                await self._connect(connection)
                yield connection
            except BaseException:
                await connection.disconnect(nowait=True)
                raise
            if self._is_closed or generation != self.generation:
                await connection.disconnect(nowait=True)
            else:
                self._idle.append(connection)

    def _made(self) -> AbstractConnection:
        connection: AbstractConnection = self._factory.make_connection()  # type: ignore[no-untyped-call]
        return connection

    async def _connect(self, connection: AbstractConnection) -> None:
        if self._primary is None:
            await connection.connect()  # type: ignore[no-untyped-call]
        elif not connection.is_connected:
            await self._connect_to(self._primary, connection)

    async def _connect_to(self, primary: Primary, connection: AbstractConnection) -> None:
        connection.host, connection.port = await primary.address()  # type: ignore[attr-defined]
        try:
            await connection.connect()  # type: ignore[no-untyped-call]
            # What is said to be the primary may be a replica again, or for ever. A replica would answer
            # reads, but with what it had received so far.
            await connection.send_command("ROLE")
            _check_role(await connection.read_response())
        except BaseException:
            primary.doubt()
            raise


class DedicatedConnection:
    """A connection on which messages come without having been asked for."""

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


def options_of_url(
    url: str, username: str | None, password: str | None, tls: StoreTls | None, names: Resolver
) -> Options:
    """Raises ValueError for a URL that cannot be used and OSError for a file of `tls` that cannot be read."""
    scheme, _, rest = url.partition("://")
    url = f"{_SCHEMES.get(scheme, scheme)}://{rest}"
    number = urlsplit(url).path.strip("/")
    if not url.startswith("unix:") and number and not (number.isascii() and number.isdigit()):
        raise ValueError(
            "the path of the store's URL is the number of a database"
        )  # redis-py would silently take database 0
    options: Options = {name: value for name, value in parse_url(url).items() if name in _FROM_URL}
    kind = options.get("connection_class")
    if kind is UnixDomainSocketConnection:
        options["connection_class"] = _Unix
        _refuse_files(tls)
    else:
        options |= _transport(tls, has_tls=kind is SSLConnection)
    return _completed(options, username, password, names)


def options_by_address(
    url: StoreUrl, username: str | None, password: str | None, tls: StoreTls | None, names: Resolver
) -> Callable[[Address], Options]:
    """The same for each server that is reached as this URL says. The files for TLS are read once."""
    options = _transport(tls, has_tls=url.has_tls)
    options |= _completed({"db": url.database}, username, password, names)
    return lambda address: options | {"host": address[0], "port": address[1]}


def _transport(tls: StoreTls | None, *, has_tls: bool) -> Options:
    if has_tls:
        return {"connection_class": _Tls, "tls": _context(tls or StoreTls())}
    _refuse_files(tls)
    return {"connection_class": _Tcp}


def _refuse_files(tls: StoreTls | None) -> None:
    if tls is not None:
        raise ValueError("files for TLS with the store need a rediss:// or valkeys:// URL")


def _completed(options: Options, username: str | None, password: str | None, names: Resolver) -> Options:
    if username is not None:
        options["username"] = username
    if password is not None:
        options["password"] = password
    # With RESP2 a connection can subscribe to its own invalidations, without push handlers. redis-py's time
    # limits are off: the deadline is ours.
    return options | {
        "names": names,
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


def _check_role(answer: Any) -> None:
    if not isinstance(answer, list) or answer[:1] != [b"master"]:
        raise errors.Unreached("the server that the Sentinels name is not the primary")


async def _answer(connection: AbstractConnection) -> Any:
    try:
        return await connection.read_response()
    except ResponseError as refusal:
        return refusal


async def _doubt(
    connection: AbstractConnection, commands: Sequence[Command], answers: Sequence[Any], within: int
) -> errors.Unconfirmed | None:
    """None if a replica has everything that was so at the answers, otherwise why that is not sure.

    WAIT of Valkey and of newer Redis waits only for what was written over the same connection. What was there
    before may have been written over another one, and not be confirmed. So something is written here in any
    case, where the keys are. While their slot moves away, that is refused: then nothing is sure."""
    done = [
        at
        for at, answer in enumerate(answers)
        if not isinstance(answer, Exception) and commands[at] != ASKING
    ]
    if not done:
        return None
    is_asking = done[0] > 0 and commands[done[0] - 1] == ASKING
    mark: Command = ("SET", keyspace.confirmation(key_of(commands[done[0]])), 1, "PX", _MARK_KEPT_FOR)
    sent: list[Command] = [*([ASKING] if is_asking else []), mark, ("WAIT", 1, within)]
    await connection.send_packed_command(connection.pack_commands(sent))
    said = [await _answer(connection) for _ in sent]
    refused = next((answer for answer in said if isinstance(answer, ResponseError)), None)
    if refused is not None:
        return errors.Unconfirmed(errors.description(refused, deadline=within / 1000))
    is_confirmed = isinstance(said[-1], int) and said[-1] > 0
    return None if is_confirmed else errors.Unconfirmed("no replica of the store has confirmed the write")


async def _is_spoilt(connection: AbstractConnection) -> bool:
    """Whether the other side has closed an idle connection, or something unread lies on it."""
    writer = connection._writer  # noqa: SLF001  (`can_read` notices that a connection was closed, not that it was reset)
    return writer is None or writer.is_closing() or await connection.can_read()
