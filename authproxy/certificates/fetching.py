"""Asks a responder, or for a list, over HTTP; decides what counts as an answer at all. No redirect is
followed, nothing private is reached at a certificate's word, and nothing is read beyond its limit of time and
size."""

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
from authproxy.dns.resolver import Resolver
from authproxy.dns.sessions import SessionResolver

_LOST = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, aiohttp.ClientPayloadError, ConnectionError)
"""The connection was lost, or there was none."""
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class NoAnswer(Exception):  # noqa: N818
    """The message is for operators."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchLimits:
    timeout: timedelta
    octets: int


class Fetcher:
    """Two sessions: one for the addresses that the operator named, one that connects to public addresses
    only."""

    def __init__(self, *, named: aiohttp.ClientSession, public: aiohttp.ClientSession) -> None:
        self._named = named
        self._public = public

    async def fetched(
        self, address: SourceAddress, limits: FetchLimits, *, question: bytes | None = None
    ) -> bytes:
        """The body of the answer; with a question it is asked by POST (RFC 6960 §A.1). Where the connection
        is lost, it is asked once more within the same time. Raises NoAnswer."""
        try:
            async with asyncio.timeout(limits.timeout.total_seconds()):
                try:
                    return await self._asked(address, limits, question)
                except _LOST as lost:
                    if isinstance(lost, aiohttp.ClientSSLError):
                        raise  # it would not be trusted the second time either
                    return await self._asked(address, limits, question)
        except TimeoutError:
            raise NoAnswer(f"no answer within {limits.timeout.total_seconds():g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # The texts of these may quote what was received; the class says enough.
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
            # A few bytes of gzip can stand for gigabytes; we asked for none.
            if response.headers.get("Content-Encoding", "identity").lower() != "identity":
                raise NoAnswer("answered in an encoding that was not asked for")
            return await _body(response, limits.octets)


class _PublicOnly(AbstractResolver):
    """Names that lead to private, local or reserved addresses have no address. What is judged here is what is
    connected to, so that a name cannot change its mind in between."""

    def __init__(self, names: SessionResolver) -> None:
        self._names = names

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = [
            result for result in await self._names.resolve(host, port, family) if is_public(result["host"])
        ]
        if not found:
            raise OSError(f"{host} leads to no public address")
        return found

    async def close(self) -> None:
        await self._names.close()


def client_session(*, public_only: bool, names: Resolver | None = None) -> aiohttp.ClientSession:
    """A session for `Fetcher`: no cookies, no proxy from the environment, nothing unpacked. The caller closes
    it."""
    resolver = SessionResolver(names)
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            resolver=_PublicOnly(resolver) if public_only else resolver,
            limit=32,
            use_dns_cache=False,
            force_close=True,
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        auto_decompress=False,
        headers={"User-Agent": "authproxy"},
    )


def is_public(host: str) -> bool:
    """Whether the literal address belongs to the public Internet. One that carries an IPv4 address inside
    does not: it leads elsewhere."""
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
        return True  # a name: the session resolves it, and judges what it leads to


async def _body(response: aiohttp.ClientResponse, limit: int) -> bytes:
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > limit:
            raise NoAnswer(f"answered with more than {limit} bytes")
    return bytes(body)
