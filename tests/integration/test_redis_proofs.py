"""What only a real Redis can show of challenges, limits and enrolments: what lies in it, for how long, what
meddling and a change of keys do, and that two instances count together."""

from __future__ import annotations

import asyncio
import re
import secrets
from dataclasses import replace
from datetime import timedelta

import pytest

from authproxy.access.unavailable import CannotAsk
from authproxy.challenges.challenge import ChallengeId, State
from authproxy.challenges.limits import address_name, person_name
from authproxy.identity.session import SessionId
from authproxy.storage.records.sealing import KeyRing
from authproxy.storage.redis import keys as keyspace
from authproxy.storage.redis.challenges import RedisChallenges
from authproxy.storage.redis.connection import RedisConnection
from authproxy.storage.redis.enrolments import RedisEnrolments
from authproxy.storage.redis.limits import RedisLimits
from authproxy.storage.retention import BlockRules
from tests.support.challenge_builders import ANAS, BORS, challenge_of, enrolment_of
from tests.support.redis_server import GENEROUS
from tests.support.session_builders import NOW
from tests.support.stepped_redis import DyingConnection, orders

pytestmark = pytest.mark.needs("redis-server")
KEY, NEW_KEY = secrets.token_bytes(32), secrets.token_bytes(32)
RULES = BlockRules(after=5, lasts=timedelta(minutes=15), at_most=timedelta(hours=24))
ONE, ANA, ADDRESS = ChallengeId("challenge-1"), person_name(ANAS), address_name("198.51.100.7")
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
CODES = ["keyed-hash-0", "keyed-hash-1"]
PHONE = enrolment_of(
    "phone-1",
    method="push",
    label="Anin telefon",
    secret="public-key-of-the-phone",
    device_id="device-of-ana",
)


def challenges_on(redis, *keys):
    return RedisChallenges(redis, keys=KeyRing(keys or (KEY,), random_bytes=secrets.token_bytes))


def limits_on(redis, *keys):
    return RedisLimits(
        redis, keys=KeyRing(keys or (KEY,), random_bytes=secrets.token_bytes), people=RULES, addresses=RULES
    )


def enrolments_on(redis, *keys):
    return RedisEnrolments(redis, keys=KeyRing(keys or (KEY,), random_bytes=secrets.token_bytes))


@pytest.fixture
async def other(server):
    """What another instance asks with."""
    connection = RedisConnection(server.socket_url, deadline=GENEROUS)
    yield connection
    await connection.aclose()


async def filled(redis):
    challenges, limits, enrolments = challenges_on(redis), limits_on(redis), enrolments_on(redis)
    await challenges.open(challenge_of(), tries=5, now=NOW)
    await challenges.claim_push(ANAS, ONE, MINUTE)
    await limits.try_answer([ANA, ADDRESS], now=NOW)
    await limits.reserve(ANA, pause=MINUTE, per_hour=3, now=NOW)
    for enrolment in (enrolment_of(), PHONE):
        await enrolments.add(ANAS, enrolment)
    await enrolments.put_recovery(ANAS, CODES)
    await enrolments.accept_step("enrolment-1", 7)


async def everything_in(redis) -> bytes:
    found = []
    for key in await redis.ask("KEYS", "*"):
        kind = await redis.ask("TYPE", key)
        read = {b"hash": "HGETALL", b"set": "SMEMBERS", b"string": "GET", b"list": "LRANGE"}[kind]
        answer = await redis.ask(read, key, *((0, -1) if kind == b"list" else ()))
        found += [key, *([answer] if kind == b"string" else answer)]
    return b"\n".join(found)


async def test_whoever_reads_the_whole_store_learns_nobodys_secret_number_or_code(redis):
    await filled(redis)
    store = await everything_in(redis)
    challenge = challenge_of()
    secret = [
        ONE,
        challenge.answer,
        challenge.return_to,
        challenge.held,
        "456",
        "payments",
        "ana",
        "bips",
        ADDRESS.partition(":")[2],
        "telefon",
        "enrolment-1",
        "phone-1",
        enrolment_of().secret,
        PHONE.secret,
        PHONE.device_id,
        *CODES,
    ]
    assert [text for text in secret if text.encode() in store] == []


