"""A worker is killed while nginx waits for it, with the shipped files: nobody notices, and no form is sent
twice."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.nginx_house import Front, behind_nginx, passed_on_by_nginx, status_of
from tests.support.redis_server import RedisServer
from tests.support.waiting import until
from tests.support.workers import PATIENCE, connections_at, serve, two_workers, workers_of

pytestmark = pytest.mark.needs("nginx", "redis-server")


MANY = 12


@pytest.fixture(scope="module")
def redis_server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@dataclass
class Behind:
    """nginx in front of two workers. `ticket` is that of somebody who is signed in."""

    front: Front
    process: Any
    ticket: str
    killed: int = 0

    async def sends(self, method: str, path: str) -> int:
        host, form = self.front.host, method == "POST"
        lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", f"Cookie: {self.ticket}", "Connection: close"]
        lines += [f"Origin: {self.front.url}", "Content-Length: 3", "", "a=b"] if form else ["", ""]
        return status_of(await self.front.raw("\r\n".join(lines)))

    @asynccontextmanager
    async def one_killed_at_work(self, method: str, path: str) -> AsyncIterator[list[asyncio.Task[int]]]:
        """Many requests that workers have taken to the portal, and the worker of the last one is killed. What
        the clients get."""
        received = self.front.portal.received
        came = len(received)
        sent = [asyncio.ensure_future(self.sends(method, path)) for _ in range(MANY)]
        await until(lambda: len(received) == came + MANY, within=PATIENCE)
        at_work = received[-1].peer_port
        [worker] = [each for each in workers_of(self.process) if connections_at(each, at_work)]
        os.kill(worker, signal.SIGKILL)
        yield sent
        self.killed += 1
        replaced = f"2 of 2 serve; {self.killed} have died"
        await until(lambda: serve(self.front.house, replaced), within=PATIENCE)


@asynccontextmanager
async def behind(front: Front, *, over_tcp: bool) -> AsyncIterator[Behind]:
    house = front.house
    trusted = {"AUTHPROXY__SERVER__TRUSTED_PROXIES": "127.0.0.1"} if over_tcp else {}
    async with two_workers(house, **house.environment, **trusted) as running:
        ana = await front.signed_in()
        yield Behind(front, running.process, front.cookie(ana))


WAYS = ["unix", pytest.param("tcp", marks=pytest.mark.rehearsal)]


@pytest.fixture(params=WAYS)
async def passed_on(request, redis_server: RedisServer) -> AsyncIterator[Behind]:
    over_tcp = request.param == "tcp"
    async with (
        passed_on_by_nginx(redis_server.socket_url, has_gateway=False, over_tcp=over_tcp) as front,
        behind(front, over_tcp=over_tcp) as opened,
    ):
        yield opened


async def test_what_a_killed_worker_has_begun_is_done_by_another_one_but_for_forms(passed_on: Behind) -> None:
    portal = passed_on.front.portal

    def came(path: str) -> int:
        return [each.target for each in portal.received].count(path)

    async with passed_on.one_killed_at_work("GET", "/held/page") as sent:
        await until(lambda: came("/held/page") > MANY, within=PATIENCE)
        portal.may_answer.set()
        assert await asyncio.gather(*sent) == [200] * MANY
    portal.may_answer.clear()
    async with passed_on.one_killed_at_work("POST", "/held/form") as sent:
        await asyncio.wait(sent, return_when=asyncio.FIRST_COMPLETED)
        portal.may_answer.set()
        assert {502} <= set(await asyncio.gather(*sent)) <= {200, 502}
    assert came("/held/form") == MANY


@pytest.mark.parametrize("way", WAYS)
async def test_questions_that_a_killed_worker_had_are_answered_by_another_one(
    redis_server: RedisServer, way: str
) -> None:
    """The store is silent, so that all questions are under way when the worker dies."""
    async with (
        behind_nginx(
            redis_server.socket_url,
            acq={"routes": [{"path": "/", "strict": True}]},
            has_gateway=False,
            over_tcp=way == "tcp",
        ) as front,
        behind(front, over_tcp=way == "tcp") as asked,
    ):
        at = front.house.ports["gateway"] if way == "tcp" else front.house.socket
        workers = workers_of(asked.process)
        redis_server.freeze()
        try:
            sent = [asyncio.ensure_future(asked.sends("GET", "/")) for _ in range(MANY)]
            await until(
                lambda: sum(connections_at(worker, at) for worker in workers) >= MANY, within=PATIENCE
            )
            os.kill(workers[0], signal.SIGKILL)
        finally:
            redis_server.thaw()
        assert await asyncio.gather(*sent) == [200] * MANY
