"""What only a real Redis can show of the register: what lies in it, for how long, and what happens when
somebody meddles with it."""

from __future__ import annotations

import re
import secrets

import pytest

from authproxy.access.unavailable import CannotAsk
from authproxy.identity.member import BlockedAccount, RegisterKey
from authproxy.storage.records.sealing import KeyRing
from authproxy.storage.redis import keys as keyspace
from authproxy.storage.redis.connection import RedisConnection
from authproxy.storage.redis.heartbeat import Heartbeat
from authproxy.storage.redis.people import RedisPeople, RegisterLost
from tests.support.people_builders import ANA, CVETKA, SUBCA, account
from tests.support.session_builders import NOW

pytestmark = pytest.mark.needs("redis-server")
KEY, NEW_KEY = secrets.token_bytes(32), secrets.token_bytes(32)
BY_ANAS_ID, BY_CVETKAS_ID = RegisterKey("id", "ana"), RegisterKey("id", "cvetka")


def people_with(redis, *keys):
    return RedisPeople(redis, keys=KeyRing(keys or (KEY,), random_bytes=secrets.token_bytes))


async def filled(redis, *keys):
    people = people_with(redis, *keys)
    ana = ANA.with_account(account()).blocked(NOW, "lost card")
    assert await people.take_over([ana, CVETKA], revision=(await people.every()).revision, departures=[ana])
    return people


async def test_whoever_reads_the_whole_store_learns_nobody_of_the_register(redis):
    await filled(redis)
    found = []
    for key in await redis.ask("KEYS", "*"):
        kind = await redis.ask("TYPE", key)
        found += [key, *await redis.ask(*(("SMEMBERS", key) if kind == b"set" else ("HGETALL", key)))]
    store = b"\n".join(found)
    secret = [
        "ana",
        "cvetka",
        "Novak",
        "99990008",
        "99990016",
        "example.si",
        "40123456",
        "a1a1a1",
        SUBCA,
        "rekono-ana",
        "lost card",
        "b2b",
    ]
    assert [text for text in secret if text.encode() in store] == []


async def test_the_whole_register_is_in_one_slot_and_stays(redis):
    await filled(redis)
    keys = sorted(await redis.ask("KEYS", "*"))
    assert keys == sorted(
        key.encode()
        for key in (
            keyspace.REGISTER,
            keyspace.REGISTER_NAMES,
            keyspace.REGISTER_PEOPLE,
            keyspace.REGISTER_DEPARTURES,
        )
    )
    assert {re.search(rb"\{(.*?)\}", key)[1] for key in keys} == {b"register"}
    assert [await redis.ask("PTTL", key) for key in keys] == [-1] * 4
    assert keyspace.session_id_in(keys[0]) is None


async def test_an_import_that_came_too_late_leaves_nothing_behind(redis):
    people = await filled(redis)
    before = await redis.ask("KEYS", "*")
    assert not await people.take_over([ANA], revision=0, departures=[ANA])
    assert sorted(await redis.ask("KEYS", "*")) == sorted(before)


async def test_an_import_that_dies_leaves_nothing_for_long(redis):
    people = people_with(redis)
    await people._stage("HSET", keyspace.staged(keyspace.REGISTER_PEOPLE, "dead"), [(b"name", b"sealed")])
    [key] = await redis.ask("KEYS", "*")
    assert 0 < await redis.ask("PTTL", key) <= 300_000


async def test_what_was_made_ready_and_is_gone_takes_no_place(redis, server):
    class Losing(RedisPeople):
        async def _stage(self, command, key, items):
            await super()._stage(command, key, items)
            if keyspace.REGISTER_PEOPLE in key:
                server.command("DEL", key)

    await filled(redis)
    losing = Losing(redis, keys=KeyRing((KEY,), random_bytes=secrets.token_bytes))
    with pytest.raises(CannotAsk, match="made ready"):
        await losing.take_over([CVETKA], revision=1, departures=())
    assert len((await people_with(redis).every()).members) == 2


