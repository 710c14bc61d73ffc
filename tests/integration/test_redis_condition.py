"""The condition of a real Redis, in words: what an operator has to mend, and nothing else."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from authproxy.access.unavailable import CannotAsk
from authproxy.storage.redis import condition, rights
from authproxy.storage.redis.connection import RedisConnection
from tests.support.ports import free_port
from tests.support.redis_server import GENEROUS, RedisServer

pytestmark = pytest.mark.needs("redis-server")
PASSWORD = "a-password-of-tests"


def now():
    return datetime.now(UTC)


@pytest.fixture(scope="module")
def own_server():
    with RedisServer(append_only=True) as running:
        yield running


@pytest.fixture
async def own(own_server):
    connection = RedisConnection(own_server.url, deadline=GENEROUS)
    yield connection
    await connection.aclose()


async def warnings(connection, **how):
    return [
        aspect.detail for aspect in await condition.aspects(connection, clock=now, **how) if aspect.is_warning
    ]


async def rights_of(server, *words):
    """What the check says about a user with these rules."""
    server.command("ACL", "SETUSER", "gateway", "reset", "on", f">{PASSWORD}", *words)
    connection = RedisConnection(server.url, username="gateway", password=PASSWORD, deadline=GENEROUS)
    try:
        return await condition.missing_rights(connection, "test")
    finally:
        await connection.aclose()


async def test_a_user_with_the_printed_rights_lacks_nothing_and_the_trial_leaves_nothing(redis, server):
    found = await rights_of(server, *rights.rules().split())
    assert (found.is_warning, found.detail) == (
        False,
        f"all {len(rights.commands())} that the gateway needs",
    )
    assert await redis.ask("DBSIZE") == 0


async def test_every_command_of_the_trial_does_something_and_none_fails(redis):
    for right, answer in zip(
        rights.trials("test"),
        await redis.each([command for _, command in rights.trials("test")]),
        strict=True,
    ):
        if right[0] not in {
            "cluster|info",
            "cluster|slots",
            "cluster|shards",
            "asking",
        }:  # only a cluster answers these
            assert not isinstance(answer, CannotAsk), right


@pytest.mark.parametrize("right", [command for command in rights.commands() if command != "ping"])
async def test_every_missing_right_is_named(redis, server, right):
    found = await rights_of(server, *(rule for rule in rights.rules().split() if rule != f"+{right}"))
    assert found.is_warning
    named = {word.rstrip(",") for word in found.detail.split() if word.startswith("+")}
    assert named == {f"+{right}"}


async def test_a_user_with_the_printed_rights_may_do_nothing_else(redis, server):
    """Nor touch another key, nor hear another channel."""
    await rights_of(server, *rights.rules().split())
    allowed = {*rights.commands(), "auth", "hello", "quit", "reset"}
    told = await redis.ask("COMMAND")
    every = [each for command in told for each in (command[9] or [command])]
    forbidden = [(name.decode(), arity) for name, arity, *_ in every if name.decode() not in allowed]
    assert len(forbidden) > 200
    for name, arity in forbidden:
        words = [*name.split("|"), *["1"] * (abs(arity) - 1 - name.count("|"))]
        answer = server.command("ACL", "DRYRUN", "gateway", *words)
        assert b"has no permissions to run" in answer, name
    for words in (("get", "other:key"), ("subscribe", "other"), ("config", "get", "dir"), ("client", "list")):
        assert b"has no permissions" in server.command("ACL", "DRYRUN", "gateway", *words), words


@pytest.mark.parametrize("rule", [f"~{rights.KEYS}", f"&{rights.CHANNEL}"])
async def test_missing_keys_or_a_missing_channel_are_noticed(redis, server, rule):
    found = await rights_of(server, *(given for given in rights.rules().split() if given != rule))
    assert found.is_warning
    assert ("+subscribe" in found.detail) == (rule[0] == "&")


async def test_a_user_who_may_not_even_ping_is_told_that_it_lacks_the_right(redis, server):
    found = await rights_of(server, "~*", "+get")
    assert "+ping" in found.detail


async def test_a_store_as_it_should_be_is_nothing_to_warn_of(own):
    assert await warnings(own) == []
    told = {aspect.name: aspect.detail for aspect in await condition.aspects(own, clock=now)}
    assert told["eviction"] == "noeviction"
    assert told["persistence"] == "append-only file"
    assert told["role"] == "primary, 0 replicas"
    assert told["clock"].startswith("as ours")


async def test_a_store_without_an_append_only_file_is_warned_of(redis):
    assert any("keeps no append-only file" in warning for warning in await warnings(redis))


@pytest.mark.parametrize(
    ("setting", "value", "back", "said"),
    [
        ("maxmemory-policy", "allkeys-lru", "noeviction", "may evict keys (allkeys-lru)"),
        ("maxmemory", "1000", "0", "nearly full"),
    ],
)
async def test_what_signs_people_out_is_warned_of(own, own_server, setting, value, back, said):
    own_server.command("CONFIG", "SET", setting, value)
    try:
        [warning] = await warnings(own)
    finally:
        own_server.command("CONFIG", "SET", setting, back)
    assert said in warning


async def test_a_replica_is_warned_of(own, own_server):
    own_server.command("REPLICAOF", "127.0.0.1", str(free_port()))
    try:
        [warning] = await warnings(own)
    finally:
        own_server.command("REPLICAOF", "NO", "ONE")
    assert "is a replica, which takes no writes" in warning


@pytest.mark.parametrize(("minutes", "said"), [(5, "s behind ours"), (-5, "s ahead of ours")])
async def test_a_clock_that_differs_is_warned_of(own, minutes, said):
    ours = now() + timedelta(minutes=minutes)
    found = await condition.aspects(own, clock=lambda: ours)
    [warning] = [aspect.detail for aspect in found if aspect.is_warning]
    assert said in warning


async def test_how_long_the_question_takes_is_no_difference_between_clocks(own):
    asked = now() - timedelta(minutes=5)
    times = iter([asked, asked + timedelta(minutes=10)])
    found = await condition.aspects(own, clock=lambda: next(times))
    assert not any(aspect.is_warning for aspect in found)


async def test_a_slow_store_is_warned_of(own):
    told = await condition.latency(own, time.perf_counter)
    assert told.detail.startswith("answers within ")
    ticks = iter(range(1000))
    assert (await condition.latency(own, lambda: float(next(ticks)))).is_warning
