"""Faults of the authority's services that somebody has switched on: ways in which responders and lists fail
or lie."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

from aiohttp import web

Service = Literal["ocsp", "crl"]
_TRANSPORT = ("down", "slow", "redirect", "huge", "garbage")
WAYS: Mapping[Service, tuple[str, ...]] = {
    "ocsp": (
        *_TRANSPORT,
        "stale",
        "wrong_signature",
        "wrong_certificate_id",
        "wrong_responder",
        "unknown",
        "try_later",
        "nonce_dropped",
        "wrong_nonce",
    ),
    "crl": (*_TRANSPORT, "stale", "wrong_signature", "wrong_partition", "delta", "indirect"),
}
USUAL_WAIT, _LONGEST_WAIT = 30.0, 600.0
_FOLLOWED = "followed"
_CHUNK, _CHUNKS = 64 * 1024, 1024
# The beginning of a DER sequence of 64 MiB, as a list or an answer of that size would have.
_HUGE_BEGINS = bytes.fromhex("308403fffffa")


class NotAFault(ValueError):  # noqa: N818
    """The request names no such fault. The text names the wrong member."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    service: Service
    how: str
    seconds: float
    """How long a slow answer takes."""

    def as_json(self) -> dict[str, Any]:
        return {"service": self.service, "how": self.how, "seconds": self.seconds}


class Faults:
    """At most one fault for each service."""

    def __init__(self) -> None:
        self._of: dict[Service, Fault] = {}
        self._changed = asyncio.Event()

    def add(self, fault: Fault) -> None:
        self._over()
        self._of[fault.service] = fault

    def mend(self, service: Service | None = None) -> None:
        """Ends the fault of one service, or all faults. Slow answers that still wait are sent at once."""
        for each in (service,) if service is not None else get_args(Service):
            self._of.pop(each, None)
        self._over()

    def __iter__(self) -> Iterator[Fault]:
        return iter(self._of.values())

    async def met(self, service: Service, request: web.Request) -> str | None:
        """The fault for this request, if any. For a slow answer this returns only after the wait. A request
        that has followed the redirect meets no further one."""
        fault = self._of.get(service)
        if fault is None or (fault.how == "redirect" and _FOLLOWED in request.query):
            return None
        if fault.how == "slow":
            changed = self._changed
            try:
                async with asyncio.timeout(fault.seconds):
                    await changed.wait()
            except TimeoutError:
                pass
        return fault.how

    def _over(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


def fault(body: Mapping[str, Any]) -> Fault:
    """The fault that a JSON body or a form asks for. Raises NotAFault."""
    named, how, seconds = body.get("service"), body.get("how"), body.get("seconds", USUAL_WAIT)
    if named not in get_args(Service):
        raise NotAFault("service")
    service = cast("Service", named)
    if how not in WAYS[service]:
        raise NotAFault("how")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= _LONGEST_WAIT:
        raise NotAFault("seconds")
    return Fault(service=service, how=cast("str", how), seconds=float(seconds))


async def on_the_way(how: str | None, request: web.Request, content_type: str) -> web.StreamResponse | None:
    """The answer for a fault that does not depend on the question; None for any other fault."""
    if how == "down":
        return web.Response(status=503, text="out of service\n")
    if how == "redirect":
        return web.Response(status=307, headers={"Location": f"{request.rel_url.raw_path}?{_FOLLOWED}"})
    if how == "garbage":
        return web.Response(body=b"<!doctype html><title>Pozdravljeni</title>", content_type=content_type)
    if how == "huge":
        return await _endless(request, content_type)
    return None


async def _endless(request: web.Request, content_type: str) -> web.StreamResponse:
    """64 MiB without Content-Length, or as much as the client reads."""
    response = web.StreamResponse(headers={"Content-Type": content_type})
    await response.prepare(request)
    await response.write(_HUGE_BEGINS)
    for _ in range(_CHUNKS):
        await response.write(bytes(_CHUNK))
    return response