async def test_every_key_is_named_as_documented_and_lives_as_long(redis):
    await filled(redis)
    lives = {}
    for key in await redis.ask("KEYS", "*"):
        assert re.fullmatch(rb"authproxy:\{[A-Za-z0-9_-]+\}:[a-z-]+", key)
        lives[key.rsplit(b":")[-1].decode()] = timedelta(milliseconds=await redis.ask("PTTL", key))
    for_ever = {kind for kind, span in lives.items() if span < timedelta(0)}
    assert for_ever == {"enrolments", "recovery", "recovery-codes"}
    at_most = {
        "challenge": 15 * MINUTE,
        "challenges": 15 * MINUTE,
        "push": MINUTE,
        "answers": DAY,
        "messages": 60 * MINUTE,
        "step": 2 * DAY,
    }
    assert {
        kind: at_most[kind] - MINUTE < span <= at_most[kind]
        for kind, span in lives.items()
        if kind not in for_ever
    } == dict.fromkeys(at_most, True)


async def test_a_turn_expires_by_itself_and_whoever_was_too_slow_ends_nobody_elses(redis, other):
    here, there = challenges_on(redis), challenges_on(other)
    assert await here.take_turn("session of Ana: sms", "slow one")
    [key] = await redis.ask("KEYS", "*")
    assert 10_000 < await redis.ask("PTTL", key) <= 15_000
    await redis.ask("PEXPIRE", key, 0)
    assert await there.take_turn("session of Ana: sms", "next one")
    await here.end_turn("session of Ana: sms", "slow one")
    assert not await here.take_turn("session of Ana: sms", "third one")
    await there.end_turn("session of Ana: sms", "next one")
    assert await redis.ask("KEYS", "*") == []


async def test_a_block_is_remembered_until_a_day_after_its_end(redis):
    for _ in range(5):
        await limits_on(redis).try_answer([ANA], now=NOW)
    [key] = await redis.ask("KEYS", "*:answers")
    assert DAY + 14 * MINUTE < timedelta(milliseconds=await redis.ask("PTTL", key)) <= DAY + 15 * MINUTE


async def test_fifty_answers_on_two_instances_are_not_judged_more_often_than_five_on_one(redis, other):
    limits, elsewhere = limits_on(redis), limits_on(other)
    judged = await asyncio.gather(
        *(
            at.try_answer([ANA, address_name(f"10.0.0.{number}")], now=NOW)
            for number in range(25)
            for at in (limits, elsewhere)
        )
    )
    assert sum(until is None for until in judged) == 5
    assert await elsewhere.blocked_until([ANA], now=NOW) == NOW + 15 * MINUTE


async def test_fifty_right_answers_on_two_instances_resolve_one_challenge_once(redis, other):
    both = challenges_on(redis), challenges_on(other)
    await both[0].open(challenge_of(), tries=5, now=NOW)

    async def answered(challenges):
        standing = await challenges.count_try(ONE, now=NOW)
        return standing.state is State.PENDING, await challenges.resolve(
            ONE, State.APPROVED, now=NOW
        ) if standing.state is State.PENDING else False

    outcomes = await asyncio.gather(*(answered(challenges) for _ in range(25) for challenges in both))
    assert sum(is_judged for is_judged, _ in outcomes) <= 5
    assert sum(is_first for _, is_first in outcomes) == 1


async def test_a_code_by_time_accepted_on_one_instance_is_refused_on_the_other(redis, other):
    assert await enrolments_on(redis).accept_step("enrolment-1", 7)
    assert not await enrolments_on(other).accept_step("enrolment-1", 7)


