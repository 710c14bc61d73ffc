"""What every store of API keys promises, in Redis and in memory."""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_network

import pytest

from authproxy.identity.session import SessionId
from authproxy.storage.memory import MemoryMachineKeys
from authproxy.storage.near_cache import NearCache
from authproxy.storage.records.sealing import KeyRing
from authproxy.storage.redis.heartbeat import Heartbeat
from authproxy.storage.redis.machine_keys import RedisMachineKeys
from tests.contracts.conftest import STORES
from tests.support.machine_builders import KEY_ID, KEY_TEXT, api_key
from tests.support.session_builders import NOW

DAY = timedelta(days=1)
WHOLE = api_key(
    scopes=("payments",),
    networks=(ip_network("10.1.0.0/16"), ip_network("fd00::/8")),
    portals=("acq", "b2b"),
)


@pytest.fixture(params=STORES)
def machine_keys(request, keys):
    if request.param == "memory":
        return MemoryMachineKeys()
    return RedisMachineKeys(request.getfixturevalue(request.param), keys=keys)


async def test_a_key_is_found_by_its_public_name_as_it_was_added(machine_keys):
    await machine_keys.add(WHOLE, now=NOW)
    assert await machine_keys.find(KEY_ID) == WHOLE
    assert await machine_keys.find("0" * 32) is None


async def test_a_revoked_key_is_gone_and_can_be_revoked_once(machine_keys):
    await machine_keys.add(WHOLE, now=NOW)
    assert await machine_keys.revoke(KEY_ID)
    assert await machine_keys.find(KEY_ID) is None
    assert not await machine_keys.revoke(KEY_ID)
    assert await machine_keys.every() == ()


async def test_a_key_that_has_ended_is_still_shown_for_a_time(machine_keys):
    ended = api_key(ends_at=NOW - DAY)
    await machine_keys.add(ended, now=NOW)
    assert await machine_keys.find(KEY_ID) == ended


async def test_keys_are_listed_with_the_newest_first(machine_keys):
    older, newer = api_key(key_id="a" * 32, created_at=NOW - DAY), api_key(key_id="b" * 32)
    for key in (older, newer):
        await machine_keys.add(key, now=NOW)
    assert await machine_keys.every() == (newer, older)
    assert await machine_keys.reseal() == 0


async def test_the_near_cache_of_one_process_hears_of_added_and_revoked_keys():
    near_cache = NearCache(near_cache_for=DAY, silence=None)
    stored = MemoryMachineKeys(near_cache)
    epochs = [near_cache.machine_keys_epoch]
    await stored.add(WHOLE, now=NOW)
    epochs.append(near_cache.machine_keys_epoch)
    await stored.revoke(KEY_ID)
    assert len({*epochs, near_cache.machine_keys_epoch}) == 3


pytestmark_redis = pytest.mark.needs("redis-server")


@pytestmark_redis
async def test_nothing_of_a_key_is_readable_in_redis_and_it_leaves_a_month_after_its_end(redis, keys):
    await RedisMachineKeys(redis, keys=keys).add(WHOLE, now=NOW)
    [name] = (await redis.ask("SCAN", 0))[1]
    stored = repr(name) + repr(await redis.ask("GET", name))
    for secret in (KEY_TEXT, KEY_TEXT.removeprefix("authproxy_"), "batch", "payments", "10.1"):
        assert secret not in stored
    assert await redis.ask("PTTL", name) <= 395 * DAY / timedelta(milliseconds=1)


@pytestmark_redis
async def test_a_record_that_was_moved_forged_or_sealed_with_an_unknown_key_lets_nobody_in(redis, keys):
    stored = RedisMachineKeys(redis, keys=keys)
    await stored.add(WHOLE, now=NOW)
    sealed = await redis.ask("GET", f"authproxy:{{{KEY_ID}}}:machine-key")
    other = "c" * 32
    for forged in (sealed, b"{}", KEY_ID.encode()):
        await redis.ask("SET", f"authproxy:{{{other}}}:machine-key", forged)
        assert await stored.find(other) is None
    assert [key.key_id for key in await stored.every()] == [KEY_ID]
    assert stored.unreadable > 0
    stranger = KeyRing((secrets.token_bytes(32),), random_bytes=secrets.token_bytes)
    assert await RedisMachineKeys(redis, keys=stranger).find(KEY_ID) is None


@pytestmark_redis
async def test_resealed_keys_outlive_the_old_server_key_and_a_revoked_one_does_not_come_back(redis):
    old, new = secrets.token_bytes(32), secrets.token_bytes(32)

    def stored(*ring):
        return RedisMachineKeys(redis, keys=KeyRing(ring, random_bytes=secrets.token_bytes))

    second = replace(WHOLE, key_id="d" * 32)
    for key in (WHOLE, second):
        await stored(old).add(key, now=NOW)
    await stored(old).revoke(second.key_id)
    lives = await redis.ask("PTTL", f"authproxy:{{{KEY_ID}}}:machine-key")
    assert [await stored(new, old).reseal() for _ in range(2)] == [1, 0]
    assert await stored(new).find(KEY_ID) == WHOLE
    assert await stored(new).find(second.key_id) is None
    assert lives - 60_000 < await redis.ask("PTTL", f"authproxy:{{{KEY_ID}}}:machine-key") <= lives


@pytestmark_redis
async def test_a_key_that_changed_while_it_was_resealed_stays_as_it_is(redis):
    old, new = secrets.token_bytes(32), secrets.token_bytes(32)
    ring = KeyRing((new, old), random_bytes=secrets.token_bytes)
    before = RedisMachineKeys(redis, keys=KeyRing((old,), random_bytes=secrets.token_bytes))
    await before.add(WHOLE, now=NOW)

    class Overtaken(RedisMachineKeys):
        async def _every(self):
            found = await super()._every()
            await before.revoke(KEY_ID)
            return found

    assert await Overtaken(redis, keys=ring).reseal() == 0
    assert await before.find(KEY_ID) is None


@pytestmark_redis
async def test_a_revoked_key_that_an_old_snapshot_brings_back_is_removed_again(redis, keys):
    heartbeat = Heartbeat(redis)
    stored = RedisMachineKeys(redis, keys=keys, heartbeat=heartbeat)
    await heartbeat.beat(NOW)
    await stored.add(WHOLE, now=NOW)
    sealed = await redis.ask("GET", f"authproxy:{{{KEY_ID}}}:machine-key")
    await stored.revoke(KEY_ID)
    assert SessionId(KEY_ID) in heartbeat.endings
    await redis.ask("FLUSHALL")
    await redis.ask("SET", f"authproxy:{{{KEY_ID}}}:machine-key", sealed)
    assert await stored.find(KEY_ID) is None
    assert await stored.every() == ()
    await heartbeat.beat(NOW)
    assert await redis.ask("GET", f"authproxy:{{{KEY_ID}}}:machine-key") is None
