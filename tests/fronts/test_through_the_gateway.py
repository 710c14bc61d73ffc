"""Paths that Envoy and HAProxy send through the gateway, as their READMEs say, so that streams end with their
session."""

from __future__ import annotations

import re
from collections.abc import Mapping

import aiohttp
import pytest

from authproxy.bootstrap.open_sessions import revoke_session
from tests.support.fronts import envoy, haproxy
from tests.support.fronts.front import DEPLOY, Front
from tests.support.fronts.world import World, status_of

pytestmark = [
    pytest.mark.needs("redis-server", "node"),
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.rehearsal,
]


def with_envoys_route(files: Mapping[str, str]) -> dict[str, str]:
    [name] = [name for name in files if name.endswith(".yaml")]
    [route] = re.findall(
        r"^ +- match: \{prefix: /events/\}\n(?: +.*\n)+?(?=  ```)", readme("envoy"), re.MULTILINE
    )
    behind = "                        # Browsers send cookies even if a foreign page opens a WebSocket."
    assert behind in files[name]
    return {**files, name: files[name].replace(behind, elsewhere(route) + behind)}


def with_haproxys_line(files: Mapping[str, str]) -> dict[str, str]:
    [name] = [name for name in files if name.endswith(".cfg")]
    [line] = re.findall(r"`(acl own_page path_beg /events/)`", readme("haproxy"))
    before = "    acl own_page path_beg /.authproxy/\n"
    assert before in files[name]
    return {**files, name: files[name].replace(before, f"{before}    {elsewhere(line)}\n")}


def readme(proxy: str) -> str:
    return (DEPLOY / proxy / "README.md").read_text()


def elsewhere(text: str) -> str:
    """At the portal's WebSocket."""
    return text.replace("/events/", "/socket")


CHANGED = {envoy.FRONT: with_envoys_route, haproxy.FRONT: with_haproxys_line}


@pytest.mark.parametrize("kind", list(CHANGED), ids=lambda kind: kind.name)
async def test_a_websocket_through_the_gateway_ends_with_its_session(world: World, kind: Front) -> None:
    with world.broken(kind, CHANGED[kind](kind.files())) as front:
        assert status_of(await front.raw_get("/socket")) == 401
        ana = await front.signed_in()
        [*_, started] = world.house.events("session.started")
        headers = {"Host": front.host, "Cookie": front.cookie(ana), "Origin": front.url}
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(
                f"wss://127.0.0.1:{front.place.port}/socket",
                headers=headers,
                ssl=world.tls,
                server_hostname=front.place.hosts["acq.example.si"],
            ) as opened,
        ):
            await opened.send_str("dober dan")
            assert await opened.receive_str(timeout=10) == "echo dober dan"
            assert front.portal.last.all("X-Auth-Name") == ["Ana Novak"]
            assert front.portal.last.all("X-Forwarded-For") == ["127.0.0.1"]

            assert await revoke_session(world.house.settings, started["session"])

            ended = await opened.receive(timeout=10)
            assert ended.type in {aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED}