@pytest.mark.parametrize(
    "meddled",
    [("HSET", "state", "won"), ("HDEL", "state"), ("HSET", "tries", "many"), ("HSET", "sealed", "x")],
)
async def test_a_meddled_challenge_is_none(redis, meddled):
    challenges = challenges_on(redis)
    await challenges.open(challenge_of(), tries=5, now=NOW)
    command, *words = meddled
    await redis.ask(command, keyspace.challenge(keyspace.challenge_name(ONE)), *words)
    assert await challenges.find(ONE, now=NOW) is None
    assert challenges.unreadable == 1
    assert await challenges.current(SessionId("a-session"), now=NOW) == ()


async def test_a_challenge_in_the_place_of_another_does_not_open(redis):
    challenges = challenges_on(redis)
    await challenges.open(challenge_of(), tries=5, now=NOW)
    await challenges.open(challenge_of("challenge-2", session_id=SessionId("another")), tries=5, now=NOW)
    keys = [keyspace.challenge(keyspace.challenge_name(name)) for name in ("challenge-1", "challenge-2")]
    await redis.ask("RENAME", keys[1], keys[0])
    assert await challenges.find(ONE, now=NOW) is None


async def test_no_list_of_a_session_leads_to_the_challenge_of_another(redis):
    challenges = challenges_on(redis)
    await challenges.open(challenge_of(), tries=5, now=NOW)
    await redis.ask(
        "RENAME", keyspace.challenges_of(SessionId("a-session")), keyspace.challenges_of(SessionId("another"))
    )
    assert await challenges.current(SessionId("another"), now=NOW) == ()


async def test_a_limit_that_cannot_be_read_lets_nobody_answer(redis):
    limits = limits_on(redis)
    await limits.try_answer([ANA], now=NOW)
    [key] = await redis.ask("KEYS", "*:answers")
    await redis.ask("HSET", key, "count", "none", "until", "never")
    with pytest.raises(CannotAsk):
        await limits.try_answer([ANA], now=NOW)


async def test_an_enrolment_moved_to_somebody_else_or_into_another_place_is_none(redis):
    enrolments = enrolments_on(redis)
    await enrolments.add(ANAS, enrolment_of())
    await enrolments.put_recovery(ANAS, CODES)
    [hers, his] = [
        KeyRing((KEY,), random_bytes=secrets.token_bytes).owner_names("enrolments", owner)[0]
        for owner in (ANAS, BORS)
    ]
    field = keyspace.enrolment_name("enrolment-1")
    sealed = await redis.ask("HGET", keyspace.enrolments(hers), field)
    await redis.ask("HSET", keyspace.enrolments(his), field, sealed)
    await redis.ask("HSET", keyspace.enrolments(hers), keyspace.enrolment_name("another"), sealed)
    await redis.ask("SET", keyspace.recovery(his), await redis.ask("GET", keyspace.recovery(hers)))
    assert (await enrolments.of(BORS), await enrolments.of(ANAS)) == ((), (enrolment_of(),))
    assert not await enrolments.spend_recovery(BORS, CODES[0])
    assert enrolments.unreadable == 3


async def test_whoever_puts_a_hash_among_the_recovery_codes_has_no_code(redis):
    enrolments = enrolments_on(redis)
    await enrolments.put_recovery(ANAS, CODES)
    [key] = await redis.ask("KEYS", "*:recovery-codes")
    await redis.ask("SADD", key, "keyed-hash-of-mine")
    assert not await enrolments.spend_recovery(ANAS, "keyed-hash-of-mine")


async def test_new_recovery_codes_leave_nothing_of_the_old_ones_behind(redis, other):
    both = enrolments_on(redis), enrolments_on(other)
    await asyncio.gather(
        *(enrolments.put_recovery(ANAS, [f"hash-{number}"]) for number in range(10) for enrolments in both)
    )
    assert len(await redis.ask("KEYS", "*:recovery-codes")) == await both[0].recovery_left(ANAS) == 1
    await both[0].put_recovery(ANAS, ())
    assert await redis.ask("KEYS", "*") == []


