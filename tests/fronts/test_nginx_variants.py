"""What nginx's files can do beyond the scenarios: six portals, kept answers."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from authproxy.bootstrap.open_sessions import revoke_session
from tests.support.fronts import nginx
from tests.support.fronts.world import (
    CLOSED,
    DEMANDING,
    HIGHER,
    PATIENCE,
    Standing,
    World,
    status_of,
)
from tests.support.waiting import until

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


async def questions(front: Standing) -> float:
    """How many decisions on sessions the gateway has made so far."""
    metric = front.world.house.metric
    return sum(
        [await metric(f'authproxy_near_cache_lookups_total{{result="{said}"}}') for said in ("hit", "miss")]
    )


async def test_like_requests_of_one_session_are_asked_about_once(world: World) -> None:
    with world.broken(nginx.CACHED, nginx.CACHED.files()) as front:
        ana = await front.signed_in()
        before = await questions(front)
        answers = [await ana.browser.fetch(f"{front.url}/promet") for _ in range(10)]
        assert {answer.status for answer in answers} == {200}
        assert await questions(front) - before < 10
        # What the gateway has said once reaches the portal each time.
        told = [received for received in front.portal.received if received.target == "/promet"][-10:]
        assert {tuple(received.all("X-Auth-Name")) for received in told} == {("Ana Novak",)}
        assert all(received.all("X-Auth-Assertion") for received in told)


@pytest.mark.parametrize(
    ("method", "fields"),
    [
        ("POST", ("Content-Length: 0",)),
        ("DELETE", ()),
        ("GET", ("Authorization: Basic YTpi",)),
        ("GET", ("Origin: https://elsewhere.example",)),
        (
            "GET",
            (
                "Connection: Upgrade",
                "Upgrade: websocket",
                "Sec-WebSocket-Version: 13",
                "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
            ),
        ),
    ],
    ids=["form", "delete", "credentials", "foreign page", "socket"],
)
async def test_what_does_more_than_read_is_asked_about_each_time(
    world: World, cached: Standing, method: str, fields: tuple[str, ...]
) -> None:
    cookie = cached.cookie(await cached.ana())
    await cached.raw_get("/promet", cookie=cookie)
    before = await questions(cached)
    for _ in range(3):
        await cached.raw_get("/promet", *fields, cookie=cookie, method=method)
    assert await questions(cached) - before == 3


@pytest.mark.parametrize(("path", "status"), [(DEMANDING, 303), (HIGHER, 403), (CLOSED, 403)])
async def test_refusals_and_places_with_a_demand_that_may_fail_are_asked_about_each_time(
    cached: Standing, path: str, status: int
) -> None:
    cookie = cached.cookie(await cached.ana())
    await cached.raw_get("/promet", cookie=cookie)
    before = await questions(cached)
    for _ in range(3):
        # As a person: for scripts nginx asks a second time, for the reason.
        assert status_of(await cached.raw_get(path, "Accept: text/html", cookie=cookie)) == status
    assert await questions(cached) - before == 3


async def test_nobody_gets_in_by_the_leave_of_somebody_else(world: World, cached: Standing) -> None:
    ana, other = await cached.ana(), await cached.signed_in(email="david.horvat@example.si")
    for person, name in ((ana, "Ana Novak"), (other, "David Horvat"), (ana, "Ana Novak")):
        assert status_of(await cached.raw_get("/promet", cookie=cached.cookie(person))) == 200
        assert cached.portal.last.all("X-Auth-Name") == [name]
    ticket = cached.cookie(ana)
    # However it is written, it is kept for nobody else.
    for odd in (
        ticket.replace("=", " ="),
        f'{ticket.partition("=")[0]}="{ticket.partition("=")[2]}"',
        f"x=y,{ticket}",
        f"x=y;{ticket}",
    ):
        await cached.raw_get("/promet", cookie=odd)
        assert status_of(await cached.raw_get("/promet")) == 401, odd
    for cookie in (
        "",
        "lang=sl",
        ticket + "x",
        ticket[:-1],
        f"x{ticket}",
        f"{ticket}; {cached.cookie(other)}",
    ):
        seen = len(cached.portal.received)
        assert status_of(await cached.raw_get("/promet", cookie=cookie)) != 200, cookie
        assert len(cached.portal.received) == seen


async def test_long_addresses_and_cookies_are_no_obstacle(cached: Standing) -> None:
    ticket = cached.cookie(await cached.ana())
    target = f"/promet?{'a' * 7900}"
    for cookie in (ticket, f"x={'y' * 7000}; {ticket}", f"__Host-authproxy-flow={'y' * 7000}; {ticket}"):
        for _ in range(2):
            assert status_of(await cached.raw_get(target, cookie=cookie)) == 200, cached.running.errors[-500:]
            assert cached.portal.last.target == target


async def test_nobody_asks_for_a_kept_answer_from_outside(cached: Standing) -> None:
    cookie = cached.cookie(await cached.ana())
    for target in (
        "/.authproxy/auth/nginx/cached",
        "/.authproxy/auth/nginx%2fcached",
        "/x/../.authproxy/auth/nginx/cached",
    ):
        answer = await cached.raw_get(target, cookie=cookie)
        assert status_of(answer) in {400, 403, 404}
        assert b"x-auth-" not in answer.lower()


async def test_leave_at_one_portal_is_none_at_another(world: World) -> None:
    files = nginx.CACHED.files()
    main = files["cached.example.conf"].replace(
        "server_name acq.example.si;", "server_name acq.example.si b2b.example.si;"
    )
    with world.broken(nginx.CACHED, files | {"cached.example.conf": main}) as front:
        cookie = front.cookie(await front.signed_in())
        b2b = f"{front.place.hosts['b2b.example.si']}:{front.place.port}"
        for host, status in ((front.host, 200), (b2b, 401), (front.host, 200)):
            assert status_of(await front.raw_get("/promet", cookie=cookie, host=host)) == status


async def test_whoever_is_revoked_is_out_when_the_time_of_kept_answers_is_over(
    world: World, cached: Standing
) -> None:
    ana = await cached.signed_in()
    [*_, started] = world.house.events("session.started")
    cookie = cached.cookie(ana)
    assert status_of(await cached.raw_get("/promet", cookie=cookie)) == 200
    assert await revoke_session(world.house.settings, started["session"])

    async def is_out() -> bool:
        return status_of(await cached.raw_get("/promet", cookie=cookie)) == 401

    # The gateway allows two seconds here, and nginx counts in whole ones.
    await until(is_out, within=PATIENCE)


async def test_parts_that_no_route_distinguishes_may_share_an_answer(world: World) -> None:
    files = nginx.CACHED.files()
    line = next(line for line in files["authproxy/cache.conf"].splitlines() if "/assets/;" in line)
    shared = files["authproxy/cache.conf"].replace(
        "    default $request_uri;", f"    default $request_uri;\n{line.lstrip('# ')}"
    )
    with world.broken(nginx.CACHED, files | {"authproxy/cache.conf": shared}) as front:
        ana = await front.signed_in()
        before = await questions(front)
        for number in range(10):
            assert (await ana.browser.fetch(f"{front.url}/assets/img/slika-{number}.min.png")).status == 200
        assert await questions(front) - before < 10
        # What may be read as another address has an answer of its own.
        cookie = front.cookie(ana)
        for target in (
            f"/assets/..{HIGHER}",
            f"/assets/x/../..{HIGHER}",
            f"/assets/%2e%2e{HIGHER}",
            f"/assets;/..{HIGHER}",
        ):
            seen = len(front.portal.received)
            assert status_of(await front.raw_get(target, cookie=cookie)) in {400, 403}, target
            assert len(front.portal.received) == seen


async def test_without_the_key_of_its_questions_it_lets_nobody_in(world: World, tmp_path: Path) -> None:
    files = nginx.signing(world.house.ports["gateway"], tmp_path / "missing")
    with world.broken(nginx.SIGNED, files) as front:
        assert status_of(await front.raw_get("/a")) == 403
        assert "missing" in front.running.errors


@pytest.fixture
def cached(world: World) -> Iterator[Standing]:
    with world.broken(nginx.CACHED, nginx.CACHED.files()) as front:
        yield front


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
