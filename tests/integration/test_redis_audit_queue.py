"""Operators' acts in a real store: they wait, they are taken over by one gateway at a time, and none is
lost."""

from __future__ import annotations

import asyncio
import json
import secrets
from datetime import timedelta

import pytest

from authproxy.bootstrap.audited_register import audited_register
from authproxy.bootstrap.gateway import running
from authproxy.storage.records.sealing import KeyRing
from authproxy.storage.redis.audit_queue import RedisAuditQueue
from authproxy.storage.redis.connection import RedisConnection
from authproxy.storage.redis.keys import AUDIT_ENTRIES, AUDIT_TAKER
from tests.support.gateway import open_house
from tests.support.redis_server import GENEROUS, RedisServer
from tests.support.waiting import until

pytestmark = pytest.mark.needs("redis-server")


@pytest.fixture(scope="module")
def redis_server():
    with RedisServer() as running:
        yield running


@pytest.fixture
async def acts(redis_server):
    redis_server.command("FLUSHALL")
    connection = RedisConnection(redis_server.socket_url, deadline=GENEROUS)
    yield RedisAuditQueue(
        connection, keys=KeyRing((secrets.token_bytes(32),), random_bytes=secrets.token_bytes)
    )
    await connection.aclose()


async def test_entries_leave_in_their_order_and_only_when_they_are_settled(acts):
    for entry in (b"one", b"two", b"three"):
        assert await acts.append(entry)
    assert await acts.claim("a") == [b"one", b"two", b"three"]
    assert await acts.claim("b") == []
    assert await acts.settle("a", 2)
    assert await acts.claim("b") == [b"three"]
    assert await acts.settle("b", 1)
    assert await acts.claim("a") == []


async def test_whoever_dies_in_the_middle_or_is_too_slow_loses_nothing(acts, redis_server):
    await acts.append(b"one")
    assert await acts.claim("a", within=timedelta(milliseconds=50)) == [b"one"]

    async def is_free():
        return redis_server.command("EXISTS", AUDIT_TAKER) == b":0\r\n"

    await until(is_free)
    assert await acts.claim("b") == [b"one"]
    assert not await acts.settle("a", 1)
    assert await acts.settle("b", 1)


async def test_what_nobody_takes_over_is_bounded(acts):
    assert await acts.append(b"one", at_most=1)
    assert not await acts.append(b"two", at_most=1)
    assert await acts.claim("a") == [b"one"]


async def test_whoever_has_no_key_puts_nothing_into_the_trail(acts, redis_server):
    redis_server.command("RPUSH", AUDIT_ENTRIES, "forged")
    assert await acts.claim("a") == [None]


async def test_a_forged_entry_is_an_alarm_in_the_trail_and_nothing_else(redis_server):
    redis_server.command("FLUSHALL")
    async with open_house(redis_server.socket_url) as house:
        redis_server.command(
            "RPUSH", AUDIT_ENTRIES, '{"event": "session.revoked", "operator": "jana as root at gw1"}'
        )

        async def is_told():
            return "act.unreadable" in house.audit

        await until(is_told, within=20)
        events = [json.loads(line)["event"] for line in house.audit.splitlines()]
        assert sorted(events) == ["act.unreadable", "gateway.started", "key.loaded"]


async def acts_of_an_operator(house):
    for _ in range(5):
        async with audited_register(house.settings, "people block", person="nobody") as register:
            assert await register.block("nobody", None) is None


def acts_in(text):
    return [
        (event["event"], event["request_id"], event["operator"])
        for event in map(json.loads, text.splitlines())
        if event["event"].startswith("act.")
    ]


async def test_a_running_gateway_writes_them_down_and_of_two_each_is_written_once(redis_server):
    redis_server.command("FLUSHALL")
    async with open_house(redis_server.socket_url) as house, house.second_gateway():
        await acts_of_an_operator(house)

        async def are_written():
            return (
                len(acts_in(house.audit)) >= 10 and redis_server.command("LLEN", AUDIT_ENTRIES) == b":0\r\n"
            )

        await until(are_written, within=20)
        written = acts_in(house.audit)
        assert len(written) == len(set(written)) == 10
        assert {operator for _, _, operator in written} != {None}


async def test_they_wait_for_the_next_gateway_where_none_runs_and_for_room_where_there_is_none(redis_server):
    redis_server.command("FLUSHALL")
    async with open_house(redis_server.socket_url, has_gateway=False) as house:
        await acts_of_an_operator(house)
        audit = house.folder / "audit.log"
        audit.symlink_to("/dev/full")
        async with running(house.settings, clock=house.clock) as gateway:

            async def has_tried():
                return gateway.outputs.trail.is_failing

            await until(has_tried)
            assert redis_server.command("LLEN", AUDIT_ENTRIES) == b":10\r\n"
            audit.unlink()
            gateway.outputs.reopen()

            async def are_written():
                await asyncio.to_thread(gateway.outputs.flush)
                return audit.exists() and len(acts_in(audit.read_text())) >= 10

            await until(are_written, within=20)
        assert redis_server.command("LLEN", AUDIT_ENTRIES) == b":0\r\n"