SHEET = enrolment_of("sheet", method="recovery", secret="")


async def test_a_record_of_recovery_codes_that_does_not_open_is_replaced_by_new_ones(redis):
    [name] = KeyRing((KEY,), random_bytes=secrets.token_bytes).owner_names("enrolments", ANAS)
    await redis.ask("SET", keyspace.recovery(name), b"not ours")
    enrolments = enrolments_on(redis)
    assert await enrolments.make_recovery(ANAS, CODES, SHEET, instead_of=None) is True
    assert (await enrolments.of(ANAS), await enrolments.spend_recovery(ANAS, CODES[0])) == ((SHEET,), True)


async def test_recovery_codes_and_their_listing_change_their_key_together(redis):
    assert await enrolments_on(redis).make_recovery(ANAS, CODES, SHEET, instead_of=None)
    both = enrolments_on(redis, NEW_KEY, KEY)
    assert await both.of(ANAS) == (SHEET,)
    assert await both.reseal() == 1
    alone = enrolments_on(redis, NEW_KEY)
    assert (await alone.of(ANAS), await alone.spend_recovery(ANAS, CODES[0])) == ((SHEET,), True)
    assert await both.make_recovery(ANAS, ["new"], replace(SHEET, enrolment_id="newer"), instead_of="sheet")
    assert [each.enrolment_id for each in await alone.of(ANAS)] == ["newer"]
    assert await alone.remove(ANAS, "newer")
    assert await redis.ask("KEYS", "*") == []


async def test_listings_that_an_older_version_kept_beside_the_codes_are_shown_and_go_with_them(redis):
    enrolments = enrolments_on(redis)
    await enrolments.put_recovery(ANAS, CODES)
    assert await enrolments.add(ANAS, SHEET)
    assert await enrolments.every(ANAS) == (SHEET,)
    assert await enrolments.remove(ANAS, "sheet")
    assert await redis.ask("KEYS", "*") == []


async def test_of_people_who_have_left_nothing_lies_in_the_store_under_any_key(redis):
    await enrolments_on(redis).add(ANAS, enrolment_of())
    assert await enrolments_on(redis).make_recovery(ANAS, CODES, SHEET, instead_of=None)
    await enrolments_on(redis, NEW_KEY, KEY).remove_all([ANAS])
    assert await redis.ask("KEYS", "*") == []


async def test_recovery_codes_of_whoever_dies_before_they_count_are_gone_in_minutes(redis, server):
    dying = DyingConnection(server.socket_url, questions=1)
    with pytest.raises(CannotAsk):
        await enrolments_on(dying).put_recovery(ANAS, CODES)
    await dying.aclose()
    [key] = await redis.ask("KEYS", "*")
    assert 0 < await redis.ask("PTTL", key) <= 300_000


# What a backup brings back.


async def backed_up(redis):
    """What Ana has, after it was removed from the store."""
    enrolments = enrolments_on(redis)
    await enrolments.add(ANAS, enrolment_of())
    assert await enrolments.make_recovery(ANAS, CODES, SHEET, instead_of=None)
    [owned] = (await enrolments.everybodys()).owned
    return owned


async def test_codes_that_were_used_stay_used_if_their_set_has_outlived_its_record(redis):
    owned = await backed_up(redis)
    assert await enrolments_on(redis).spend_recovery(ANAS, CODES[0])
    name = KeyRing((KEY,), random_bytes=secrets.token_bytes).owner_names("enrolments", ANAS)[0]
    await redis.ask("DEL", keyspace.recovery(name), keyspace.enrolments(name))
    assert await enrolments_on(redis).put_back(owned)
    assert not await enrolments_on(redis).spend_recovery(ANAS, CODES[0])
    assert await enrolments_on(redis).recovery_left(ANAS) == len(CODES) - 1


