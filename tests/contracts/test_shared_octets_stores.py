"""What every store of shared octets promises, in Redis and in memory."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from tests.support.waiting import until

HOUR, MOMENT = timedelta(hours=1), timedelta(milliseconds=30)
OCTETS = bytes(range(256)) * 4096


async def test_what_was_put_is_there_for_everybody_who_asks(shared_octets):
    await shared_octets.put("list", OCTETS, HOUR)
    assert [await shared_octets.get("list") for _ in range(2)] == [OCTETS, OCTETS]
    assert await shared_octets.get("another") is None


async def test_a_newer_value_takes_the_place_of_the_older(shared_octets):
    await shared_octets.put("list", b"older", HOUR)
    await shared_octets.put("list", b"newer", HOUR)
    assert await shared_octets.get("list") == b"newer"


async def test_of_many_takers_at_the_same_moment_exactly_one_has_it(shared_octets):
    await shared_octets.put("code", b"value", HOUR)
    taken = await asyncio.gather(*(shared_octets.take("code") for _ in range(50)))
    assert sorted(taken, key=lambda value: value or b"") == [None] * 49 + [b"value"]
    assert await shared_octets.get("code") is None


async def test_what_is_over_is_gone(shared_octets):
    await shared_octets.put("code", b"value", MOMENT)

    async def is_gone():
        return await shared_octets.get("code") is None

    await until(is_gone)
    assert await shared_octets.take("code") is None


async def test_what_is_over_already_is_never_there_nor_what_stood_there_before(shared_octets):
    await shared_octets.put("code", b"older", HOUR)
    await shared_octets.put("code", b"value", timedelta(0))
    assert await shared_octets.get("code") is None