async def test_with_a_dropped_key_nobody_is_unknown_it_cannot_be_asked(redis):
    await filled(redis)
    without = people_with(redis, NEW_KEY)
    for ask in (
        lambda: without.find([BY_ANAS_ID]),
        without.every,
        without.is_under_first_key,
        without.departures,
    ):
        with pytest.raises(CannotAsk, match="does not open"):
            await ask()


async def test_a_new_key_in_front_finds_changes_and_in_the_end_takes_over_the_old_register(redis):
    await filled(redis)
    both = people_with(redis, NEW_KEY, KEY)
    [ana] = await both.find([BY_ANAS_ID])
    assert not await both.is_under_first_key()
    assert await both.change(ana, ana.member.unblocked(), departs=True)
    assert [each.member for each in await both.find(sorted(ana.member.keys))] == [ana.member.unblocked()] * 5
    snapshot = await both.every()
    assert len(await both.departures()) == 2
    await both.settle(await both.departures())
    assert await both.take_over(snapshot.members, revision=snapshot.revision, departures=())
    alone = people_with(redis, NEW_KEY)
    assert await alone.is_under_first_key()
    assert (await alone.find([BY_ANAS_ID]))[0].member == ana.member.unblocked()


async def test_whoever_writes_into_the_store_turns_nobody_into_somebody_else(redis):
    people = await filled(redis)
    ring = KeyRing((KEY,), random_bytes=secrets.token_bytes)
    ana, cvetka = ring.register_names([BY_ANAS_ID, BY_CVETKAS_ID], ring.key_ids[0])
    await redis.ask("HSET", keyspace.REGISTER_NAMES, cvetka, ana)
    with pytest.raises(CannotAsk):
        await people.find([BY_CVETKAS_ID])
    await redis.ask("HSET", keyspace.REGISTER_NAMES, cvetka, cvetka)
    await redis.ask(
        "HSET", keyspace.REGISTER_PEOPLE, cvetka, await redis.ask("HGET", keyspace.REGISTER_PEOPLE, ana)
    )
    for ask in (lambda: people.find([BY_CVETKAS_ID]), people.every):
        with pytest.raises(CannotAsk):
            await ask()


async def test_an_entry_that_has_vanished_under_its_name_is_no_stranger(redis):
    people = await filled(redis)
    await redis.ask("DEL", keyspace.REGISTER_PEOPLE)
    with pytest.raises(CannotAsk):
        await people.find([BY_ANAS_ID])


async def test_a_register_that_never_stands_still_is_an_outage(redis, server):
    class Restless(RedisConnection):
        async def ask(self, *command):
            if command[0] == "HKEYS":
                server.command("HINCRBY", keyspace.REGISTER, "revision", "1")
            return await super().ask(*command)

    await filled(redis)
    restless = Restless(server.socket_url)
    with pytest.raises(CannotAsk, match="faster"):
        await people_with(restless).every()
    await restless.aclose()


# A register of which a part is lost, or all of it.

PARTS = [keyspace.REGISTER, keyspace.REGISTER_NAMES, keyspace.REGISTER_PEOPLE, keyspace.REGISTER_ACCOUNTS]
THIEF = BlockedAccount(account=account("thief"), blocked_at=NOW, reason=None)
EVERYBODY = [BY_ANAS_ID, BY_CVETKAS_ID, RegisterKey("id", "david"), THIEF.account.key]


async def with_a_blocked_account(redis, *keys):
    people = await filled(redis, *keys)
    assert await people.block_account(THIEF, revision=1)
    return people


async def is_refused_everywhere(people):
    for ask in (
        lambda: people.look_up(EVERYBODY),
        lambda: people.find([RegisterKey("id", "david")]),
        people.every,
        people.revision,
        lambda: people.take_over([ANA], revision=2, departures=()),
        lambda: people.take_over([ANA], revision=0, departures=()),
        lambda: people.block_account(THIEF, revision=2),
        lambda: people.unblock_account(THIEF.account, revision=2),
    ):
        with pytest.raises(RegisterLost, match="--new-register"):
            await ask()
    assert await people.is_lost()


@pytest.mark.parametrize("part", PARTS)
async def test_a_register_without_one_of_its_parts_is_no_register(redis, part):
    people = await with_a_blocked_account(redis)
    await redis.ask("DEL", part)
    before = sorted(await redis.ask("KEYS", "*"))
    await is_refused_everywhere(people)
    assert sorted(await redis.ask("KEYS", "*")) == before


