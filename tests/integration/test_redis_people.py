"""What only a real Redis can show of the register: what lies in it, for how long, and what happens when somebody meddles with it."""

from __future__ import annotations

import re
import secrets

import pytest

from authproxy.access.unavailable import CannotAsk
from authproxy.identity.member import RegisterKey
from authproxy.storage import keyspace
from authproxy.storage.codec import KeyRing
from authproxy.storage.people import RedisPeople
from authproxy.storage.redis import RedisConnection
from tests.support.people_builders import ANA, CVETKA, SUBCA, account
from tests.support.session_builders import NOW

pytestmark = pytest.mark.needs("redis-server")
KEY, NEW_KEY = secrets.token_bytes(32), secrets.token_bytes(32)
BY_ANAS_ID, BY_CVETKAS_ID = RegisterKey("id", "ana"), RegisterKey("id", "cvetka")


def people_with(redis, *keys):
    return RedisPeople(redis, keys=KeyRing(keys or (KEY,)), fresh=secrets.token_bytes)


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
    secret = ["ana", "cvetka", "Novak", "99990008", "99990016", "example.si", "40123456", "a1a1a1", SUBCA, "rekono-ana", "lost card", "b2b"]
    assert [text for text in secret if text.encode() in store] == []


async def test_the_whole_register_is_in_one_slot_and_stays(redis):
    await filled(redis)
    keys = sorted(await redis.ask("KEYS", "*"))
    assert keys == sorted(key.encode() for key in (
        keyspace.REGISTER, keyspace.REGISTER_NAMES, keyspace.REGISTER_PEOPLE, keyspace.REGISTER_DEPARTURES,
    ))  # fmt: skip
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
    losing = Losing(redis, keys=KeyRing((KEY,)), fresh=secrets.token_bytes)
    with pytest.raises(CannotAsk, match="made ready"):
        await losing.take_over([CVETKA], revision=1, departures=())
    assert len((await people_with(redis).every()).members) == 2


async def test_with_a_dropped_key_nobody_is_unknown_it_cannot_be_asked(redis):
    await filled(redis)
    without = people_with(redis, NEW_KEY)
    for ask in (lambda: without.find([BY_ANAS_ID]), without.every, without.is_under_first_key, without.departures):
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
    ring = KeyRing((KEY,))
    ana, cvetka = ring.register_names([BY_ANAS_ID, BY_CVETKAS_ID], ring.key_ids[0])
    await redis.ask("HSET", keyspace.REGISTER_NAMES, cvetka, ana)
    with pytest.raises(CannotAsk):
        await people.find([BY_CVETKAS_ID])
    await redis.ask("HSET", keyspace.REGISTER_NAMES, cvetka, cvetka)
    await redis.ask("HSET", keyspace.REGISTER_PEOPLE, cvetka, await redis.ask("HGET", keyspace.REGISTER_PEOPLE, ana))
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
