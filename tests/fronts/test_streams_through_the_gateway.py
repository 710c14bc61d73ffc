"""Parts of a portal that go through the gateway, as the READMEs of Caddy and Traefik say: what is open there
ends with its session."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from authproxy.bootstrap.open_sessions import revoke_session
from tests.support.fronts import caddy, traefik
from tests.support.fronts.front import Front
from tests.support.fronts.world import PATIENCE, World, status_of

pytestmark = [pytest.mark.needs("redis-server"), pytest.mark.asyncio(loop_scope="session")]

_CADDY = "\timport authproxy_portal {\n"
_TRAEFIK = "  routers:\n    acq:\n"
EDITS: Mapping[str, tuple[str, str]] = {
    "caddy": (_CADDY, "\thandle /events* {\n\t\timport authproxy_through\n\t}\n" + _CADDY),
    "traefik": (
        _TRAEFIK,
        (
            "  routers:\n    events:\n      entryPoints: [https]\n"
            "      rule: Host(`acq.example.si`) && PathPrefix(`/events`)\n"
            "      middlewares: [authproxy-no-upgrade, authproxy-away]\n"
            "      service: authproxy\n      tls: {}\n    acq:\n"
        ),
    ),
}


@pytest.mark.parametrize("kind", [caddy.FRONT, traefik.FRONT], ids=lambda kind: kind.name)
async def test_an_event_stream_ends_with_its_session(world: World, kind: Front) -> None:
    old, new = EDITS[kind.name]
    files = kind.files()
    [name] = [name for name, text in files.items() if old in text]
    with world.broken(kind, files | {name: files[name].replace(old, new)}) as front:
        assert status_of(await front.raw_get("/events")) == 401
        ana = await front.signed_in()
        front.portal.events = asyncio.Queue()
        async with front.connection() as (reader, writer), asyncio.timeout(PATIENCE):
            writer.write(
                f"GET /events HTTP/1.1\r\nHost: {front.host}\r\nCookie: {front.cookie(ana)}\r\n"
                "X-Auth-Subject: mallory\r\n\r\n".encode()
            )
            front.portal.events.put_nowait("prvi")
            await reader.readuntil(b"data: prvi\n\n")
            assert front.portal.last.all("X-Auth-Name") == ["Ana Novak"]
            assert "mallory" not in front.portal.last.all("X-Auth-Subject")
            [*_, started] = world.house.events("session.started")
            assert await revoke_session(world.house.settings, started["session"])
            await reader.readuntil(b"\r\n0\r\n\r\n")
