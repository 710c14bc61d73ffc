"""What tells a browser's attempt to sign in is in no log of a front proxy, even if the gateway is away."""

from __future__ import annotations

import pytest

from tests.support.fronts import caddy, envoy, haproxy, nginx, traefik
from tests.support.fronts.front import Front
from tests.support.fronts.world import OPEN, World, status_of
from tests.support.waiting import until

pytestmark = [pytest.mark.needs("redis-server"), pytest.mark.asyncio(loop_scope="session")]

BACK = "/.authproxy/callback/rekono?code=kljuc-ponudnika&state=zapecaten"


@pytest.mark.parametrize(
    "kind", [caddy.FRONT, traefik.FRONT, envoy.FRONT, haproxy.FRONT], ids=lambda kind: kind.name
)
async def test_codes_of_the_provider_are_not_logged(world: World, kind: Front) -> None:
    front = world.front(kind)
    assert status_of(await front.raw_get(BACK)) in {200, 303, 400, 403}
    async with world.without_gateway():
        assert status_of(await front.raw_get(BACK)) in {502, 503}
        assert status_of(await front.raw_get("/x?zeton=kljuc-portala")) == 503
    for secret in ("kljuc", "zapecaten"):
        assert secret not in front.running.errors


async def test_nginx_logs_the_requests_of_the_portal_that_fail_but_no_codes_of_the_provider(
    world: World,
) -> None:
    front = world.front(nginx.FRONT)
    async with world.without_gateway():
        assert status_of(await front.raw_get(BACK)) == 503
        assert status_of(await front.raw_get("/x?zeton=portala")) == 503
    assert "zeton=portala" in front.running.errors, "otherwise nobody learns why"
    assert "kljuc" not in front.running.errors
    assert "zapecaten" not in front.running.errors


async def test_haproxy_says_once_in_a_while_that_nobody_answers_its_questions(world: World) -> None:
    front = world.front(haproxy.FRONT)
    said = "authproxy does not answer at unix@"
    before = front.running.errors.count(said)
    async with world.without_gateway():
        # On one connection, so that one thread answers all.
        answers = await front.raw(f"GET /x HTTP/1.1\r\nHost: {front.host}\r\n\r\n" * 5, answers=5)
    assert answers.count(b"HTTP/1.1 503 ") == 5
    assert 1 <= front.running.errors.count(said) <= before + 1


async def test_caddy_does_not_log_them_either_where_it_logs_requests(world: World) -> None:
    site = "\timport authproxy_portal {\n"
    files = {name: text.replace(site, f"\tlog\n{site}") for name, text in caddy.FRONT.files().items()}
    with world.broken(caddy.FRONT, files) as front:
        for path in (BACK, f"{OPEN}/logged"):
            await front.raw_get(path)
        async with world.without_gateway():
            await front.raw_get(BACK)
        await until(lambda: "/logged" in front.running.errors)
        assert "kljuc" not in front.running.errors


@pytest.mark.parametrize("kind", [caddy.FRONT, traefik.FRONT], ids=lambda kind: kind.name)
async def test_a_portal_that_is_away_is_no_gateway_that_is_away(world: World, kind: Front) -> None:
    files = {name: text.replace("127.0.0.1:9001", "127.0.0.1:1") for name, text in kind.files().items()}
    with world.broken(kind, files) as front:
        answer = await front.raw_get(f"{OPEN}/x?zeton=kljuc-portala", "Accept: text/html")
        assert status_of(answer) == 502
        assert b"Trenutno ni na voljo" not in answer
        assert "kljuc" not in front.running.errors
