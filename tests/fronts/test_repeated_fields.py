"""Envoy asks about the values of a repeated field as one, the others about each of them. No portal gets a
request in which one of them could be chosen."""

from __future__ import annotations

import pytest

from tests.support.fronts import caddy, envoy, haproxy, traefik
from tests.support.fronts.front import Front
from tests.support.fronts.world import DEMANDING, OPEN, World, status_of

pytestmark = [pytest.mark.needs("redis-server", "node"), pytest.mark.asyncio(loop_scope="session")]


@pytest.mark.parametrize("kind", [envoy.FRONT, haproxy.FRONT], ids=lambda kind: kind.name)
async def test_a_field_that_is_judged_once_does_not_arrive_twice(world: World, kind: Front) -> None:
    front = world.front(kind)
    ana = await front.ana()
    for fields in (
        ("Authorization: Basic YTpi", "Authorization: Basic YTpj"),
        (f"Destination: {front.url}{OPEN}/a", f"Destination: {front.url}{DEMANDING}/b"),
        ("Depth: 0", "Depth: infinity"),
    ):
        seen = len(front.portal.received)
        answer = await front.raw_get("/a", *fields, cookie=front.cookie(ana))
        if status_of(answer) == 200:
            # Joined, as the gateway was asked about them.
            [value] = front.portal.last.all(fields[0].partition(":")[0])
            assert "," in value
        else:
            assert status_of(answer) == 400, (fields, answer)
            assert len(front.portal.received) == seen
    assert status_of(await front.raw_get("/a", fields[0], cookie=front.cookie(ana))) == 200


@pytest.mark.parametrize("kind", [caddy.FRONT, traefik.FRONT], ids=lambda kind: kind.name)
async def test_of_two_credentials_none_arrives_where_the_gateway_says_what_the_portal_gets(
    world: World, kind: Front
) -> None:
    front = world.front(kind)
    ana = await front.ana()
    one, other = "Authorization: Basic YTpi", "Authorization: Basic YTpj"
    assert status_of(await front.raw_get("/a", one, other, cookie=front.cookie(ana))) == 200
    assert front.portal.last.all("Authorization") == []
    assert status_of(await front.raw_get("/a", one, cookie=front.cookie(ana))) == 200
    assert front.portal.last.all("Authorization") == ["Basic YTpi"]
