"""Names asked of a real name server on loopback, by way of c-ares: one question at a time, answers kept, a
server that fails or hangs."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import pytest

from authproxy.dns.client_sessions import SessionResolver
from authproxy.dns.resolver import STALE_FOR, NameUnanswered, NameUnknown, Resolver
from tests.support.name_server import name_server
from tests.support.waiting import PATIENCE, until

PORTAL = "portal.example"


class Time:
    """The loop's time and what the test has added."""

    def __init__(self):
        self.ahead = 0.0

    def __call__(self):
        return asyncio.get_running_loop().time() + self.ahead


@contextlib.asynccontextmanager
async def asking(*, try_for=2.0, **records):
    async with name_server(**records) as server:
        time = Time()
        names = Resolver(servers=[server.address], try_for=try_for, time=time)
        try:
            yield names, server, time
        finally:
            await names.aclose()


@contextlib.asynccontextmanager
async def listening(address="127.0.0.1", port=0):
    made = socket.create_server((address, port))
    try:
        yield made.getsockname()[1]
    finally:
        made.close()


async def test_addresses_of_both_kinds_are_found():
    async with asking(portal__example=["192.0.2.1", "192.0.2.2", "2001:db8::1"]) as (names, _, _):
        assert sorted(await names.addresses(PORTAL)) == ["192.0.2.1", "192.0.2.2", "2001:db8::1"]


@pytest.mark.parametrize(
    ("host", "found"),
    [
        ("192.0.2.9", ("192.0.2.9",)),
        ("2001:db8::9", ("2001:db8::9",)),
        ("localhost", ("127.0.0.1", "::1")),
        ("acq.localhost", ("127.0.0.1", "::1")),
    ],
)
async def test_ip_addresses_and_localhost_need_no_question(host, found):
    async with asking() as (names, server, _):
        assert await names.addresses(host) == found
        assert server.asked == []


async def test_a_question_that_cannot_be_started_fails_and_the_next_one_starts_again():
    time = Time()
    names = Resolver(servers=["no address of a server"], time=time)
    for _ in range(2):
        with pytest.raises(NameUnanswered):
            await asyncio.wait_for(names.addresses(PORTAL), PATIENCE)
        time.ahead += 2
    assert names.failed == 2
    await names.aclose()


async def test_a_hundred_callers_at_once_are_one_question():
    async with asking(portal__example=["192.0.2.1"]) as (names, server, _):
        server.silent.add(PORTAL)
        async with asyncio.TaskGroup() as callers:
            found = [callers.create_task(names.addresses(PORTAL)) for _ in range(100)]
            while not server.asked:
                await asyncio.sleep(0)
            server.speak()
        assert {each.result() for each in found} == {("192.0.2.1",)}
        assert server.asked == [PORTAL]


async def test_an_answer_is_kept_for_its_time_to_live_and_a_new_address_found_then():
    async with asking(portal__example=["192.0.2.1"]) as (names, server, time):
        server.ttl = 1
        assert await names.addresses(PORTAL) == ("192.0.2.1",)
        server.records[PORTAL] = ["192.0.2.2"]
        time.ahead += 0.5
        assert await names.addresses(PORTAL) == ("192.0.2.1",)
        time.ahead += 60
        # c-ares keeps answers by the clock of the machine: the second in which it has this one must really
        # pass.
        async with asyncio.timeout(10):
            while await names.addresses(PORTAL) != ("192.0.2.2",):
                time.ahead += 60
                await asyncio.sleep(0.05)
        assert len(server.asked) == 2


async def test_a_silent_name_server_delays_no_other_name_and_no_caller_beyond_its_time_limit():
    records = {"portal__example": ["192.0.2.1"], "slow__example": ["192.0.2.2"]}
    async with asking(try_for=600.0, **records) as (names, server, _):
        server.silent.add("slow.example")
        for _ in range(20):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await names.addresses("slow.example")
        async with asyncio.timeout(PATIENCE):
            assert await names.addresses(PORTAL) == ("192.0.2.1",)
        assert server.asked.count("slow.example") == 1


