"""What every store of notices promises: no note is sent twice, none is lost when an instance ends, and nobody gets
many messages."""

from __future__ import annotations

import asyncio
import secrets
from datetime import timedelta

import pytest

from authproxy.storage.records.sealing import KeyRing
from authproxy.storage.redis.notices import RedisNotices
from tests.support.session_builders import NOW

ANA, BOR = ("member", "ana"), ("account", "https://idp.example/", "bor")
PAUSE, SECOND = timedelta(minutes=5), timedelta(seconds=1)


async def taken(notices, owner=ANA, *, now=NOW):
    batch = await notices.take(owner, now=now, pause=PAUSE)
    return None if batch is None else batch.notes


async def test_the_first_note_is_due_at_once_and_those_after_it_together_at_the_end_of_the_pause(notices):
    await notices.add(ANA, b"one", now=NOW)
    assert await taken(notices) == (b"one",)
    for note in (b"two", b"three"):
        await notices.add(ANA, note, now=NOW + SECOND)
        assert await taken(notices, now=NOW + PAUSE - SECOND) is None
    await notices.add(BOR, b"of Bor", now=NOW + SECOND)
    assert [batch.notes for batch in await notices.take_due(now=NOW + PAUSE - SECOND, pause=PAUSE)] == [
        (b"of Bor",)
    ]
    assert [batch.notes for batch in await notices.take_due(now=NOW + PAUSE, pause=PAUSE)] == [
        (b"two", b"three")
    ]
    assert await notices.take_due(now=NOW + 9 * PAUSE, pause=PAUSE) == []


async def test_of_many_who_take_a_message_one_gets_it(notices):
    await notices.add(ANA, b"one", now=NOW)
    found = await asyncio.gather(
        *(taken(notices) for _ in range(20)), *(notices.take_due(now=NOW, pause=PAUSE) for _ in range(20))
    )
    assert sum(bool(one) for one in found) == 1


async def test_what_could_not_be_sent_is_due_again_with_what_has_come_meanwhile(notices):
    await notices.add(ANA, b"one", now=NOW)
    batch = await notices.take(ANA, now=NOW, pause=PAUSE)
    await notices.put_back(batch, due=NOW + SECOND)
    await notices.add(ANA, b"two", now=NOW + SECOND)
    assert await taken(notices, now=NOW + SECOND) is None
    assert await taken(notices, now=NOW + PAUSE) == (b"one", b"two")


async def test_a_script_that_changes_things_without_end_fills_no_store(notices):
    await notices.add(ANA, b"first", now=NOW)
    assert await taken(notices)
    for number in range(120):
        await notices.add(ANA, b"%d" % number, now=NOW)
    assert await taken(notices, now=NOW + PAUSE) == tuple(b"%d" % number for number in range(70, 120))


async def test_the_number_before_is_told_to_whoever_brings_the_next(notices):
    assert await notices.swap_number(ANA, "+38640123456") is None
    assert await notices.swap_number(BOR, "+38640999999") is None
    assert await notices.swap_number(ANA, "+38640123456") == "+38640123456"
    assert await notices.swap_number(ANA, "+38640111222") == "+38640123456"
    assert await notices.swap_number(ANA, "+38640111222") == "+38640111222"


@pytest.mark.needs("redis-server")
async def test_the_store_alone_tells_no_number_and_no_note_and_a_number_outlives_a_change_of_keys(
    redis, redis_server
):
    old, new = secrets.token_bytes(32), secrets.token_bytes(32)
    before = RedisNotices(redis, keys=KeyRing((old,), random_bytes=secrets.token_bytes))
    await before.swap_number(ANA, "+38640123456")
    await before.add(ANA, b"told to +38640123456", now=NOW)
    for key in redis_server.command("KEYS", "*").split()[1::2]:
        dump = redis_server.command("DUMP", key.decode())
        assert b"40123456" not in dump
        assert b"ana" not in key
    after = RedisNotices(redis, keys=KeyRing((new, old), random_bytes=secrets.token_bytes))
    assert await after.swap_number(ANA, "+38640111222") == "+38640123456"
    assert await after.swap_number(ANA, "+38640111222") == "+38640111222"
    assert [batch.notes for batch in await after.take_due(now=NOW, pause=PAUSE)] == [
        (b"told to +38640123456",)
    ]
    # What no key opens any more is left out, and stops nobody.
    await before.add(ANA, b"unreadable", now=NOW)
    strange = RedisNotices(redis, keys=KeyRing((new,), random_bytes=secrets.token_bytes))
    assert await strange.take_due(now=NOW + PAUSE, pause=PAUSE) == []


async def test_nothing_is_kept_about_somebody_who_is_forgotten(notices):
    for owner in (ANA, BOR):
        await notices.swap_number(owner, "+38640123456")
        await notices.add(owner, b"one", now=NOW)
    await notices.forget(ANA)
    assert await taken(notices) is None
    assert [batch.notes for batch in await notices.take_due(now=NOW + PAUSE, pause=PAUSE)] == [(b"one",)]
    assert await notices.swap_number(ANA, "+38640123457") is None
    assert await notices.swap_number(BOR, "+38640123457") == "+38640123456"