@pytest.mark.parametrize("questions", [1, 2])
async def test_what_comes_back_is_whole_or_can_be_done_again(redis, server, questions):
    owned = await backed_up(redis)
    await redis.ask("FLUSHALL")
    dying = DyingConnection(server.socket_url, questions=questions)
    with pytest.raises(CannotAsk):
        await enrolments_on(dying).put_back(owned)
    await dying.aclose()
    assert await enrolments_on(redis).every(ANAS) == ()
    assert await enrolments_on(redis).put_back(owned)
    assert await enrolments_on(redis).every(ANAS) == (*owned.enrolments, SHEET)
    assert await enrolments_on(redis).recovery_left(ANAS) == len(CODES)
    assert {await redis.ask("PTTL", key) for key in await redis.ask("KEYS", "*")} == {-1}


async def test_what_comes_back_is_under_the_first_key_and_counts_what_is_under_the_others(redis):
    owned = await backed_up(redis)
    assert not await enrolments_on(redis, NEW_KEY, KEY).put_back(owned)
    await redis.ask("FLUSHALL")
    assert await enrolments_on(redis, NEW_KEY, KEY).put_back(owned)
    assert await enrolments_on(redis, NEW_KEY).every(ANAS) == (*owned.enrolments, SHEET)


async def test_a_backup_counts_what_no_key_opens(redis):
    await backed_up(redis)
    found = await enrolments_on(redis, NEW_KEY).everybodys()
    assert (found.owned, found.unreadable) == ((), 2)


async def test_a_listing_that_an_older_version_kept_beside_the_codes_is_in_a_backup_with_them(redis):
    enrolments = enrolments_on(redis)
    await enrolments.put_recovery(ANAS, CODES)
    assert await enrolments.add(ANAS, SHEET)
    [owned] = (await enrolments.everybodys()).owned
    assert (owned.enrolments, owned.recovery.listing) == ((), SHEET)


async def test_after_a_change_of_keys_everything_is_found_and_counted(redis):
    await filled(redis)
    challenges, limits, enrolments = (
        challenges_on(redis, NEW_KEY, KEY),
        limits_on(redis, NEW_KEY, KEY),
        enrolments_on(redis, NEW_KEY, KEY),
    )
    assert (await challenges.count_try(ONE, now=NOW)).challenge == challenge_of()
    assert await challenges.claim_push(ANAS, ChallengeId("challenge-2"), MINUTE) == ONE
    for _ in range(5):
        await limits_on(redis).try_answer([ANA], now=NOW)
    assert await limits.try_answer([ANA], now=NOW) == NOW + 15 * MINUTE
    assert await limits.lift([ANA]) is True
    assert await limits_on(redis).blocked_until([ANA], now=NOW) is None
    assert await enrolments.add(ANAS, enrolment_of("newer", enrolled_at=NOW + DAY))
    assert [each.enrolment_id for each in await enrolments.of(ANAS)] == ["enrolment-1", "phone-1", "newer"]
    assert not await enrolments.add(ANAS, enrolment_of("one too many"), most=3)
    assert await enrolments.remove(ANAS, "phone-1")
    assert await enrolments.spend_recovery(ANAS, CODES[0])
    assert not await enrolments_on(redis).spend_recovery(ANAS, CODES[0])
    await enrolments.put_recovery(ANAS, ["newer"])
    assert await enrolments_on(redis).recovery_left(ANAS) == 0


async def test_with_a_dropped_key_there_is_nothing_and_it_is_counted_where_it_is_seen(redis):
    await filled(redis)
    challenges = challenges_on(redis, NEW_KEY)
    assert await challenges.find(ONE, now=NOW) is None
    assert challenges.unreadable == 1
    assert await enrolments_on(redis, NEW_KEY).of(ANAS) == ()


