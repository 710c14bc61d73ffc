"""What nginx's files can do beyond the scenarios: six portals, kept answers, signed questions."""

from __future__ import annotations

import asyncio
import ssl

import pytest

from tests.support.fronts import nginx
from tests.support.fronts.world import PATIENCE, World, status_of

pytestmark = [pytest.mark.needs("nginx", "redis-server"), pytest.mark.asyncio(loop_scope="session")]


async def test_six_portals_have_their_own_sign_ins_behind_one_nginx(world: World) -> None:
    with world.broken(nginx.SIX, nginx.SIX.files()) as front:
        ana = await front.signed_in("/promet")
        assert front.portal.last.target == "/promet"
        for host in list(front.place.hosts.values())[1:]:
            url = f"https://{host}:{front.place.port}/"
            assert (await ana.browser.fetch(url)).status == 401
            page = await ana.signs_in(url)
            assert (page.status, page.text) == (200, "portal"), front.running.errors
            assert front.portal.last.all("Host") == [f"{host}:{front.place.port}"]


async def test_a_name_that_no_portal_has_is_not_even_greeted(world: World) -> None:
    with world.broken(nginx.SIX, nginx.SIX.files()) as front:
        await front.signed_in()
        tls = ssl.create_default_context()
        tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
        with pytest.raises(ssl.SSLError, match="UNRECOGNIZED_NAME"):
            async with asyncio.timeout(PATIENCE):
                await asyncio.open_connection(
                    "127.0.0.1", front.place.port, ssl=tls, server_hostname="elsewhere.localhost"
                )
        # The handshake was for a portal, the request is for somebody else.
        answer = await front.raw_get("/", host="elsewhere.localhost")
        assert answer == b"" or status_of(answer) in {400, 403, 421}
        assert b"portal" not in answer


async def test_the_certificate_host_asks_for_a_certificate_beside_the_portals_and_they_do_not(
    world: World,
) -> None:
    with world.broken(nginx.SIX, nginx.SIX.files()) as front:
        asked = []
        for name in ("potrdila.example.si", front.place.hosts["acq.example.si"]):
            reader, writer = await asyncio.open_connection("127.0.0.1", front.place.port)
            asked.append(await _is_asked(reader, writer, name))
            writer.close()
        assert asked == [True, False]
        # Behind the portals' handshake nobody gets to the certificate host, where a certificate would be missing.
        answer = await front.raw_get("/", host=f"potrdila.example.si:{front.place.port}")
        assert status_of(answer) == 421


async def _is_asked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, name: str) -> bool:
    """Whether the server asks for a certificate in a handshake of TLS 1.2, where this can be seen from
    outside."""
    come, go = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    tls = context.wrap_bio(come, go, server_hostname=name)
    seen = b""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                tls.do_handshake()
            except ssl.SSLWantReadError:
                writer.write(go.read())
                piece = await reader.read(65536)
                seen += piece
                come.write(piece)
            else:
                return _has_certificate_request(seen)


def _has_certificate_request(records: bytes) -> bool:
    handshake = b""
    while records:
        kind, size = records[0], int.from_bytes(records[3:5], "big")
        if kind == 0x14:
            break
        handshake += records[5 : 5 + size]
        records = records[5 + size :]
    while handshake:
        if handshake[0] == 0x0D:
            return True
        handshake = handshake[4 + int.from_bytes(handshake[1:4], "big") :]
    return False
