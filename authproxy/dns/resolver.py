"""Resolves names with c-ares, asynchronously: one question per name at a time, and answers are kept for their
time to live.

c-ares reads /etc/hosts and /etc/resolv.conf (name servers, `search`, `options ndots`, timeouts); a change
there takes effect with the next question. Other sources of /etc/nsswitch.conf, such as mDNS or LDAP, are not
used. The C library's getaddrinfo would need a thread per question. The event loop has few threads, so one
silent name server would stop all other names.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import aiodns
from aiodns.error import ARES_ENODATA, ARES_ENOTFOUND, DNSError

from authproxy.telemetry.logging import logger

STALE_FOR: Final = 86_400.0
"""Seconds for which an answer is used after its time to live while there is no new one (RFC 8767 §5
recommends one to three days)."""
_PATIENCE: Final = 0.3
"""Seconds that a caller waits for a new answer if there is a stale one (client response timer, RFC 8767
§5)."""
_REST: Final = 30.0
"""Seconds without a question after a failure if there is a stale answer (failure recheck timer, RFC 8767
§5)."""
_SHORTEST: Final = 1.0
"""Seconds that every answer is kept at least, also "no such name". Entries of /etc/hosts have no time to
live, and a thousand connections must not each ask."""
_DOUBTED_AFTER: Final = 5.0
"""Seconds. If no address of an answer takes a connection, and the answer is at least this old, the name is
asked for again."""
_NEXT_AFTER: Final = 0.3
"""Seconds for one of several addresses, before the next one is tried."""
_CONFIGURATION: Final = Path("/etc/resolv.conf")
_NO_SUCH_NAME: Final = frozenset({ARES_ENOTFOUND, ARES_ENODATA})
_LOCAL: Final = ("127.0.0.1", "::1")


class NameUnknown(OSError):  # noqa: N818
    """The name server says that the name has no address."""


class NameUnanswered(OSError):  # noqa: N818
    """No name server answered."""


class _Name:
    """What is known about one name. Times are those of the resolver's clock."""

    __slots__ = (
        "addresses",
        "answered_at",
        "asking",
        "asking_since",
        "failure",
        "good_until",
        "is_doubted",
        "quiet_until",
    )

    def __init__(self) -> None:
        self.addresses: tuple[str, ...] = ()
        self.answered_at = 0.0
        self.good_until = 0.0
        self.quiet_until = 0.0
        """No question is asked before this time."""
        self.failure: OSError | None = None
        """Why the last question gave no addresses."""
        self.is_doubted = False
        self.asking: asyncio.Future[None] | None = None
        self.asking_since = 0.0


