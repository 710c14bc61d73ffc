"""Asks an OCSP responder or fetches a list over HTTP, and decides what counts as an answer. It follows no
redirect, reaches no private network because of a certificate, and limits time and size."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from dataclasses import dataclass
from datetime import timedelta

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from authproxy.certificates.addresses import SourceAddress
from authproxy.dns import client_sessions
from authproxy.dns.client_sessions import BodyRefused, SessionResolver, read_body
from authproxy.dns.resolver import Resolver

_LOST = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, aiohttp.ClientPayloadError, ConnectionError)
"""The connection was lost or could not be made."""
_CONNECTIONS = 32
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class NoAnswer(Exception):  # noqa: N818
    """The message is for operators."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchLimits:
    timeout: timedelta
    octets: int


class Fetcher:
    """Uses two sessions: one for addresses that the operator configured, and one that connects to public
    addresses only."""

    def __init__(self, *, named: aiohttp.ClientSession, public: aiohttp.ClientSession) -> None:
        self._named = named
        self._public = public

    async def fetched(
        self, address: SourceAddress, limits: FetchLimits, *, question: bytes | None = None
    ) -> bytes:
        """Returns the body of the answer. With a question, it sends a POST (RFC 6960 §A.1). After a lost
        connection it asks once more within the same time. Raises NoAnswer."""
        try:
            async with asyncio.timeout(limits.timeout.total_seconds()):
                try:
                    return await self._asked(address, limits, question)
                except _LOST as lost:
                    if isinstance(lost, aiohttp.ClientSSLError):
                        raise  # a second try would not trust the certificate either
                    return await self._asked(address, limits, question)
        except TimeoutError:
            raise NoAnswer(f"no answer within {limits.timeout.total_seconds():g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # The texts of these errors may quote what was received. The class name is enough.
            raise NoAnswer(f"could not be asked: {type(error).__name__}") from None

    async def _asked(self, address: SourceAddress, limits: FetchLimits, question: bytes | None) -> bytes:
        url = URL(address.url, encoded=True)
        if not address.is_named and not _leads_out(url.host or ""):
            raise NoAnswer("leads to an address that is not public")
        session = self._named if address.is_named else self._public
        headers = {"Accept-Encoding": "identity"} | (
            {} if question is None else {"Content-Type": "application/ocsp-request"}
        )
        async with session.request(
            "GET" if question is None else "POST", url, data=question, headers=headers, allow_redirects=False
        ) as response:
            if response.status != 200:
                raise NoAnswer(f"answered {response.status}")
            try:
                return await read_body(response, limits.octets)
            except BodyRefused as refused:
                raise NoAnswer(str(refused)) from None


class _PublicOnly(AbstractResolver):
    """Gives no addresses in private, local or reserved networks. The connection uses the addresses that were
    judged here, so a name cannot change its addresses in between (DNS rebinding)."""

    def __init__(self, names: SessionResolver) -> None:
        self._names = names

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        public = [
            result for result in await self._names.resolve(host, port, family) if is_public(result["host"])
        ]
        if not public:
            raise OSError(f"{host} leads to no public address")
        return public

    async def close(self) -> None:
        await self._names.close()


def client_session(*, public_only: bool, names: Resolver | None = None) -> aiohttp.ClientSession:
    """A session for `Fetcher`. The caller closes it."""
    resolver = SessionResolver(names)
    return client_sessions.client_session(
        _PublicOnly(resolver) if public_only else resolver, connections=_CONNECTIONS
    )


def is_public(host: str) -> bool:
    """Whether the literal address belongs to the public Internet. IPv6 addresses that contain an IPv4 address
    do not count: they may lead to a private one."""
    address = ipaddress.ip_address(host.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and (
        address.ipv4_mapped or address.sixtofour or address.teredo or address in _NAT64
    ):
        return False
    return address.is_global and not address.is_multicast


def _leads_out(host: str) -> bool:
    try:
        return is_public(host)
    except ValueError:
        return True  # a name: the session judges the addresses that it resolves to
