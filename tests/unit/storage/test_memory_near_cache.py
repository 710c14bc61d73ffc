"""The in-process store tells its near cache itself; that is what the contract suite cannot see."""

from __future__ import annotations

from datetime import timedelta

from authproxy.storage.memory import MemoryAttempts, MemorySessions
from authproxy.storage.near_cache import NearCache
from tests.support.session_builders import ISSUER, NOW, SUBJECT, attempt_of, new_ticket, session_for

MINUTE = timedelta(minutes=1)


async def cached():
    cache = NearCache(keeps_for=timedelta(seconds=5), silence=None)
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


async def test_sessions_that_are_over_take_no_room_for_long():
    sessions = MemorySessions()
    for number in range(100):
        ticket = new_ticket()
        now = NOW + number * MINUTE
        await sessions.create(ticket, session_for(ticket, started_at=now), browser="", now=now)
    assert len(sessions._kept) <= 16


async def test_attempts_and_sign_ins_that_are_over_take_no_room_for_long():
    attempts = MemoryAttempts()
    for number in range(100):
        now = NOW + number * timedelta(hours=1)
        await attempts.open(f"state {number}", attempt_of(f"browser {number}", opened_at=now), now=now)
        await attempts.note_sign_in(f"browser {number}", now=now)
    assert max(len(attempts._attempts), len(attempts._states), len(attempts._sign_ins)) <= 25