async def test_what_was_resealed_needs_the_first_key_alone(redis):
    await filled(redis)
    await enrolments_on(redis).add(BORS, enrolment_of("his"))
    both = enrolments_on(redis, NEW_KEY, KEY)
    assert await both.reseal() == 4
    assert await both.reseal() == 0
    alone = enrolments_on(redis, NEW_KEY)
    assert ({*await alone.of(ANAS)}, await alone.of(BORS)) == (
        {enrolment_of(), PHONE},
        (enrolment_of("his"),),
    )
    assert [await alone.spend_recovery(ANAS, code) for code in CODES] == [True, True]
    assert len(await redis.ask("KEYS", "*:enrolments")) == 2


async def test_what_does_not_open_is_left_alone_by_resealing(redis):
    await filled(redis)
    before = await everything_in(redis)
    assert await enrolments_on(redis, NEW_KEY).reseal() == 0
    assert await everything_in(redis) == before


@pytest.mark.parametrize("questions", range(8))
async def test_whoever_dies_while_resealing_has_lost_nothing_and_the_next_one_ends_it(
    redis, server, questions
):
    await enrolments_on(redis).add(ANAS, enrolment_of())
    await enrolments_on(redis).put_recovery(ANAS, CODES)
    dying = DyingConnection(server.socket_url, questions=questions)
    with pytest.raises(CannotAsk, match="killed"):
        await enrolments_on(dying, NEW_KEY, KEY).reseal()
    await dying.aclose()
    both = enrolments_on(redis, NEW_KEY, KEY)
    assert await both.of(ANAS) == (enrolment_of(),)
    assert await both.spend_recovery(ANAS, CODES[0])
    assert not await enrolments_on(redis, KEY, NEW_KEY).spend_recovery(ANAS, CODES[0])
    await both.reseal()
    alone = enrolments_on(redis, NEW_KEY)
    assert (await alone.of(ANAS), await alone.recovery_left(ANAS)) == ((enrolment_of(),), 1)
    assert await enrolments_on(redis, KEY).of(ANAS) == ()


async def test_what_is_being_moved_is_seen_all_the_while(redis, pair, server):
    here, there = pair
    for order in orders(6, 4):
        await enrolments_on(redis).add(ANAS, enrolment_of())
        await enrolments_on(redis).put_recovery(ANAS, CODES)
        resealing = asyncio.ensure_future(enrolments_on(here, NEW_KEY, KEY).reseal())
        looking = asyncio.ensure_future(seen(enrolments_on(there, NEW_KEY, KEY)))
        for is_reseal in order:
            await (here.step(resealing) if is_reseal else there.step(looking))
        await here.finish(resealing)
        assert await there.finish(looking) == ((enrolment_of(),), 2), order
        server.command("FLUSHALL")


async def seen(enrolments):
    return await enrolments.of(ANAS), await enrolments.recovery_left(ANAS)


async def removed(enrolments):
    assert await enrolments.remove(ANAS, "enrolment-1")


async def without_codes(enrolments):
    await enrolments.put_recovery(ANAS, ())


async def left(enrolments):
    await enrolments.remove_all([ANAS])


@pytest.mark.parametrize(
    ("work", "has_codes"), [(removed, False), (without_codes, True), (left, False), (left, True)]
)
async def test_what_is_taken_away_while_it_is_resealed_does_not_come_back(
    redis, pair, server, work, has_codes
):
    here, there = pair
    for order in orders(5, 5):
        await (
            enrolments_on(redis).put_recovery(ANAS, CODES)
            if has_codes
            else enrolments_on(redis).add(ANAS, enrolment_of())
        )
        resealing = asyncio.ensure_future(enrolments_on(here, NEW_KEY, KEY).reseal())
        taking_away = asyncio.ensure_future(work(enrolments_on(there, NEW_KEY, KEY)))
        for is_reseal in order:
            await (here.step(resealing) if is_reseal else there.step(taking_away))
        await here.finish(resealing)
        await there.finish(taking_away)
        for enrolments in (enrolments_on(redis, NEW_KEY), enrolments_on(redis, KEY)):
            assert (await enrolments.every(ANAS), await enrolments.recovery_left(ANAS)) == ((), 0), order
        server.command("FLUSHALL")