@pytest.mark.parametrize("how", ["silent", "failing"])
async def test_an_old_answer_is_used_while_the_name_server_fails(how):
    async with asking(portal__example=["192.0.2.1"], try_for=0.2) as (names, server, time):
        server.ttl = 0
        await names.addresses(PORTAL)
        server.is_failing = how == "failing"
        server.silent = {"*"} if how == "silent" else set()
        for _ in range(50):
            time.ahead += 2
            async with asyncio.timeout(PATIENCE):
                assert await names.addresses(PORTAL) == ("192.0.2.1",)
        assert names.stale == 50
        await until(lambda: names.unanswered_names)
        server.is_failing = False
        server.records[PORTAL] = ["192.0.2.2"]
        server.speak()
        time.ahead += 31
        async with asyncio.timeout(PATIENCE):
            while await names.addresses(PORTAL) != ("192.0.2.2",):
                time.ahead += 31
        assert names.unanswered_names == {}


async def test_an_answer_is_not_used_a_day_after_its_time_to_live():
    async with asking(portal__example=["192.0.2.1"]) as (names, server, time):
        server.ttl = 0
        await names.addresses(PORTAL)
        server.is_failing = True
        time.ahead += STALE_FOR + 2
        with pytest.raises(NameUnanswered):
            await names.addresses(PORTAL)


async def test_a_name_that_no_longer_exists_is_forgotten():
    async with asking(portal__example=["192.0.2.1"]) as (names, server, time):
        server.ttl = 0
        await names.addresses(PORTAL)
        del server.records[PORTAL]
        time.ahead += 2
        async with asyncio.timeout(PATIENCE):
            with pytest.raises(NameUnknown):
                await names.addresses(PORTAL)


async def test_an_unknown_name_is_asked_for_once_in_a_second():
    async with asking() as (names, server, _):
        for _ in range(30):
            with pytest.raises(NameUnknown):
                await names.addresses("none.example")
        assert server.asked == ["none.example"]


@pytest.mark.parametrize("host", ["", "a..b", "x" * 64 + ".example", "\udcff.example", "a b.example"])
async def test_an_invalid_name_is_an_error_and_does_not_hang(host):
    async with asking() as (names, _, _):
        async with asyncio.timeout(PATIENCE):
            with pytest.raises(OSError):
                await names.addresses(host)


async def test_callers_that_wait_get_an_error_when_the_resolver_closes():
    async with asking(portal__example=["192.0.2.1"]) as (names, server, _):
        server.silent.add(PORTAL)
        async with asyncio.TaskGroup() as callers:
            waiting = callers.create_task(refused(names))
            while not server.asked:
                await asyncio.sleep(0)
            await names.aclose()
        assert waiting.result() is NameUnanswered


async def refused(names):
    with pytest.raises(OSError) as raised:
        await names.addresses(PORTAL)
    return raised.type


async def test_a_dead_address_is_skipped_and_goes_last_from_then_on():
    async with listening() as port, asking(portal__example=["127.0.0.2", "127.0.0.1"]) as (names, _, _):
        for _ in range(2):
            made = await names.connect(PORTAL, port)
            assert made.getpeername()[0] == "127.0.0.1"
            made.close()
        assert await names.addresses(PORTAL) == ("127.0.0.1", "127.0.0.2")


async def test_a_portal_that_moves_before_its_time_to_live_is_over_is_found_when_it_refuses():
    async with listening() as port, asking(portal__example=["127.0.0.2"]) as (names, server, time):
        server.ttl = 600
        with pytest.raises(ConnectionRefusedError):
            await names.connect(PORTAL, port)
        server.records[PORTAL] = ["127.0.0.1"]
        time.ahead += 6
        with pytest.raises(ConnectionRefusedError):
            await names.connect(PORTAL, port)
        made = await names.connect(PORTAL, port)
        assert made.getpeername()[0] == "127.0.0.1"
        made.close()
        assert len(server.asked) == 2


async def test_a_session_of_aiohttp_gets_the_addresses_of_the_family_it_wants():
    async with asking(portal__example=["192.0.2.1", "2001:db8::1"]) as (names, _, _):
        sessions = SessionResolver(names)
        found = {
            family: {each["host"] for each in await sessions.resolve(PORTAL, 443, family)}
            for family in (socket.AF_INET, socket.AF_INET6, socket.AF_UNSPEC)
        }
        assert found == {
            socket.AF_INET: {"192.0.2.1"},
            socket.AF_INET6: {"2001:db8::1"},
            socket.AF_UNSPEC: {"192.0.2.1", "2001:db8::1"},
        }
