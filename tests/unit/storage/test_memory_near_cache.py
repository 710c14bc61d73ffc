"""What the contract suites cannot see: the stores in memory update the near cache and remove what is over."""

from __future__ import annotations

from datetime import timedelta

from authproxy.storage.memory import MemoryAttempts, MemoryChallenges, MemoryLimits, MemorySessions
from authproxy.storage.near_cache import NearCache
from authproxy.storage.retention import BlockRules
from tests.support.challenge_builders import challenge_of
from tests.support.session_builders import ISSUER, NOW, SUBJECT, attempt_of, new_ticket, session_for

MINUTE = timedelta(minutes=1)


async def cached():
    cache = NearCache(near_cache_for=timedelta(seconds=5), silence=None)
    sessions = MemorySessions(cache)
    ticket = new_ticket()
    await sessions.create(ticket, session_for(ticket), browser="", now=NOW)
    cache.remember(ticket.text, await sessions.load(ticket, now=NOW), NOW, read=cache.begin_read())
    return cache, sessions, ticket


async def test_a_revoked_session_leaves_the_near_cache_at_once():
    cache, sessions, ticket = await cached()
    await sessions.revoke(ticket.session_id)
    assert cache.lookup(ticket.text, NOW) is None


async def test_a_session_of_a_revoked_subject_leaves_the_near_cache_at_once():
    cache, sessions, ticket = await cached()
    await sessions.revoke_subject(ISSUER, SUBJECT)
    assert cache.lookup(ticket.text, NOW) is None


async def test_a_touched_session_is_read_anew():
    cache, sessions, ticket = await cached()
    await sessions.touch(ticket, now=NOW + timedelta(seconds=1))
    assert cache.lookup(ticket.text, NOW + timedelta(seconds=1)) is None


async def test_a_ticket_that_was_rotated_leaves_the_near_cache_at_once():
    cache, sessions, ticket = await cached()
    new = new_ticket()
    assert await sessions.rotate(ticket, new, session_for(new), browser=None, now=NOW)
    assert cache.lookup(ticket.text, NOW) is None


async def test_successors_take_no_room_after_the_absolute_end():
    sessions, ticket = MemorySessions(), new_ticket()
    await sessions.create(ticket, session_for(ticket), browser="", now=NOW)
    new = new_ticket()
    await sessions.rotate(ticket, new, session_for(new), browser=None, now=NOW)
    assert len(sessions._successors) == 1
    later = NOW + timedelta(hours=8)
    await sessions.create(ticket, session_for(ticket, started_at=later), browser="", now=later)
    assert len(sessions._successors) == 0


async def test_challenges_that_are_over_take_no_room_for_long():
    challenges = MemoryChallenges()
    for number in range(100):
        now = NOW + number * MINUTE
        challenge = challenge_of(
            f"c-{number}", session_id=f"s-{number}", issued_at=now, expires_at=now + 5 * MINUTE
        )
        await challenges.open(challenge, tries=5, now=now)
    assert max(len(challenges._standings), len(challenges._of_session)) <= 17


async def test_a_claim_outlives_the_sweep_before_its_challenge_is_opened():
    challenges = MemoryChallenges()
    await challenges.claim_push(("p",), "c-1", MINUTE)
    await challenges.open(challenge_of("c-1"), tries=5, now=NOW)
    assert await challenges.claim_push(("p",), "c-2", MINUTE) == "c-1"


async def test_what_was_counted_takes_no_room_for_ever():
    rules = BlockRules(after=5, lasts=15 * MINUTE, at_most=timedelta(hours=24))
    limits = MemoryLimits(people=rules, addresses=rules)
    for number in range(100):
        now = NOW + number * timedelta(hours=1)
        await limits.try_answer([f"person:{number}"], now=now)
        await limits.reserve(f"person:{number}", pause=MINUTE, per_hour=3, now=now)
    assert max(len(limits._counts), len(limits._sent)) <= 26


async def test_sessions_that_are_over_take_no_room_for_long():
    sessions = MemorySessions()
    for number in range(100):
        ticket = new_ticket()
        now = NOW + number * MINUTE
        await sessions.create(ticket, session_for(ticket, started_at=now), browser="", now=now)
    assert len(sessions._sessions) <= 16


async def test_attempts_and_sign_ins_that_are_over_take_no_room_for_long():
    attempts = MemoryAttempts()
    for number in range(100):
        now = NOW + number * timedelta(hours=1)
        await attempts.take(
            attempt_of("browser", secret=f"secret {number}"), good_until=now + timedelta(minutes=30), now=now
        )
        await attempts.note_sign_in(f"browser {number}", now=now)
    assert max(len(attempts._used), len(attempts._sign_ins)) <= 2
