"""The ways in which OCSP responders and revocation lists fail or lie."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, cast, get_args

from aiohttp import web

from authproxy.sandbox.faults import ActiveFaults, Fault, NotAFault, seconds_in

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
_FOLLOWED = "followed"
_CHUNK, _CHUNKS = 64 * 1024, 1024
# The beginning of a DER sequence of 64 MiB, as a list or an answer of that size would have.
_HUGE_BEGINS = bytes.fromhex("308403fffffa")


class StatusFaults(ActiveFaults[Fault]):
    async def met(self, service: Service, request: web.Request) -> str | None:
        """How the service fails for this request, if it does; a slow answer has waited when this returns. A
        request that has followed the redirect meets no further one."""
        return await self.happening(
            service, lambda fault: fault.how != "redirect" or _FOLLOWED not in request.query
        )


def status_fault(body: Mapping[str, Any]) -> Fault:
    """The fault that a JSON body or a form asks for. Raises NotAFault."""
    named, how = body.get("service"), body.get("how")
    if named not in get_args(Service):
        raise NotAFault("service")
    service = cast("Service", named)
    if how not in WAYS[service]:
        raise NotAFault("how")
    return Fault(service=service, how=cast("str", how), seconds=seconds_in(body))


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
