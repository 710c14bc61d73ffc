"""Connections beside the front proxy, addresses of this machine, and the assertion that has arrived."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import socket
from collections.abc import Iterable
from urllib.parse import urlsplit

from authproxy.doctor import raw_http
from authproxy.doctor.examination import Examination
from authproxy.doctor.findings import Verdict
from authproxy.doctor.judgement import Trial
from authproxy.doctor.raw_http import Message
from authproxy.doctor.wire import Budget
from authproxy.oidc import key_set, signed_token
from authproxy.oidc.refused import TokenRefused
from authproxy.oidc.relying_party import ALGORITHMS
from authproxy.oidc.signed_token import TokenKind
from authproxy.oidc.wire import Unreadable

_PATIENCE = 1.5
_ENOUGH = 65536
_ELSEWHERE = "192.0.2.1"
"""An address that belongs to nobody (RFC 5737); nothing is sent to it."""
_ANOTHER_LOOPBACK = "127.0.0.2"
_ASSERTION = TokenKind("assertion", frozenset({"JWT"}))
_LEEWAY = 30


def beside(servers: Iterable[str], front: str) -> list[tuple[str, int]]:
    """Where portals' servers might be reached past the gateway. A server at a loopback address cannot be
    reached from outside, unless it listens at others too: then it answers at the front proxy's address."""
    found: dict[tuple[str, int], None] = {}
    for server in servers:
        parts = urlsplit(server)
        if not parts.hostname:
            continue
        port = parts.port or (443 if parts.scheme == "https" else 80)
        if not _is_of_a_machine(parts.hostname):
            found[parts.hostname, port] = None
        elif not _is_loopback(front):
            found[front, port] = None
        else:
            # The doctor is on the machine itself.
            for address in (_outward_address(), _ANOTHER_LOOPBACK):
                if address and address != parts.hostname:
                    found[address, port] = None
    return list(found)


async def of_itself(host: str) -> str:
    """The loopback address that the host is a name of, as a line of /etc/hosts says it before go-live;
    otherwise the host as it is."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return host
    addresses = [str(address[0]) for *_, address in found]
    return addresses[0] if addresses and all(map(_is_loopback, addresses)) else host


def _is_of_a_machine(host: str) -> bool:
    """Whether the address is one that every machine has: loopback, or all addresses."""
    return _is_loopback(host) or host in {"0.0.0.0", "::"}  # noqa: S104  (nobody listens here)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _outward_address() -> str:
    """This machine's address as others see it; empty if it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked, contextlib.suppress(OSError):
        asked.connect((_ELSEWHERE, 9))
        address = str(asked.getsockname()[0])
        return "" if _is_loopback(address) else address
    return ""


async def ask(budget: Budget, address: str, port: int, request: bytes) -> Message | None:
    """The answer to a plain request. None if nobody answers; what is no HTTP counts as an answer."""
    budget.take()
    data = b""
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(_PATIENCE):
            reader, writer = await asyncio.open_connection(address, port)
            try:
                writer.write(request)
                while piece := await reader.read(_ENOUGH):
                    data += piece
                    if b"\r\n\r\n" in data or len(data) > _ENOUGH:
                        break
            finally:
                writer.transport.abort()
    message, _ = raw_http.read(data, is_answer=True)
    return message or (Message(start="something other than HTTP", fields=()) if data else None)


def key_ids(published: Message | None) -> frozenset[str]:
    return frozenset(str(key.get("kid")) for key in _keys(published))


def _keys(published: Message | None) -> list[dict[str, object]]:
    try:
        said = json.loads(published.body if published is not None else b"{}")
    except (ValueError, RecursionError):
        return []
    keys = said.get("keys", []) if isinstance(said, dict) else []
    return [key for key in keys if isinstance(key, dict)]


def assertion(on: Examination, plain: Trial, published: Message | None) -> Verdict:
    """Whether the assertion that has reached the stand-in holds, as a portal checks it."""
    what = "the assertion of an ordinary request"
    values = plain.arrivals[-1].all("X-Auth-Assertion") if plain.arrivals else []
    if len(values) != 1:
        return Verdict(colour="yellow", sent=what, came=f"{len(values)} of them in X-Auth-Assertion")
    fault = _fault(values[0], on, published)
    if fault:
        return Verdict(colour="red", sent=what, came=fault)
    return Verdict(colour="green", sent=what, came="it holds")


def _fault(text: str, on: Examination, published: Message | None) -> str:
    try:
        token = signed_token.read(text, _ASSERTION, *ALGORITHMS)
        key = key_set.read({"keys": _keys(published)}, token.algorithm).key_for(token.key_id)
        if key is None:
            return "it is signed by no key that jwks.json has"
        claims = signed_token.claims_of(token, key)
    except (TokenRefused, Unreadable) as refused:
        return str(refused)
    if claims.get("iss") != on.look.said["issuer"]:
        return "its issuer is not the gateway"
    if claims.get("aud") != on.look.portal_id:
        return "it is not for this portal"
    ends, now = claims.get("exp"), on.clock().timestamp()
    latest = now + float(on.look.said["assertion_seconds"]) + _LEEWAY
    if not isinstance(ends, int | float) or not now - _LEEWAY <= ends <= latest:
        return "its end does not fit the clock of this machine"
    return ""