@pytest.mark.parametrize("part", PARTS[1:])
async def test_one_entry_that_is_missing_is_noticed_by_whoever_asks_for_another(redis, part):
    people = await with_a_blocked_account(redis)
    [entry, *_] = await redis.ask("HKEYS", part)
    await redis.ask("HDEL", part, entry)
    with pytest.raises(RegisterLost):
        await people.find([RegisterKey("id", "nobody")])


async def test_a_change_of_what_was_read_before_the_loss_is_refused_too(redis):
    people = await filled(redis)
    [ana] = await people.find([BY_ANAS_ID])
    await redis.ask("DEL", keyspace.REGISTER_NAMES)
    with pytest.raises(RegisterLost):
        await people.change(ana, ana.member.unblocked(), departs=False)


async def test_a_register_that_is_lost_as_a_whole_is_known_from_outside_of_it(redis):
    await with_a_blocked_account(redis)
    heartbeat = Heartbeat(redis)
    for _ in range(2):
        await heartbeat.beat(NOW)
    await redis.ask("DEL", *PARTS, keyspace.REGISTER_DEPARTURES)
    await is_refused_everywhere(people_with(redis))


async def test_an_emptied_store_is_noticed_by_the_instance_that_kept_running_and_it_tells_the_others(redis):
    await filled(redis)
    heartbeat = Heartbeat(redis)
    await heartbeat.beat(NOW)
    await redis.ask("FLUSHALL")
    with pytest.raises(RegisterLost):
        await RedisPeople(
            redis, keys=KeyRing((KEY,), random_bytes=secrets.token_bytes), heartbeat=heartbeat
        ).find([BY_ANAS_ID])
    assert await people_with(redis).find([BY_ANAS_ID]) == (None,)
    await heartbeat.beat(NOW)
    with pytest.raises(RegisterLost):
        await people_with(redis).find([BY_ANAS_ID])


async def test_an_emptied_register_is_not_a_lost_one(redis):
    people = await filled(redis)
    assert await people.take_over([], revision=1, departures=())
    await Heartbeat(redis).beat(NOW)
    assert (await people.find([BY_ANAS_ID]), await people.revision()) == ((None,), 2)


async def test_a_new_register_takes_the_place_of_a_lost_one_at_a_later_revision(redis):
    people = await with_a_blocked_account(redis)
    heartbeat = Heartbeat(redis)
    for _ in range(2):
        await heartbeat.beat(NOW)
    await redis.ask("DEL", *PARTS)
    assert await people.begin_anew([CVETKA]) == 0
    assert [await people.revision(), (await people.every()).members] == [3, (CVETKA,)]
    await heartbeat.beat(NOW)
    assert not any("went back" in warning for warning in await heartbeat.warnings())


@pytest.mark.parametrize("meddled", [("SET", "soon"), ("SET", "9" * 400), ("LPUSH", "x")])
async def test_what_is_no_revision_outside_of_the_register_is_put_right_by_the_next_beat(redis, meddled):
    people = await filled(redis)
    heartbeat = Heartbeat(redis)
    await heartbeat.beat(NOW)
    command, value = meddled
    await redis.ask(command, keyspace.REGISTER_SEEN, value)
    assert (await people.find([BY_CVETKAS_ID]))[0].member == CVETKA
    await heartbeat.beat(NOW)
    assert await redis.ask("GET", keyspace.REGISTER_SEEN) == b"1"


# A version from before the parts counted each other, beside this one.


async def as_the_older_version(redis):
    """What it has written, and what it changes: a key more for somebody, and no word of counts."""
    await redis.ask("HDEL", keyspace.REGISTER, "counts")
    await redis.ask("HINCRBY", keyspace.REGISTER, "revision", 1)


async def test_what_an_older_version_has_written_is_read_and_counted_from_then_on(redis):
    people = await filled(redis)
    await as_the_older_version(redis)
    assert (await people.find([BY_CVETKAS_ID]))[0].member == CVETKA
    assert await redis.ask("HGET", keyspace.REGISTER, "counts") == b"2 7 2"
    [entry, *_] = await redis.ask("HKEYS", keyspace.REGISTER_NAMES)
    await redis.ask("HDEL", keyspace.REGISTER_NAMES, entry)
    with pytest.raises(RegisterLost):
        await people.find([BY_CVETKAS_ID])


