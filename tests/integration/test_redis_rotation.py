"""A session that changes its ticket while others end it, on two connections to one real Redis, in every order
that there can be."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import replace
from datetime import timedelta

import pytest

from authproxy.access.unavailable import CannotAsk
from authproxy.identity.person import MemberId, Subject
from authproxy.storage.records.sealing import KeyRing
from authproxy.storage.redis import keys as keyspace
from authproxy.storage.redis.connection import RedisConnection
from authproxy.storage.redis.sessions import RedisSessions
from tests.support.people_builders import ANA
from tests.support.redis_server import GENEROUS
from tests.support.session_builders import ISSUER, NOW, SUBJECT, new_ticket, session_for
from tests.support.stepped_redis import DyingConnection, orders

pytestmark = pytest.mark.needs("redis-server")
KEY, NEW_KEY = bytes(32), secrets.token_bytes(32)
LATER = NOW + timedelta(minutes=1)
STEPS_OF_A_ROTATION, STEPS_UNTIL_IT_COUNTS, STEPS_OF_AN_END = 6, 5, 4
"""The last steps of what takes more come after everything else of the other."""


def sessions_on(redis, *keys):
    return RedisSessions(redis, keys=KeyRing(keys or (KEY,), random_bytes=secrets.token_bytes))


async def started(sessions, number=0):
    """A session of a person of their own, so that indexes stay short."""
    ticket = new_ticket()
    person = replace(
        session_for(ticket).person,
        subject=Subject(f"{SUBJECT}-{number}"),
        member=MemberId(f"member-{number}"),
    )
    session = session_for(ticket, person=person)
    await sessions.create(ticket, session, browser="Firefox, Windows", now=NOW)
    return ticket, session


def rotated(sessions, old, session):
    new = new_ticket()
    return new, sessions.rotate(
        old, new, replace(session, session_id=new.session_id), browser=None, now=LATER
    )


async def back_channel_logout(sessions, session):
    meant = await sessions.summaries(ISSUER, session.person.subject, now=LATER)
    return len(await sessions.revoke_all([summary.session_id for summary in meant]))


def by_member(sessions, session):
    return sessions.revoke_member(replace(ANA, member_id=session.person.member, tax_number=None))


ENDINGS = {
    "by its name": lambda sessions, session: sessions.revoke(session.session_id),
    "by its subject": lambda sessions, session: sessions.revoke_subject(ISSUER, session.person.subject),
    "by its member": by_member,
    "by a back-channel logout": back_channel_logout,
}


@pytest.mark.parametrize("ending", ENDINGS)
async def test_whoever_ends_a_session_while_it_changes_its_ticket_ends_it(redis, pair, ending):
    sessions, (here, there) = sessions_on(redis), pair
    for number, order in enumerate(orders(STEPS_OF_A_ROTATION, STEPS_OF_AN_END)):
        old, session = await started(sessions, number)
        new, rotation = rotated(sessions_on(here), old, session)
        rotating = asyncio.ensure_future(rotation)
        ending_it = asyncio.ensure_future(ENDINGS[ending](sessions_on(there), session))
        for is_rotation in order:
            await (here.step(rotating) if is_rotation else there.step(ending_it))
        await here.finish(rotating)
        assert await there.finish(ending_it) >= 1, order
        assert [await sessions.load(ticket, now=LATER) for ticket in (old, new)] == [None, None], order
        assert await sessions.of_person(session.person, now=LATER) == (), order


async def test_a_ticket_whose_session_was_ended_before_it_was_given_out_is_not_given_out(redis, pair):
    old, session = await started(sessions_on(redis))
    new, rotation = rotated(sessions_on(pair[0]), old, session)
    rotating = asyncio.ensure_future(rotation)
    for _ in range(STEPS_UNTIL_IT_COUNTS):
        await pair[0].step(rotating)
    assert await sessions_on(redis).load(old, now=LATER) is None
    assert await sessions_on(redis).revoke(old.session_id) is True
    assert await pair[0].finish(rotating) is False
    assert await sessions_on(redis).load(new, now=LATER) is None


async def test_two_rotations_in_every_order_leave_one_session(redis, pair):
    sessions = sessions_on(redis)
    for number, order in enumerate(orders(STEPS_UNTIL_IT_COUNTS, STEPS_UNTIL_IT_COUNTS)):
        old, session = await started(sessions, number)
        new, works = zip(
            *(rotated(sessions_on(connection), old, session) for connection in pair), strict=True
        )
        running = [asyncio.ensure_future(work) for work in works]
        for is_first in order:
            at = 0 if is_first else 1
            await pair[at].step(running[at])
        outcomes = [await connection.finish(work) for connection, work in zip(pair, running, strict=True)]
        assert sorted(outcomes) == [False, True], order
        assert [await sessions.load(ticket, now=LATER) is not None for ticket in new] == outcomes, order
        assert await sessions.load(old, now=LATER) is None
        assert await sessions.revoke_subject(ISSUER, session.person.subject) == 1, order


@pytest.mark.parametrize("questions", range(4))
async def test_whoever_dies_in_a_rotation_leaves_the_old_session_or_none(redis, server, questions):
    old, session = await started(sessions_on(redis))
    dying = DyingConnection(server.socket_url, questions=questions)
    new, rotation = rotated(sessions_on(dying), old, session)
    with pytest.raises(CannotAsk, match="killed"):
        await rotation
    await dying.aclose()
    assert (await sessions_on(redis).load(old, now=LATER) is not None) == (questions < 3)
    # Nobody has its ticket, and it is gone in a moment.
    assert await redis.ask("PTTL", keyspace.session(new.session_id)) <= 10_000


async def test_a_rotated_session_lives_as_long_as_the_old_one_would_have(redis):
    sessions = sessions_on(redis)
    old, session = await started(sessions)
    new, rotation = rotated(sessions, old, session)
    assert await rotation
    idle = session.idle_for // timedelta(milliseconds=1)
    assert idle - 10_000 < await redis.ask("PTTL", keyspace.session(new.session_id)) <= idle
    rest = (session.expires_at - LATER) // timedelta(milliseconds=1)
    assert rest - 10_000 < await redis.ask("PTTL", keyspace.successor(old.session_id)) <= rest
    assert await redis.ask("EXISTS", keyspace.session(old.session_id)) == 0


async def test_a_session_under_an_older_key_is_rotated_to_the_first(redis):
    old, session = await started(sessions_on(redis, KEY))
    new, rotation = rotated(sessions_on(redis, NEW_KEY, KEY), old, session)
    assert await rotation
    assert (await sessions_on(redis, NEW_KEY).load(new, now=LATER)).session.session_id == new.session_id
    [summary] = await sessions_on(redis, NEW_KEY).summaries(ISSUER, session.person.subject, now=LATER)
    assert summary.browser == "Firefox, Windows"


async def test_a_summary_that_does_not_open_costs_the_words_for_the_browser_and_nothing_else(redis):
    sessions = sessions_on(redis)
    old, session = await started(sessions)
    await redis.ask("HSET", keyspace.session(session.session_id), "summary", "x")
    _, rotation = rotated(sessions, old, session)
    assert await rotation
    assert [
        summary.browser for summary in await sessions.summaries(ISSUER, session.person.subject, now=LATER)
    ] == [""]
    assert sessions.unreadable == 1


async def test_names_that_lead_round_in_a_circle_lead_nowhere(redis):
    sessions = sessions_on(redis)
    tickets = [new_ticket() for _ in range(3)]
    for one, next_one in zip(tickets, [*tickets[1:], tickets[0]], strict=True):
        await redis.ask("SET", keyspace.successor(one.session_id), next_one.session_id)
    assert await sessions.revoke(tickets[0].session_id) is False


async def test_rotating_on_two_instances_at_once_is_seen_by_both(redis, server):
    other = RedisConnection(server.socket_url, deadline=GENEROUS)
    here, there = sessions_on(redis), sessions_on(other)
    for _ in range(20):
        old, session = await started(here)
        (mine, one), (theirs, another) = rotated(here, old, session), rotated(there, old, session)
        outcomes = await asyncio.gather(one, another)
        assert sorted(outcomes) == [False, True]
        assert [await here.load(ticket, now=LATER) is not None for ticket in (mine, theirs)] == outcomes
    await other.aclose()
