"""What every store of the provider's tokens promises, in Redis and in memory."""

from __future__ import annotations

import asyncio
import secrets
from datetime import timedelta

import pytest

from authproxy.identity.grant import Grant, GrantTurn
from authproxy.storage.memory import MemoryGrants
from authproxy.storage.redis.grants import RedisGrants
from tests.contracts.conftest import STORES
from tests.support.session_builders import NOW

EVERY, HOUR = timedelta(minutes=1), timedelta(hours=1)
DUE = NOW + EVERY
FIRST, SECOND = Grant(refresh_token="first"), Grant(refresh_token="second")


@pytest.fixture(params=STORES)
def grants(request, keys):
    if request.param == "memory":
        return MemoryGrants()
    return RedisGrants(request.getfixturevalue(request.param), keys=keys)


@pytest.fixture
async def secret(grants):
    made = secrets.token_urlsafe(32)
    await grants.keep(made, FIRST, due_at=DUE, lives_for=HOUR, now=NOW)
    return made


async def test_a_turn_comes_when_it_is_due_and_then_after_each_interval(grants, secret):
    assert await grants.turn(secret, every=EVERY, lives_for=HOUR, now=DUE - timedelta(milliseconds=1)) is None
    assert await grants.turn(secret, every=EVERY, lives_for=HOUR, now=DUE) == GrantTurn(
        grant=FIRST, is_doubtful=False
    )
    assert await grants.turn(secret, every=EVERY, lives_for=HOUR, now=DUE + EVERY / 2) is None
    assert (await grants.turn(secret, every=EVERY, lives_for=HOUR, now=DUE + EVERY)).grant == FIRST


async def test_of_fifty_who_ask_at_once_one_has_the_turn(grants, secret):
    turns = await asyncio.gather(
        *(grants.turn(secret, every=EVERY, lives_for=HOUR, now=DUE) for _ in range(50))
    )
    assert len([turn for turn in turns if turn is not None]) == 1


async def test_a_question_without_an_answer_leaves_a_doubt_that_an_answer_ends(grants, secret):
    await grants.turn(secret, every=EVERY, lives_for=HOUR, now=DUE)
    assert (await grants.turn(secret, every=EVERY, lives_for=HOUR, now=DUE + EVERY)).is_doubtful
    await grants.settle(secret)
    assert not (await grants.turn(secret, every=EVERY, lives_for=HOUR, now=DUE + 2 * EVERY)).is_doubtful


async def test_a_new_token_takes_the_place_of_the_old_one(grants, secret):
    await grants.turn(secret, every=EVERY, lives_for=HOUR, now=DUE)
    assert await grants.settle(secret, SECOND)
    assert await grants.turn(secret, every=EVERY, lives_for=HOUR, now=DUE + EVERY) == GrantTurn(
        grant=SECOND, is_doubtful=False
    )


async def test_a_grant_is_taken_once_and_does_not_come_back(grants, secret):
    taken = await asyncio.gather(*(grants.take(secret) for _ in range(20)))
    assert [grant for grant in taken if grant is not None] == [FIRST]
    assert not await grants.settle(secret, SECOND)
    assert await grants.take(secret) is None
    assert await grants.turn(secret, every=EVERY, lives_for=HOUR, now=DUE) is None


async def test_another_secret_finds_nothing(grants, secret):
    assert await grants.turn(secret[:-1], every=EVERY, lives_for=HOUR, now=DUE) is None
    assert await grants.take(secret[:-1]) is None


async def test_a_clock_that_was_ahead_holds_nobody_up(grants, secret):
    assert await grants.turn(secret, every=EVERY, lives_for=HOUR, now=NOW - EVERY) is not None


async def test_each_look_says_anew_how_long_the_grant_lives(grants, secret):
    assert await grants.turn(secret, every=EVERY, lives_for=timedelta(0), now=NOW) is None
    assert await grants.turn(secret, every=EVERY, lives_for=HOUR, now=DUE) is None


async def test_an_access_token_keeps_its_end(grants):
    grant = Grant(access_token="access", ends_at=NOW + HOUR)
    await grants.keep("secret", grant, due_at=NOW, lives_for=HOUR, now=NOW)
    assert await grants.take("secret") == grant


@pytest.mark.needs("redis-server")
async def test_nothing_of_a_token_or_its_secret_is_in_redis(redis, keys):
    await RedisGrants(redis, keys=keys).keep("the-secret", FIRST, due_at=NOW, lives_for=HOUR, now=NOW)
    assert await RedisGrants(redis, keys=keys).turn("the-secret", every=EVERY, lives_for=2 * HOUR, now=NOW)
    [name] = (await redis.ask("SCAN", 0))[1]
    assert await redis.ask("PTTL", name) > HOUR / timedelta(milliseconds=1)
    stored = repr(name) + repr(await redis.ask("HGETALL", name))
    assert "first" not in stored
    assert "the-secret" not in stored
