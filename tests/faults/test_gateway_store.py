"""A gateway whose Redis dies, freezes or falls into a black hole: 503 within a second, cookies untouched, and
nobody has to sign in again."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from urllib.parse import urlsplit

import pytest

from authproxy.bootstrap.machine_keys import add_machine_key
from authproxy.bootstrap.open_sessions import list_sessions
from tests.support.gateway import open_house
from tests.support.http_client import Browser, exchange
from tests.support.redis_server import RedisServer, fault_proxy
from tests.support.waiting import until

pytestmark = pytest.mark.needs("redis-server")
SHORT_DEADLINE = {"store": {"deadline": "800ms"}}
PROMPTLY = 30.0
"""Seconds, for a busy machine. The promise is one, of which the store's deadline takes 0.8; that nothing else ends a
question is shown in test_store_outage.py."""


@pytest.fixture
def store():
    with RedisServer(append_only=True) as running:
        yield running


@pytest.fixture
async def house(store):
    async with open_house(store.url, sections=SHORT_DEADLINE) as opened:
        yield opened


async def timed(asking):
    began = time.monotonic()
    answer = await asking
    assert time.monotonic() - began < PROMPTLY
    return answer


async def subrequest(house, person):
    """As nginx asks over the Unix socket; status and headers."""
    reader, writer = await asyncio.open_unix_connection(str(house.socket))
    try:
        writer.write(
            "GET /.authproxy/auth/nginx HTTP/1.1\r\nHost: "
            f"{urlsplit(house.acq).netloc}\r\nX-Original-URL: {house.acq}/\r\nX-Original-Method: "
            f"GET\r\nCookie: {person.browser.cookies.of(house.acq + '/')}\r\nConnection: "
            "close\r\n\r\n".encode()
        )
        head = (await reader.read()).decode().partition("\r\n\r\n")[0]
    finally:
        writer.close()
    return int(head.split()[1]), head.lower()


async def everything_is_503(house, person):
    before = person.browser.cookies.of(house.acq + "/")
    page = await timed(person.opens(f"{house.acq}/izpis/2026/11"))
    script = await timed(person.browser.fetch(f"{house.acq}/api/jaz"))
    own_page = await timed(person.opens(f"{house.acq}/.authproxy/session"))
    for answer in (page, script, own_page):
        assert (answer.status, answer.all("set-cookie"), answer.all("location")) == (503, [], [])
        assert answer.header("retry-after").isdigit()
    assert "store_unavailable" in page.text
    assert (script.header("content-type").partition(";")[0], script.json["reason"]) == (
        "application/problem+json",
        "store_unavailable",
    )
    status, head = await timed(subrequest(house, person))
    assert (status, "set-cookie" in head, "location:" in head) == (503, False, False)
    assert person.browser.cookies.of(house.acq + "/") == before


async def is_served(house, person):
    return (await person.browser.fetch(f"{house.acq}/api/jaz")).status == 200


async def test_a_killed_store_is_503_and_everybody_is_still_signed_in_when_it_is_back(house, store):
    ana, david = house.person(), house.person("david.horvat@example.si")
    await ana.signs_in(house.acq + "/")
    await david.signs_in(house.acq + "/")
    assert (await subrequest(house, ana))[0] == 200
    store.kill()
    house.clock.advance(seconds=2)  # the near cache trusts itself only while it hears from the store
    await everything_is_503(house, ana)
    store.start()
    await until(lambda: is_served(house, ana))
    assert await is_served(house, david)
    assert (await subrequest(house, david))[0] == 200


async def test_a_frozen_store_is_503_and_goes_on_where_it_was(house, store):
    ana = house.person()
    await ana.signs_in(house.acq + "/")
    store.freeze()
    try:
        house.clock.advance(seconds=2)
        await everything_is_503(house, ana)
    finally:
        store.thaw()
    await until(lambda: is_served(house, ana))


async def test_a_black_hole_is_503(store):
    async with fault_proxy(store.port) as proxy, open_house(proxy.url, sections=SHORT_DEADLINE) as house:
        ana = house.person()
        await ana.signs_in(house.acq + "/")
        proxy.swallow()
        house.clock.advance(seconds=2)
        await everything_is_503(house, ana)
        await proxy.pass_on()
        await until(lambda: is_served(house, ana))


REFUSALS = {
    "OOM": (("CONFIG", "SET", "maxmemory", "1"), ("CONFIG", "SET", "maxmemory", "0")),
    "READONLY": (("REPLICAOF", "127.0.0.1", "1"), ("REPLICAOF", "NO", "ONE")),
    "NOREPLICAS": (
        ("CONFIG", "SET", "min-replicas-to-write", "1"),
        ("CONFIG", "SET", "min-replicas-to-write", "0"),
    ),
}


@pytest.mark.parametrize("refusal", REFUSALS)
async def test_while_writes_are_refused_active_people_stay_idle_ones_are_not_revived_and_readiness_says_so(
    house, store, refusal
):
    breaks, heals = REFUSALS[refusal]
    idle, ana = house.person("david.horvat@example.si"), house.person()
    await idle.signs_in(house.acq + "/")
    house.clock.advance(minutes=4)
    await ana.signs_in(house.acq + "/")
    house.clock.advance(minutes=2)  # the idle time is five
    store.command(*breaks)

    async def is_unready():
        status, body = await readiness(house)
        return status == 503 and "refuses writes" in body and refusal in body

    await until(is_unready, within=20)
    assert await list_sessions(house.settings)  # operators see who is signed in all the same
    for _ in range(4):
        house.clock.advance(minutes=2)
        assert await is_served(house, ana)
    assert not await is_served(house, idle)
    store.command(*heals)
    await until(lambda: is_ready(house))
    house.clock.advance(minutes=2)
    assert await is_served(house, ana)
    assert not await is_served(house, idle)
    house.clock.advance(minutes=5)
    assert not await is_served(house, ana)


async def test_the_near_cache_is_not_believed_for_longer_than_a_second_after_the_store_is_gone(house, store):
    ana = house.person()
    await ana.signs_in(house.acq + "/")
    assert await is_served(house, ana)
    store.kill()

    async def is_unavailable():
        return (await ana.browser.fetch(f"{house.acq}/api/jaz")).status == 503

    await until(is_unavailable)  # by its age alone the session would do for ten seconds more


async def test_nobody_is_told_that_they_are_signed_out_while_the_store_cannot_be_told(house, store):
    ana = house.person()
    await ana.signs_in(house.acq + "/")
    confirmation = await ana.opens(f"{house.acq}/.authproxy/logout")
    form = next(form for form in confirmation.forms if form.action.startswith(house.acq))
    store.kill()
    answer = await timed(ana.browser.submit(confirmation, form))
    assert (answer.status, answer.all("set-cookie")) == (503, [])
    store.start()
    await until(lambda: is_served(house, ana))


async def test_a_sign_in_that_cannot_be_kept_signs_nobody_in_and_can_be_begun_again(house, store):
    ana = house.person()
    callback = await ana.goes_to_callback(f"{house.acq}/izpis/2026/11")
    store.kill()
    page = await timed(ana.browser.navigate(callback))
    assert (page.status, page.all("set-cookie")) == (503, [])
    assert callback.partition("?")[2] not in page.text
    store.start()
    await until(lambda: is_ready(house))
    landed = await ana.walk(await ana.browser.navigate(callback))
    assert landed.status == 200


async def readiness(house):
    status, _, body = await exchange(
        "GET", f"{house.management}/readyz", [("Host", "localhost"), ("Connection", "close")]
    )
    return status, body.decode()


async def is_ready(house):
    status, body = await readiness(house)
    return status == 200 and '"ok"' in body


async def test_a_program_is_not_let_in_while_the_store_is_away_and_comes_in_by_the_same_key_afterwards(store):
    routes = [{"path": "/api/received", "machines": {"keys": True}}]
    async with open_house(store.url, sections=SHORT_DEADLINE, acq={"routes": routes}) as house:
        ends_at = house.clock() + timedelta(days=1)
        known, unknown = [
            await add_machine_key(
                house.settings, name, portals=["acq"], scopes=(), networks=(), ends_at=ends_at
            )
            for name in ("known", "unknown")
        ]

        async def asked(issued):
            given = {"Authorization": f"Bearer {issued.text}"}
            return await timed(Browser().request("GET", f"{house.acq}/api/received", headers=given))

        assert (await asked(known)).status == 200
        store.kill()
        answer = await asked(unknown)
        assert (answer.status, answer.json["reason"]) == (503, "store_unavailable")

        async def is_not_let_in():
            return (await asked(known)).status == 503

        await until(is_not_let_in)  # what was remembered is over once the channel of changes is silent
        store.start()

        async def is_let_in():
            return (await asked(unknown)).status == 200

        await until(is_let_in)
        assert (await asked(known)).status == 200
