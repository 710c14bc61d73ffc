"""What a front proxy asks about is what the portal gets, whatever bytes a client writes."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import pytest

from tests.support.fronts import envoy, haproxy
from tests.support.fronts.http3_client import http3_client
from tests.support.fronts.raw_http2 import asked_over_http2
from tests.support.fronts.world import OPEN, Standing, World, status_of

pytestmark = [pytest.mark.needs("redis-server", "node"), pytest.mark.asyncio(loop_scope="session")]


def start_lines(heard: list[bytearray]) -> list[bytes]:
    return [bytes(connection).partition(b"\r\n")[0] for connection in heard]


async def test_bytes_that_are_no_text_are_not_judged_as_other_ones(front: Standing) -> None:
    ticket = (b"cookie", front.cookie(await front.ana()).encode())
    for target in (b"/\x9aola", OPEN.encode() + b"/\xc0\xae\xc0\xae/trezor", OPEN.encode() + b"/\xff"):
        with front.world.tap.heard() as heard:
            await asked_over_http2(front, target, [ticket])
        # Caddy and Traefik write them in another way, ask about that, and pass that on.
        assert [line for line in start_lines(heard) if not line.isascii()] == [], target
    if front.kind.name == "envoy":
        # The others ask about Destination as it is.
        with front.world.tap.heard() as heard:
            destination = front.url.encode() + b"/\x9aola"
            await asked_over_http2(front, b"/a", [ticket, (b"destination", destination)])
        assert heard == []
    with front.world.tap.heard() as heard:
        await asked_over_http2(front, b"/a", [ticket])
    assert start_lines(heard) == [b"GET /a HTTP/1.1"]


async def test_an_address_with_another_scheme_does_not_reach_the_portal_as_it_is(front: Standing) -> None:
    for scheme in ("ftp", "foo", "https"):
        with front.world.tap.heard() as heard:
            await front.raw_get(f"{scheme}://{front.host}{OPEN}/a")
        assert {line.split(b" ")[1] for line in start_lines(heard)} <= {f"{OPEN}/a".encode()}


async def test_a_host_with_blanks_is_not_judged_as_one_and_served_as_another(front: Standing) -> None:
    host = front.host.encode()
    for authority in (host + b" ", b"\t" + host, host + b"\xc2\xa0", host + b"\x0b"):
        with front.world.tap.heard() as heard:
            await asked_over_http2(front, OPEN.encode(), authority=authority)
        assert heard == [], authority
    with front.world.tap.heard() as heard:
        await asked_over_http2(front, OPEN.encode())
    assert re.search(rb"(?i)\r\nhost: %s\r\n" % host, b"".join(heard))


async def test_a_websocket_takes_no_header_of_ours_away(front: Standing) -> None:
    ana = await front.ana()
    fields = (
        "Upgrade: websocket",
        "Connection: Upgrade, X-Auth-Subject, X-Auth-Assertion",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        f"Origin: {front.url}",
        f"Cookie: {front.cookie(ana)}",
    )
    with front.world.tap.heard() as heard:
        await front.raw("\r\n".join(["GET /socket HTTP/1.1", f"Host: {front.host}", *fields, "", ""]))
    sent = b"".join(heard).lower()
    assert b"\r\nconnection: upgrade\r\n" in sent
    assert b"\r\nx-auth-subject: ana" in sent


async def test_the_longest_request_that_haproxy_takes_has_the_whole_identity(world: World) -> None:
    front = world.front(haproxy.FRONT)
    cookie = front.cookie(await front.ana())
    others = [f"X-Other-{number}: {'a' * 400}" for number in range(70)]

    async def status(size: int) -> int:
        return status_of(await front.raw_get("/a", *others, f"X-Last: {'a' * size}", cookie=cookie))

    fits, too_long = 1, 8192
    while too_long - fits > 4:
        middle = (fits + too_long) // 2
        fits, too_long = (middle, too_long) if await status(middle) == 200 else (fits, middle)
    assert await status(too_long) in {400, 431}
    for less in range(0, 40, 8):
        assert await status(fits - less) == 200
        assert len([name for name, _ in front.portal.last.headers if name.startswith("x-auth-")]) == 9


async def test_envoy_takes_no_capsules_whose_length_it_does_not_check(world: World, tmp_path: Path) -> None:
    """Over HTTP/3 it would pass on what stands behind the declared length: another request."""
    front = world.front(envoy.FRONT)
    port, authority = front.place.port, world.folder.parent / "authority.pem"
    # A client of its own: this one does not survive the answer.
    with http3_client({port: front.place.hosts["acq.example.si"]}, authority, tmp_path) as over_http3:
        status, _, _ = await over_http3.ask("HEAD", front.host, OPEN, port=port)
        assert status == 200
        with world.tap.heard() as heard, contextlib.suppress(ConnectionError):
            status, _, _ = await over_http3.ask(
                "HEAD", front.host, OPEN, [("Capsule-Protocol", "?1")], port=port
            )
            assert status == 403
        assert heard == []
