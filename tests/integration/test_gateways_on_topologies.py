"""Whole gateways on a store of several servers, as reverse proxies and behind the real nginx: the primary falls, and
nobody has to sign in again; it comes back as a second one, and brings nobody with it."""

from __future__ import annotations

import asyncio

import pytest
from redis.crc import key_slot

from authproxy.identity import ticket
from authproxy.storage.redis import keys as keyspace
from tests.support.gateway import TICKET, open_house
from tests.support.nginx_house import behind_nginx
from tests.support.redis_server import RedisServer
from tests.support.redis_topologies import clustered, replicated
from tests.support.waiting import until

pytestmark = [
    pytest.mark.needs("redis-server"),
    pytest.mark.rehearsal,
]
FAILOVER = 40.0
TOPOLOGIES = [pytest.param(replicated, id="sentinel"), pytest.param(clustered, id="cluster")]
FALLS = [
    pytest.param(RedisServer.kill, RedisServer.start, id="killed"),
    pytest.param(RedisServer.freeze, RedisServer.thaw, id="frozen"),
]


def primary_of(store, person, url):
    """The server that has this person's session."""
    if hasattr(store, "primary"):
        return store.primary
    key = keyspace.session(ticket.parse(person.ticket(url)).session_id)
    return store.owner(key_slot(key.encode()))


async def through_a_failover(store, person, url, falls, rises, ports=(None,)):
    """Whoever is signed in stays so at every gateway, and whoever was signed out comes back with no primary."""
    before = person.browser.cookies.of(url + "/")
    fallen = primary_of(store, person, url)
    falls(fallen)
    seen = set()

    async def says():
        answers = [
            await person.browser.request(
                "GET", f"{url}/api/jaz", headers={"Sec-Fetch-Mode": "cors"}, port=port
            )
            for port in ports
        ]
        seen.update(answer.status for answer in answers)
        assert [answer.all("set-cookie") for answer in answers] == [[]] * len(ports)
        return {answer.status for answer in answers}

    async def is_served_for_good():
        return [await says() for _ in range(5)] == [{200}] * 5

    async def is_refused():
        return await says() == {401}

    await until(lambda: asyncio.to_thread(store.has_decided, fallen), within=FAILOVER)
    await until(is_served_for_good, within=FAILOVER)
    assert seen <= {200, 503}
    assert person.browser.cookies.of(url + "/") == before
    page = await person.opens(f"{url}/.authproxy/logout")
    form = next(form for form in page.forms if form.action.startswith(f"{url}/.authproxy/logout"))
    stolen = person.ticket(url)
    await person.browser.submit(page, form)
    rises(fallen)
    person.browser.cookies.put(url, TICKET, stolen)
    await until(is_refused, within=FAILOVER)
    seen.clear()
    await until(store.is_whole, within=FAILOVER)
    for _ in range(20):
        await says()
    assert seen == {401}


@pytest.mark.parametrize(("falls", "rises"), FALLS)
@pytest.mark.parametrize("topology", TOPOLOGIES)
async def test_two_gateways_go_on_when_the_primary_falls(topology, falls, rises):
    with topology() as store:
        async with (
            open_house(store.url, sections={"store": {"deadline": "800ms"}}) as house,
            house.second_gateway() as other,
        ):
            ana = house.person()
            await ana.signs_in(house.acq + "/")
            assert (await ana.browser.fetch(f"{house.acq}/api/jaz")).status == 200
            await through_a_failover(store, ana, house.acq, falls, rises, (None, other))


@pytest.mark.needs("nginx")
@pytest.mark.parametrize("topology", TOPOLOGIES)
async def test_a_gateway_that_nginx_asks_goes_on_when_the_primary_dies(topology):
    with topology() as store:
        async with behind_nginx(store.url) as front:
            ana = await front.signed_in()
            assert (await ana.browser.fetch(f"{front.url}/api/jaz")).status == 200
            await through_a_failover(store, ana, front.url, RedisServer.kill, RedisServer.start)
