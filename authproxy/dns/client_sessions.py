"""HTTP client sessions for requests to other machines: they find addresses by our resolver, and take nothing
from the environment. `read_body` reads an answer of limited size."""

from __future__ import annotations

import socket
import ssl
from typing import Any
from weakref import WeakSet

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.tracing import Trace

from authproxy.dns.resolver import Resolver

_NUMERIC = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV


class BodyRefused(Exception):  # noqa: N818
    """The body is compressed or too large. The text continues a sentence that begins with the sender's
    name."""


class SessionResolver(AbstractResolver):
    """Makes the resolver available to aiohttp. For `TCPConnector(resolver=…, use_dns_cache=False)`, because
    the resolver keeps answers itself."""

    def __init__(self, names: Resolver | None = None) -> None:
        """Without `names` it creates a resolver, and closes it in `close`."""
        self._names = names or Resolver()
        self._is_own = names is None

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        addresses = [(address, _family(address)) for address in await self._names.addresses(host)]
        return [
            ResolveResult(hostname=host, host=address, port=port, family=its_family, proto=0, flags=_NUMERIC)
            for address, its_family in addresses
            if family in {socket.AF_UNSPEC, its_family}
        ]

    async def close(self) -> None:
        if self._is_own:
            await self._names.aclose()


class _Connector(aiohttp.TCPConnector):
    """Only a GET goes over a kept connection: if that is just being closed, aiohttp asks again over a new
    one, and a POST would be lost. Nor is a connection used on which something has arrived meanwhile. aiohttp
    would take that, an answer that came twice or late, for the answer to the next question, which may be
    about another person."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._used: WeakSet[ResponseHandler] = WeakSet()

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109  (as aiohttp calls it)
    ) -> Connection:
        while True:
            connection = await super().connect(req, traces, timeout)
            protocol = connection.protocol
            if protocol is None or not (
                protocol.should_close or (req.method != "GET" and protocol in self._used)
            ):
                if protocol is not None:
                    self._used.add(protocol)
                return connection
            connection.close()


def client_session(
    resolver: AbstractResolver,
    *,
    connections: int,
    context: ssl.SSLContext | None = None,
    kept_for: float = 0.0,
) -> aiohttp.ClientSession:
    """A session without cookies, proxies of the environment and decompression. Certificates are verified with
    `context`, or against the system's authorities. aiohttp's own time limits are off: callers limit
    the time of each request, and close the session.

    Connections are not reused, except by a GET within `kept_for` seconds. If the other side closed one just
    as a request travels over it, nobody would know whether the request arrived: an authorization code would
    be lost, a message sent twice."""
    return aiohttp.ClientSession(
        connector=_Connector(
            ssl=True if context is None else context,
            limit=connections,
            **({"keepalive_timeout": kept_for} if kept_for else {"force_close": True}),
            resolver=resolver,
            use_dns_cache=False,
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(),
        trust_env=False,
        auto_decompress=False,
        headers={"User-Agent": "authproxy"},
    )


async def read_body(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """The whole body, at most `limit` bytes. Raises BodyRefused. The request must have asked for
    `identity`."""
    # A few bytes of gzip can expand to gigabytes, and we asked for no compression.
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise BodyRefused("answered in an encoding that was not asked for")
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > limit:
            raise BodyRefused(f"answered with more than {limit} bytes")
    return bytes(body)


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET
