"""What every session store promises about time in which it took no activity."""

from __future__ import annotations

from datetime import timedelta

import pytest

from authproxy.storage.memory import MemorySessions
from authproxy.storage.outages import Outage, Outages
from authproxy.storage.redis.heartbeat import Heartbeat
from authproxy.storage.redis.sessions import RedisSessions
from tests.contracts.conftest import STORES
from tests.support.session_builders import ISSUER, NOW, SUBJECT, new_ticket, session_for

MINUTE = timedelta(minutes=1)
IDLE = 15 * MINUTE
FORGIVES = 10 * MINUTE


@pytest.fixture(params=STORES)
def forgiving(request, keys):
    """A store, and what it knows of outages."""
    if request.param == "memory":
        outages = Outages(forgives=FORGIVES)
        return MemorySessions(outages=outages), outages
    redis = request.getfixturevalue(request.param)
    heartbeat = Heartbeat(redis, forgives=FORGIVES)
    return RedisSessions(redis, keys=keys, heartbeat=heartbeat), heartbeat.outages


async def started(sessions, **changes):
    ticket = new_ticket()
    session = session_for(ticket, **changes)
    await sessions.create(ticket, session, browser="", now=NOW)
    return ticket, session


def away(outages, began, ended):
    outages.learn([Outage(NOW + began * MINUTE, NOW + ended * MINUTE)], NOW)


async def test_time_without_a_store_is_no_idleness(forgiving):
    sessions, outages = forgiving
    ticket, _ = await started(sessions)
    away(outages, 1, 9)
    stored = await sessions.load(ticket, now=NOW + IDLE + 8 * MINUTE - timedelta(seconds=1))
    assert (stored.last_active_at, stored.forgiven) == (NOW, 8 * MINUTE)
    assert [
        summary.last_active_at for summary in await sessions.summaries(ISSUER, SUBJECT, now=NOW + 20 * MINUTE)
    ] == [NOW]
    assert await sessions.load(ticket, now=NOW + IDLE + 8 * MINUTE) is None


async def test_of_a_long_outage_no_more_is_forgiven_than_is_set(forgiving):
    sessions, outages = forgiving
    ticket, _ = await started(sessions)
    away(outages, 1, 60)
    assert await sessions.load(ticket, now=NOW + IDLE + FORGIVES - timedelta(seconds=1)) is not None
    assert await sessions.load(ticket, now=NOW + IDLE + FORGIVES) is None


async def test_the_absolute_end_does_not_move(forgiving):
    sessions, outages = forgiving
    ticket, session = await started(sessions, expires_at=NOW + 12 * MINUTE)
    away(outages, 1, 11)
    assert await sessions.load(ticket, now=session.expires_at - timedelta(milliseconds=1)) is not None
    assert await sessions.load(ticket, now=session.expires_at) is None


async def test_whoever_was_told_that_they_are_signed_out_stays_so_whatever_is_heard_later(forgiving):
    sessions, outages = forgiving
    ticket, _ = await started(sessions)
    assert await sessions.load(ticket, now=NOW + IDLE) is None
    away(outages, 1, 9)
    assert await sessions.load(ticket, now=NOW + IDLE) is None
    assert await sessions.summaries(ISSUER, SUBJECT, now=NOW + IDLE) == ()


async def test_a_touch_after_an_outage_keeps_the_session_and_one_after_idleness_does_not(forgiving):
    sessions, outages = forgiving
    kept, _ = await started(sessions)
    away(outages, 1, 9)
    await sessions.touch(kept, now=NOW + 22 * MINUTE)
    assert (await sessions.load(kept, now=NOW + 30 * MINUTE)).last_active_at == NOW + 22 * MINUTE
    lost, _ = await started(sessions)
    await sessions.touch(lost, now=NOW + 23 * MINUTE)
    assert await sessions.load(lost, now=NOW + 24 * MINUTE) is None


async def test_a_session_changes_its_ticket_after_an_outage_and_not_after_idleness(forgiving):
    sessions, outages = forgiving
    away(outages, 1, 9)
    for at, changes in ((22 * MINUTE, True), (23 * MINUTE, False)):
        old, _ = await started(sessions)
        new = new_ticket()
        assert await sessions.rotate(old, new, session_for(new), browser=None, now=NOW + at) is changes