class Resolver:
    """Resolves names for one event loop. It opens nothing before the first question.

    `servers` (`address` or `address:port`) replace those of /etc/resolv.conf. `try_for` is how many seconds
    one server has for its first try; the default is that of /etc/resolv.conf. `time` is a monotonic clock in
    seconds.
    """

    def __init__(
        self,
        *,
        servers: Sequence[str] = (),
        try_for: float | None = None,
        time: Callable[[], float] | None = None,
    ) -> None:
        self._configuration_read: tuple[int, int] | None = None
        self._servers = tuple(servers)
        self._try_for = try_for
        self._time = time or _loop_time
        self._names: dict[str, _Name] = {}
        self._dns: aiodns.DNSResolver | None = None
        self._asked: Counter[aiodns.DNSResolver] = Counter()
        """The number of open questions of each channel. A replaced channel lives until its last answer."""
        self._is_closed = False
        self.answered = 0
        self.failed = 0
        self.stale = 0
        """For metrics: questions that were answered, questions that were not, and callers who got a stale
        answer."""

    async def connect(self, host: str, port: int) -> socket.socket:
        """Returns a TCP socket that is connected to the first address of the host that takes it. The caller
        limits the time. Raises OSError."""
        reached: socket.socket | None = None
        failure: OSError | None = None
        try:
            for address, is_last in _with_last(await self.addresses(host)):
                try:
                    async with asyncio.timeout(None if is_last else _NEXT_AFTER):
                        reached = await _connect(address, port)
                except OSError as error:
                    failure = error
                else:
                    self._prefer(host, address)
                    return reached
            raise failure or NameUnknown(f"{host} has no address")
        finally:
            if reached is None:
                self._doubt(host)

    async def addresses(self, host: str) -> tuple[str, ...]:
        """The addresses of the host, at least one, the best first. The caller limits the time. Raises
        NameUnknown or NameUnanswered.

        An IP address is its own answer. `localhost` and names below it are this machine without a question
        (RFC 6761 §6.3).
        """
        if _is_address(host):
            return (host,)
        key = host.lower().removesuffix(".")
        if key == "localhost" or key.endswith(".localhost"):
            return _LOCAL
        name = self._names.get(key)
        if name is None:
            name = self._names[key] = _Name()
        now = self._time()
        if name.addresses and now < name.good_until:
            return name.addresses
        if name.asking is None and now >= name.quiet_until:
            self._ask(key, name, now)
        await self._wait_for_answer(name, now)
        return self._usable_addresses(host, name)

    def _usable_addresses(self, host: str, name: _Name) -> tuple[str, ...]:
        now = self._time()
        if name.addresses and now < name.good_until + STALE_FOR:
            if now >= name.good_until:
                self.stale += 1
            return name.addresses
        if name.failure is not None and not isinstance(name.failure, NameUnanswered):
            raise NameUnknown(f"{host} has no address")
        raise NameUnanswered(f"no name server says which addresses {host} has") from name.failure

    @property
    def unanswered_names(self) -> dict[str, str]:
        """The names whose last question was not answered, with the reason."""
        return {
            key: str(name.failure)
            for key, name in self._names.items()
            if isinstance(name.failure, NameUnanswered)
        }

    async def aclose(self) -> None:
        """Ends all questions. Their callers get NameUnanswered."""
        self._is_closed = True
        for dns in {*self._asked, *filter(None, [self._dns])}:
            await dns.close()
        for name in self._names.values():
            if name.asking is not None and not name.asking.done():
                name.failure = name.failure or NameUnanswered("the gateway ends")
                name.asking.set_result(None)

    async def _wait_for_answer(self, name: _Name, now: float) -> None:
        """Waits for the answer to the open question, but only briefly if there is a stale answer."""
        asking = name.asking
        if asking is None:
            return
        has_stale = bool(name.addresses) and now < name.good_until + STALE_FOR
        left = name.asking_since + _PATIENCE - now if has_stale else None
        if left is not None and left <= 0:
            return
        try:
            async with asyncio.timeout(left):
                await asyncio.shield(asking)
        except TimeoutError:
            return

    def _ask(self, key: str, name: _Name, now: float) -> None:
        if self._is_closed:
            name.failure = NameUnanswered("the gateway ends")
            return
        try:
            dns = self._channel(is_fresh=name.is_doubted)
        except Exception as failure:  # noqa: BLE001  (c-ares has errors of its own for no memory, no descriptors, a broken configuration)
            self._note_failure(key, name, failure, now)
            return
        name.asking = asyncio.get_running_loop().create_future()
        name.asking_since = now
        name.is_doubted = False
        self._asked[dns] += 1
        try:
            question = dns.getaddrinfo(key, family=socket.AF_UNSPEC, type=socket.SOCK_STREAM)
        except UnicodeError:
            question = asyncio.get_running_loop().create_future()
            question.set_exception(DNSError(ARES_ENOTFOUND, "no name of a host"))
        question.add_done_callback(partial(self._answered, key, name, dns))

    def _channel(self, *, is_fresh: bool) -> aiodns.DNSResolver:
        """The channel to ask with. c-ares caches answers for their time to live, so a doubted answer needs a
        new channel with an empty cache.

        Changes of /etc/resolv.conf are detected here. c-ares relies on kernel notifications, which are
        missing in a container where the file is mounted from outside."""
        stamp = self._configuration_stamp()
        if is_fresh:
            return self._new_channel()
        if self._dns is None or stamp != self._configuration_read:
            self._dns, self._configuration_read = self._new_channel(), stamp
        return self._dns

    def _new_channel(self) -> aiodns.DNSResolver:
        return aiodns.DNSResolver(nameservers=self._servers or None, timeout=self._try_for)

    def _configuration_stamp(self) -> tuple[int, int] | None:
        """A value that changes when the file changes; None if there is no file."""
        try:
            status = _CONFIGURATION.stat()
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns

    def _answered(
        self, key: str, name: _Name, dns: aiodns.DNSResolver, question: asyncio.Future[Any]
    ) -> None:
        self._asked[dns] -= 1
        if not self._asked[dns]:
            del self._asked[dns]
        now = self._time()
        failure: BaseException | None = (
            NameUnanswered("cancelled") if question.cancelled() else question.exception()
        )
        if failure is None:
            self._keep_answer(name, question.result(), now)
        elif isinstance(failure, DNSError) and failure.args and failure.args[0] in _NO_SUCH_NAME:
            # The name server says so. An old address may belong to somebody else by now.
            name.addresses = ()
            name.failure = NameUnknown("no such name")
            name.quiet_until = now + _SHORTEST
            self.answered += 1
        else:
            self._note_failure(key, name, failure, now)
        if name.addresses and name.failure is not None and failure is None:
            name.failure = None
            logger("dns").info("name.answered", name=key)
        if name.asking is not None and not name.asking.done():
            name.asking.set_result(None)
        name.asking = None

    def _keep_answer(self, name: _Name, answer: Any, now: float) -> None:
        lives_for = min((node.ttl for node in (*answer.nodes, *answer.cnames)), default=0)
        name.addresses = tuple(dict.fromkeys(_text(node.addr) for node in answer.nodes))
        name.answered_at = now
        name.good_until = now + max(float(lives_for), _SHORTEST)
        name.quiet_until = 0.0
        self.answered += 1

    def _note_failure(self, key: str, name: _Name, failure: BaseException, now: float) -> None:
        self.failed += 1
        detail = (
            str(failure.args[1])
            if isinstance(failure, DNSError) and len(failure.args) > 1
            else type(failure).__name__
        )
        if not isinstance(name.failure, NameUnanswered) and not self._is_closed:
            # One log line per change. An outage under load would bury its own cause otherwise.
            logger("dns").warning("name.unanswered", name=key, detail=detail, uses_old=bool(name.addresses))
        name.failure = NameUnanswered(detail)
        name.quiet_until = now + (_REST if name.addresses else _SHORTEST)

    def _prefer(self, host: str, address: str) -> None:
        """Moves the address that took the connection to the front, so that a dead one before it costs time
        only once."""
        name = self._names.get(host.lower().removesuffix("."))
        if name is not None and address in name.addresses and name.addresses[0] != address:
            name.addresses = (address, *(other for other in name.addresses if other != address))

    def _doubt(self, host: str) -> None:
        """No address of the host took a connection. The host may have moved before the time to live was over,
        so the name will be asked for again."""
        name = self._names.get(host.lower().removesuffix("."))
        now = self._time()
        if (
            name is not None
            and name.addresses
            and now - name.answered_at >= _DOUBTED_AFTER
            and now < name.good_until
        ):
            name.good_until = now
            name.is_doubted = True


def _loop_time() -> float:
    return asyncio.get_running_loop().time()


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _text(address: tuple[bytes, int] | tuple[bytes, int, int, int]) -> str:
    scope = address[3] if len(address) == 4 else 0
    return address[0].decode("ascii") + (f"%{scope}" if scope else "")


def _with_last(addresses: tuple[str, ...]) -> list[tuple[str, bool]]:
    return [(address, at == len(addresses) - 1) for at, address in enumerate(addresses)]


async def _connect(address: str, port: int) -> socket.socket:
    # The flags allow numbers only, so this asks no name server.
    family, kind, protocol, _, socket_address = socket.getaddrinfo(
        address, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    )[0]
    connection = socket.socket(family, kind, protocol)
    try:
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(connection, socket_address)
    except BaseException:
        connection.close()
        raise
    return connection
