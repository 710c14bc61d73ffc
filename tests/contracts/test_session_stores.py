"""What every session store promises, whatever it is made of."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from authproxy.identity.person import Subject
from authproxy.identity.ticket import SessionTicket
from tests.support.session_builders import ISSUER, NOW, SUBJECT, new_ticket, session_for

MINUTE = timedelta(minutes=1)


async def started(sessions, *, now=NOW, browser="Firefox, Windows", **changes):
    ticket = new_ticket()
    session = session_for(ticket, **changes)
    await sessions.create(ticket, session, browser=browser, now=now)
    return ticket, session


async def test_a_created_session_is_found_whole_by_its_ticket(sessions):
    ticket, session = await started(sessions)
    stored = await sessions.load(ticket, now=NOW + MINUTE)
    assert stored.session == session
    assert stored.last_active_at == NOW


async def test_a_ticket_that_was_never_given_out_finds_nothing(sessions):
    await started(sessions)
    assert await sessions.load(new_ticket(), now=NOW) is None


async def test_the_right_identifier_with_a_wrong_secret_finds_nothing(sessions):
    ticket, _ = await started(sessions)
    forged = SessionTicket(ticket.identifier, bytes(32))
    assert await sessions.load(forged, now=NOW) is None
    assert await sessions.load(ticket, now=NOW) is not None


async def test_a_session_cannot_be_stored_under_the_ticket_of_another(sessions):
    with pytest.raises(ValueError, match="not the ticket's"):
        await sessions.create(new_ticket(), session_for(new_ticket()), browser="", now=NOW)


async def test_many_sessions_read_at_once_each_get_their_own_answer(sessions):
    pairs = [await started(sessions) for _ in range(40)]
    strangers = [new_ticket() for _ in range(10)]
    found = await asyncio.gather(*(sessions.load(ticket, now=NOW) for ticket in [ticket for ticket, _ in pairs] + strangers))
    assert [stored.session for stored in found[:40]] == [session for _, session in pairs]
    assert found[40:] == [None] * 10


async def test_a_reader_that_goes_away_takes_nothing_from_those_who_read_with_it(sessions):
    ticket, session = await started(sessions)
    impatient = asyncio.ensure_future(sessions.load(ticket, now=NOW))
    patient = asyncio.ensure_future(sessions.load(ticket, now=NOW))
    await asyncio.sleep(0)
    impatient.cancel()
    assert (await patient).session == session


async def test_a_session_ends_when_its_idle_time_has_passed(sessions):
    ticket, session = await started(sessions)
    assert await sessions.load(ticket, now=NOW + session.idle_for - timedelta(milliseconds=1)) is not None
    assert await sessions.load(ticket, now=NOW + session.idle_for) is None


async def test_activity_moves_the_idle_end_and_loading_does_not(sessions):
    ticket, _ = await started(sessions)
    await sessions.load(ticket, now=NOW + 10 * MINUTE)
    assert (await sessions.load(ticket, now=NOW + 14 * MINUTE)).last_active_at == NOW
    await sessions.touch(ticket, now=NOW + 14 * MINUTE)
    assert (await sessions.load(ticket, now=NOW + 28 * MINUTE)).last_active_at == NOW + 14 * MINUTE


async def test_no_activity_moves_the_absolute_end(sessions):
    ticket, session = await started(sessions, expires_at=NOW + 20 * MINUTE)
    await sessions.touch(ticket, now=NOW + 10 * MINUTE)
    await sessions.touch(ticket, now=NOW + 19 * MINUTE)
    assert await sessions.load(ticket, now=session.expires_at - timedelta(milliseconds=1)) is not None
    assert await sessions.load(ticket, now=session.expires_at) is None


async def test_a_late_touch_does_not_wake_a_session_that_is_over(sessions):
    ticket, session = await started(sessions)
    await sessions.touch(ticket, now=NOW + session.idle_for)
    assert await sessions.load(ticket, now=NOW + session.idle_for) is None
    assert (await sessions.load(ticket, now=NOW + MINUTE)).last_active_at == NOW


async def test_a_touch_by_an_instance_whose_clock_is_behind_takes_no_time_away(sessions):
    ticket, _ = await started(sessions)
    await sessions.touch(ticket, now=NOW + 5 * MINUTE)
    await sessions.touch(ticket, now=NOW + 2 * MINUTE)
    assert (await sessions.load(ticket, now=NOW + 6 * MINUTE)).last_active_at == NOW + 5 * MINUTE


async def test_a_revoked_session_is_not_found_and_no_touch_brings_it_back(sessions):
    ticket, session = await started(sessions)
    assert await sessions.revoke(session.session_id) is True
    await sessions.touch(ticket, now=NOW + MINUTE)
    assert await sessions.load(ticket, now=NOW + MINUTE) is None
    assert await sessions.revoke(session.session_id) is False
    assert await sessions.summaries(ISSUER, SUBJECT, now=NOW) == ()


async def test_revoking_a_subject_ends_all_its_sessions_and_nobody_elses(sessions):
    hers = [await started(sessions) for _ in range(3)]
    person = session_for(new_ticket()).person
    his, _ = await started(sessions, person=replace(person, subject=Subject("bojan")))
    same_name_elsewhere, _ = await started(sessions, person=replace(person, issuer="https://other.example/"))
    assert await sessions.revoke_subject(ISSUER, SUBJECT) == 3
    assert [await sessions.load(ticket, now=NOW) for ticket, _ in hers] == [None] * 3
    assert await sessions.load(his, now=NOW) is not None
    assert await sessions.load(same_name_elsewhere, now=NOW) is not None
    assert await sessions.revoke_subject(ISSUER, SUBJECT) == 0


async def test_the_subject_is_still_reached_after_one_of_its_sessions_has_died(sessions):
    first, session = await started(sessions)
    second, _ = await started(sessions)
    await sessions.revoke(session.session_id)
    third, _ = await started(sessions)
    assert await sessions.revoke_subject(ISSUER, SUBJECT) == 2
    assert [await sessions.load(ticket, now=NOW) for ticket in (first, second, third)] == [None] * 3


async def test_more_than_a_thousand_sessions_of_one_subject_are_all_revoked(sessions):
    await asyncio.gather(*(started(sessions) for _ in range(100)))
    for _ in range(10):
        await asyncio.gather(*(started(sessions) for _ in range(100)))
    assert len(await sessions.summaries(ISSUER, SUBJECT, now=NOW)) == 1100
    assert await sessions.revoke_subject(ISSUER, SUBJECT) == 1100


async def test_summaries_tell_what_a_person_may_see_newest_first(sessions):
    _, older = await started(sessions, browser="Safari, iOS")
    ticket, newer = await started(sessions, started_at=NOW + MINUTE, now=NOW + MINUTE)
    await sessions.touch(ticket, now=NOW + 2 * MINUTE)
    first, second = await sessions.summaries(ISSUER, SUBJECT, now=NOW + 3 * MINUTE)
    assert (first.session_id, first.browser, first.last_active_at) == (newer.session_id, "Firefox, Windows", NOW + 2 * MINUTE)
    assert (second.session_id, second.browser, second.last_active_at) == (older.session_id, "Safari, iOS", NOW)
    assert (first.portal, first.method, first.level, first.started_at, first.expires_at) == (
        newer.portal, newer.method, newer.level, newer.started_at, newer.expires_at,
    )  # fmt: skip


async def test_summaries_leave_out_what_is_over(sessions):
    await started(sessions)
    await started(sessions, expires_at=NOW + MINUTE)
    _, session = await started(sessions, idle_for=timedelta(hours=1))
    assert [summary.session_id for summary in await sessions.summaries(ISSUER, SUBJECT, now=NOW + 20 * MINUTE)] == [session.session_id]
    assert [summary.session_id async for summary in sessions.all_summaries(now=NOW + 20 * MINUTE)] == [session.session_id]


async def test_nobody_has_sessions_who_never_signed_in(sessions):
    assert await sessions.summaries(ISSUER, SUBJECT, now=NOW) == ()
    assert await sessions.revoke_subject(ISSUER, SUBJECT) == 0
    assert [summary async for summary in sessions.all_summaries(now=NOW)] == []


async def test_operators_see_every_session_exactly_once(sessions):
    for _ in range(12):
        await asyncio.gather(*(started(sessions) for _ in range(100)))
    seen = [summary.session_id async for summary in sessions.all_summaries(now=NOW)]
    assert len(seen) == len(set(seen)) == 1200
