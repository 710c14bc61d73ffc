"""Settings are taken over behind nginx, under load: no request fails, and nobody is signed out. nginx keeps its
connections to the gateway, which go from one process to the next."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.nginx_house import Front, behind_nginx, passed_on_by_nginx, status_of
from tests.support.redis_server import RedisServer
from tests.support.sandbox import Served, served
from tests.support.waiting import until
from tests.support.workers import readiness

pytestmark = pytest.mark.needs("nginx", "redis-server")
CLIENTS = 8
A_SECOND = 200
PATIENCE = 120.0
SHORT = (3, 150)
WHOLE = (50, 10_000)
"""Reloads, and the requests that are sent meanwhile."""


@pytest.fixture(scope="module")
def redis_server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


def rehearsal(*values: Any) -> Any:
    return pytest.param(*values, marks=[pytest.mark.rehearsal, pytest.mark.timeout(900)])


@pytest.mark.parametrize(
    ("front_of", "way", "workers", "much"),
    [
        (behind_nginx, "unix", 2, SHORT),
        *(
            rehearsal(front_of, way, workers, WHOLE)
            for front_of in (behind_nginx, passed_on_by_nginx)
            for way in ("unix", "tcp")
            for workers in (1, 2)
        ),
    ],
)
async def test_reloads_behind_nginx_fail_no_request_and_sign_nobody_out(
    redis_server: RedisServer, front_of: Any, way: str, workers: int, much: tuple[int, int]
) -> None:
    reloads, requests = much
    async with front_of(redis_server.socket_url, has_gateway=False, over_tcp=way == "tcp") as front:
        house = front.house
        environment = {**house.environment, "AUTHPROXY__SERVER__WORKERS": str(workers)}
        if way == "tcp":
            environment["AUTHPROXY__SERVER__TRUSTED_PROXIES"] = "127.0.0.1"
        async with served(
            house.settings_file, house.folder, port=house.ports["gateway"], environment=environment
        ) as running:
            await until(lambda: is_ready(front), within=PATIENCE)
            ana = await front.signed_in()
            cookie = front.cookie(ana)
            outcomes: Counter[Any] = Counter()
            over = asyncio.Event()
            loads = [asyncio.ensure_future(load(front, cookie, outcomes, over)) for _ in range(CLIENTS)]
            for number in range(1, reloads + 1):
                part = requests * number / reloads
                await until(lambda part=part: outcomes.total() >= part, within=PATIENCE)
                await reload(front, running)
            over.set()
            await asyncio.gather(*loads)
            print(f"\n{outcomes.total():,} requests, {reloads} reloads: {dict(outcomes)}")
            assert outcomes == {200: outcomes.total()}
            assert front.cookie(ana) == cookie


async def load(front: Front, cookie: str, outcomes: Counter[Any], over: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    began, sent = loop.time(), 0
    while not over.is_set():
        try:
            outcomes[status_of(await front.raw_get("/x", cookie=cookie))] += 1
        except (OSError, ValueError, IndexError) as failure:
            outcomes[type(failure).__name__] += 1
        sent += 1
        with contextlib.suppress(TimeoutError):  # at the pace of `A_SECOND`
            await asyncio.wait_for(over.wait(), max(0, began + sent * CLIENTS / A_SECOND - loop.time()))


async def is_ready(front: Front) -> bool:
    return (await readiness(front.house))[0] == 200


async def reload(front: Front, running: Served) -> None:
    before = (await readiness(front.house))[1]["settings"]

    async def is_over() -> bool:
        return (await readiness(front.house))[1].get("settings", before) != before

    running.process.send_signal(signal.SIGHUP)
    await until(is_over, within=PATIENCE)
    assert (await readiness(front.house))[1]["settings"]["status"] == "ok"
