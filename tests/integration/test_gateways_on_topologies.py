"""Whole gateways on a store of several servers, as reverse proxies and behind the real nginx: the primary dies,
and nobody has to sign in again."""

from __future__ import annotations

import pytest

from tests.support.gateway import open_house
from tests.support.nginx_house import behind_nginx
from tests.support.redis_topologies import clustered, replicated
from tests.support.waiting import until

pytestmark = [
    pytest.mark.needs("redis-server"),
    pytest.mark.rehearsal,
    pytest.mark.xdist_group("topologies"),
]
FAILOVER = 40.0
TOPOLOGIES = [pytest.param(replicated, id="sentinel"), pytest.param(clustered, id="cluster")]


def primaries(store):
    return [store.primary] if hasattr(store, "primary") else store.nodes[:3]


async def through_a_failover(store, person, url):
    """Whoever is signed in stays so, and whoever was signed out comes back with no primary."""
    before = person.browser.cookies.of(url + "/")
    primaries(store)[0].kill()
    seen = set()

    async def is_served():
        answer = await person.browser.fetch(f"{url}/api/jaz")
        seen.add(answer.status)
        assert answer.all("set-cookie") == []
        return answer.status == 200

    async def is_served_for_good():
        return all([await is_served() for _ in range(5)])

    await until(is_served_for_good, within=FAILOVER)
    assert seen <= {200, 503}
    assert person.browser.cookies.of(url + "/") == before
    page = await person.opens(f"{url}/.authproxy/logout")
    form = next(form for form in page.forms if form.action.startswith(f"{url}/.authproxy/logout"))
    await person.browser.submit(page, form)
    assert (await person.browser.fetch(f"{url}/api/jaz")).status == 401


@pytest.mark.parametrize("topology", TOPOLOGIES)
async def test_a_gateway_goes_on_when_the_primary_dies(topology):
    with topology() as store:
        async with open_house(store.url, sections={"store": {"deadline": "800ms"}}) as house:
            ana = house.person()
            await ana.signs_in(house.acq + "/")
            assert (await ana.browser.fetch(f"{house.acq}/api/jaz")).status == 200

            await through_a_failover(store, ana, house.acq)


@pytest.mark.needs("nginx")
@pytest.mark.parametrize("topology", TOPOLOGIES)
async def test_a_gateway_that_nginx_asks_goes_on_when_the_primary_dies(topology):
    with topology() as store:
        async with behind_nginx(store.url) as front:
            ana = await front.signed_in()
            assert (await ana.browser.fetch(f"{front.url}/api/jaz")).status == 200

            await through_a_failover(store, ana, front.url)