@pytest.mark.parametrize("part", PARTS[:3])
async def test_a_part_that_is_lost_while_nobody_counts_is_noticed_all_the_same(redis, part):
    people = await filled(redis)
    await as_the_older_version(redis)
    await redis.ask("DEL", part)
    with pytest.raises(RegisterLost):
        await people.find([BY_CVETKAS_ID])


async def test_a_list_that_an_older_version_takes_over_leaves_blocked_accounts_blocked(redis):
    await with_a_blocked_account(redis)
    both = people_with(redis, NEW_KEY, KEY)
    names = KeyRing((NEW_KEY, KEY), random_bytes=secrets.token_bytes).register_names(
        ANA.keys, KeyRing((NEW_KEY,), random_bytes=secrets.token_bytes).key_ids[0]
    )
    await as_the_older_version(redis)
    await redis.ask("DEL", keyspace.REGISTER_NAMES, keyspace.REGISTER_PEOPLE)
    await redis.ask(
        "HSET", keyspace.REGISTER, "key", KeyRing((NEW_KEY,), random_bytes=secrets.token_bytes).key_ids[0]
    )
    for name in names:
        await redis.ask("HSET", keyspace.REGISTER_NAMES, name, names[0])
    await redis.ask("HSET", keyspace.REGISTER_PEOPLE, names[0], "sealed by the older version")
    assert (await both.look_up([THIEF.account.key])).blocked == {THIEF.account.key: THIEF}


# Blocked accounts, and keys.


async def test_nobody_becomes_unblocked_because_a_key_was_dropped(redis):
    people = people_with(redis)
    assert await people.block_account(THIEF, revision=0)
    await redis.ask("HDEL", keyspace.REGISTER, "key")
    await redis.ask(
        "HSET", keyspace.REGISTER, "key", KeyRing((NEW_KEY,), random_bytes=secrets.token_bytes).key_ids[0]
    )
    with pytest.raises(CannotAsk, match="does not open"):
        await people_with(redis, NEW_KEY).look_up([THIEF.account.key])


async def test_blocked_accounts_go_over_to_the_first_key_with_the_register(redis):
    await with_a_blocked_account(redis)
    both = people_with(redis, NEW_KEY, KEY)
    assert await both.block_account(BlockedAccount(account=account("other"), blocked_at=NOW), revision=2)
    assert not await both.is_under_first_key()
    assert await both.take_over((await both.every()).members, revision=3, departures=())
    found = await people_with(redis, NEW_KEY).look_up(
        [THIEF.account.key, account("other").key, account("honest").key]
    )
    assert set(found.blocked) == {THIEF.account.key, account("other").key}


async def test_whoever_moves_a_block_to_another_account_unblocks_nobody(redis):
    people = await with_a_blocked_account(redis)
    [sealed] = (await redis.ask("HGETALL", keyspace.REGISTER_ACCOUNTS))[1::2]
    ring = KeyRing((KEY,), random_bytes=secrets.token_bytes)
    [honest] = ring.register_names([account("honest").key], ring.key_ids[0])
    await redis.ask("HSET", keyspace.REGISTER_ACCOUNTS, honest, sealed)
    await redis.ask("HSET", keyspace.REGISTER, "accounts", 2)
    with pytest.raises(CannotAsk):
        await people.look_up([account("honest").key])


async def test_whoever_reads_the_store_learns_nothing_of_a_blocked_account(redis):
    people = people_with(redis)
    await people.block_account(
        BlockedAccount(account=account("rekono-thief"), blocked_at=NOW, reason="stolen"), revision=0
    )
    store = b"\n".join(
        [
            *await redis.ask("HGETALL", keyspace.REGISTER_ACCOUNTS),
            *await redis.ask("HGETALL", keyspace.REGISTER),
        ]
    )
    assert [text for text in (b"thief", b"rekono.example", b"stolen") if text in store] == []
