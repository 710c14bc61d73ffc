"""A name server that hangs on the name of one portal: the others, the store, readiness and the end of the
gateway go on."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.support.gateway import ANA, open_house
from tests.support.http_client import Browser
from tests.support.name_server import name_server
from tests.support.ports import free_port
from tests.support.redis_server import RedisServer
from tests.support.waiting import until

pytestmark = pytest.mark.needs("redis-server")


@pytest.fixture(scope="module")
def store():
    with RedisServer() as running:
        yield running


async def test_a_hanging_name_of_one_portal_stops_neither_the_others_nor_the_store_nor_readiness_nor_the_end(
    store,
):
    async with name_server(store__example=["127.0.0.1"], b2b__example=["127.0.0.1"]) as names:
        names.silent.add("acq.example")
        names.ttl = 0
        ports = {name: free_port() for name in ("acq", "b2b")}
        environment = {
            "AUTHPROXY__SERVER__RESOLVERS": names.address,
            "AUTHPROXY__SERVER__TIMEOUTS__CONNECT": "700ms",
            "AUTHPROXY__PORTALS__B2B__UPSTREAM": f"http://b2b.example:{ports['b2b']}",
            "AUTHPROXY__STORE__NEAR_CACHE_FOR": "0s",
            "AUTHPROXY__STORE__ALLOWS_PLAINTEXT": "true",
            "AUTHPROXY__PORTALS__B2B__ALLOWS_PLAINTEXT": "true",
        }
        acq = {"upstream": f"http://acq.example:{ports['acq']}", "allows_plaintext": True}
        async with open_house(
            f"redis://store.example:{store.port}", environment=environment, acq=acq, ports=ports
        ) as house:
            ana = house.person(ANA)
            await ana.signs_in(house.b2b + "/")
            await ana.walk(
                await ana.opens(house.acq + "/"),
                stop=lambda answer: answer.is_redirect and answer.location == house.acq + "/",
            )

            async with asyncio.TaskGroup() as asked:
                hanging = [asked.create_task(ana.browser.fetch(house.acq + "/")) for _ in range(20)]
                await until(lambda: "acq.example" in names.asked)
                for _ in range(10):
                    # Where a question held up the others, these would be 504 and a failed check.
                    assert (await ana.browser.fetch(house.b2b + "/")).status == 200
                    assert (await Browser().fetch(f"{house.management}/readyz")).json["checks"]["store"][
                        "status"
                    ] != "failed"
            assert {each.result().status for each in hanging} <= {502, 504}
            assert "b2b.example" in names.asked
            assert "store.example" in names.asked
            began = time.monotonic()
        assert time.monotonic() - began < 30
