"""What every session store promises, in Redis and in memory."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from authproxy.identity.person import Issuer, MemberId, Person, Subject
from authproxy.identity.session import NO_SESSION, EndedSession
from authproxy.identity.ticket import SessionTicket
from tests.support.people_builders import ANA, CVETKA, DAVID, account, linked
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
    found = await asyncio.gather(
        *(sessions.load(ticket, now=NOW) for ticket in [ticket for ticket, _ in pairs] + strangers)
    )
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


async def reread(sessions, before, now):
    told = asyncio.get_running_loop().create_future()
    sessions.reread(before, now=now, told=told.set_result)
    return await told


async def test_a_session_that_is_read_again_is_the_same_one_until_it_is_active_or_over(sessions):
    ticket, session = await started(sessions, expires_at=NOW + 20 * MINUTE)
    before = await sessions.load(ticket, now=NOW)
    assert await reread(sessions, before, NOW + MINUTE) is before
    await sessions.touch(ticket, now=NOW + 10 * MINUTE)
    after = await reread(sessions, before, NOW + 11 * MINUTE)
    assert after == await sessions.load(ticket, now=NOW + 11 * MINUTE)
    assert (after.session, after.last_active_at) == (session, NOW + 10 * MINUTE)
    assert await reread(sessions, after, session.expires_at - timedelta(milliseconds=1)) is after
    assert await reread(sessions, after, session.expires_at) is None
    await sessions.revoke(session.session_id)
    assert await reread(sessions, after, NOW + 11 * MINUTE) is NO_SESSION


async def test_a_session_whose_person_is_idle_is_not_the_same_when_it_is_read_again(sessions):
    ticket, session = await started(sessions)
    before = await sessions.load(ticket, now=NOW)
    assert await reread(sessions, before, NOW + session.idle_for - timedelta(milliseconds=1)) is before
    assert await reread(sessions, before, NOW + session.idle_for) is None


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
    assert (first.session_id, first.browser, first.last_active_at) == (
        newer.session_id,
        "Firefox, Windows",
        NOW + 2 * MINUTE,
    )
    assert (second.session_id, second.browser, second.last_active_at) == (
        older.session_id,
        "Safari, iOS",
        NOW,
    )
    assert (first.portal, first.method, first.level, first.started_at, first.expires_at) == (
        newer.portal,
        newer.method,
        newer.level,
        newer.started_at,
        newer.expires_at,
    )


async def test_a_summary_names_its_person_and_has_no_number_of_theirs(sessions):
    await started(
        sessions,
        person=Person(
            issuer=ISSUER,
            subject=SUBJECT,
            name="Ana",
            email="ana@example.si",
            phone="+38640123456",
            tax_number="99990008",
        ),
    )
    [summary] = await sessions.summaries(ISSUER, SUBJECT, now=NOW)
    assert summary.person == Person(issuer=ISSUER, subject=SUBJECT, name="Ana")
    assert summary.tax_number == "*****008"
    assert "Ana" not in repr(summary)


async def test_summaries_leave_out_what_is_over(sessions):
    await started(sessions)
    await started(sessions, expires_at=NOW + MINUTE)
    _, session = await started(sessions, idle_for=timedelta(hours=1))
    assert [
        summary.session_id for summary in await sessions.summaries(ISSUER, SUBJECT, now=NOW + 20 * MINUTE)
    ] == [session.session_id]
    assert [summary.session_id async for summary in sessions.all_summaries(now=NOW + 20 * MINUTE)] == [
        session.session_id
    ]


async def test_one_session_is_found_by_its_id_while_it_lives_and_by_the_ids_that_it_had(sessions):
    first, session = await started(sessions)
    assert (await sessions.summary(session.session_id, now=NOW)).session_id == session.session_id
    assert await sessions.summary(session.session_id, now=NOW + session.idle_for) is None
    assert await sessions.summary(new_ticket().session_id, now=NOW) is None
    second, third = new_ticket(), new_ticket()
    for old, new in ((first, second), (second, third)):
        assert await sessions.rotate(old, new, session_for(new), browser=None, now=NOW)
    for ticket in (first, second, third):
        assert (await sessions.summary(ticket.session_id, now=NOW)).session_id == third.session_id
    await sessions.revoke(third.session_id)
    assert await sessions.summary(first.session_id, now=NOW) is None


async def test_nobody_has_sessions_who_never_signed_in(sessions):
    assert await sessions.summaries(ISSUER, SUBJECT, now=NOW) == ()
    assert await sessions.revoke_subject(ISSUER, SUBJECT) == 0
    assert [summary async for summary in sessions.all_summaries(now=NOW)] == []


async def test_operators_see_every_session_exactly_once(sessions):
    for _ in range(12):
        await asyncio.gather(*(started(sessions) for _ in range(100)))
    seen = [summary.session_id async for summary in sessions.all_summaries(now=NOW)]
    assert len(seen) == len(set(seen)) == 1200


async def test_the_sessions_of_a_provider_session_are_found_at_every_portal(sessions):
    _, first = await started(sessions, provider_session="s-1")
    _, second = await started(sessions, provider_session="s-1", portal="b2b", started_at=NOW + MINUTE)
    await started(sessions, provider_session="s-2")
    await started(sessions)
    found = await sessions.of_provider_session(ISSUER, "s-1", now=NOW + 2 * MINUTE)
    assert [summary.session_id for summary in found] == [second.session_id, first.session_id]
    assert {summary.provider_session for summary in found} == {"s-1"}
    assert len(await sessions.summaries(ISSUER, SUBJECT, now=NOW + 2 * MINUTE)) == 4


async def test_the_same_name_of_a_provider_session_elsewhere_is_another(sessions):
    await started(sessions, provider_session="s-1")
    assert await sessions.of_provider_session("https://other.example/", "s-1", now=NOW) == ()
    assert await sessions.of_provider_session(ISSUER, SUBJECT, now=NOW) == ()


async def test_a_provider_session_leads_to_nothing_that_is_over(sessions):
    _, revoked = await started(sessions, provider_session="s-1")
    await started(sessions, provider_session="s-1", expires_at=NOW + MINUTE)
    _, lasting = await started(sessions, provider_session="s-1")
    await sessions.revoke(revoked.session_id)
    found = await sessions.of_provider_session(ISSUER, "s-1", now=NOW + 2 * MINUTE)
    assert [summary.session_id for summary in found] == [lasting.session_id]


async def test_revoking_several_sessions_tells_which_there_were(sessions):
    pairs = [await started(sessions) for _ in range(3)]
    ids = [session.session_id for _, session in pairs]
    await sessions.revoke(ids[0])
    assert await sessions.revoke_all(ids[:2]) == {ids[1]}
    assert [await sessions.load(ticket, now=NOW) is not None for ticket, _ in pairs] == [False, False, True]
    assert await sessions.revoke_all([]) == frozenset()


async def test_a_member_has_all_their_sessions_however_they_signed_in(sessions):
    person = session_for(new_ticket()).person
    _, by_rekono = await started(
        sessions, person=replace(person, member=ANA.member_id), started_at=NOW + MINUTE
    )
    _, by_certificate = await started(sessions, person=ANA.person(Issuer("https://gateway.example/")))
    _, before_the_register = await started(sessions, person=person, started_at=NOW + 2 * MINUTE)
    await started(sessions, person=replace(person, subject=Subject("bojan"), tax_number=ANA.tax_number))
    for session, theirs in (
        (by_rekono, [before_the_register, by_rekono, by_certificate]),
        (by_certificate, [by_rekono, by_certificate]),
        (before_the_register, [before_the_register, by_rekono]),
    ):
        found = await sessions.of_person(session.person, now=NOW + 3 * MINUTE)
        assert [summary.session_id for summary in found] == [each.session_id for each in theirs]


async def test_a_member_is_signed_out_however_they_signed_in(sessions):
    person = session_for(new_ticket()).person
    by_rekono, _ = await started(sessions, person=replace(person, member=ANA.member_id))
    by_certificate, _ = await started(sessions, person=ANA.person(Issuer("https://gateway.example/")))
    before_the_register, _ = await started(
        sessions, person=replace(person, subject=Subject("other"), tax_number=ANA.tax_number)
    )
    without_a_number, _ = await started(
        sessions, person=replace(person, subject=Subject("rekono-ana"), tax_number=None)
    )
    somebody_else, _ = await started(
        sessions, person=replace(person, member=CVETKA.member_id, tax_number=ANA.tax_number)
    )
    assert await sessions.revoke_member(linked(ANA, "rekono-ana")) == 3
    assert await sessions.load(without_a_number, now=NOW) is not None  # the account is at another provider
    assert await sessions.revoke_member(replace(ANA, accounts=(account("rekono-ana", ISSUER),))) == 1
    assert [
        await sessions.load(ticket, now=NOW)
        for ticket in (by_rekono, by_certificate, before_the_register, without_a_number)
    ] == [None] * 4
    assert await sessions.load(somebody_else, now=NOW) is not None
    assert await sessions.revoke_member(DAVID) == 0


async def stepped_up(sessions, old, session, *, now=NOW + MINUTE, browser=None, **changes):
    """A rotation, as after a proof: its ticket, its session, and whether it came about."""
    new = new_ticket()
    proof = replace(session.events[0], method="totp", at=now, source="https://gateway.example/")
    stronger = replace(session, session_id=new.session_id, events=(*session.events, proof), **changes)
    return new, stronger, await sessions.rotate(old, new, stronger, browser=browser, now=now)


async def test_a_rotated_session_is_found_by_its_new_ticket_and_the_old_one_opens_nothing(sessions):
    old, session = await started(sessions)
    new, stronger, is_rotated = await stepped_up(sessions, old, session)
    assert is_rotated
    stored = await sessions.load(new, now=NOW + MINUTE)
    assert (stored.session, stored.last_active_at, stored.session.expires_at) == (
        stronger,
        NOW + MINUTE,
        session.expires_at,
    )
    assert await sessions.load(old, now=NOW + MINUTE) is None
    assert await sessions.load(SessionTicket(new.identifier, old.secret), now=NOW + MINUTE) is None


async def test_a_rotated_session_keeps_the_words_for_its_browser_unless_there_are_others(sessions):
    old, session = await started(sessions, browser="Safari, iOS")
    new, stronger, _ = await stepped_up(sessions, old, session)
    assert [summary.browser for summary in await sessions.summaries(ISSUER, SUBJECT, now=NOW + MINUTE)] == [
        "Safari, iOS"
    ]
    await stepped_up(sessions, new, stronger, browser="Firefox, Linux")
    assert [summary.browser for summary in await sessions.summaries(ISSUER, SUBJECT, now=NOW + MINUTE)] == [
        "Firefox, Linux"
    ]


async def test_a_rotated_session_is_found_by_everything_that_found_the_old_one(sessions):
    person = replace(session_for(new_ticket()).person, member=ANA.member_id)
    old, session = await started(sessions, person=person, provider_session="s-1")
    new, stronger, _ = await stepped_up(sessions, old, session)
    now = NOW + MINUTE
    found = [
        await sessions.summaries(ISSUER, SUBJECT, now=now),
        await sessions.of_person(person, now=now),
        await sessions.of_provider_session(ISSUER, "s-1", now=now),
        [summary async for summary in sessions.all_summaries(now=now)],
    ]
    assert [[summary.session_id for summary in each] for each in found] == [[stronger.session_id]] * 4
    assert await sessions.revoke_member(ANA) == 1
    assert await sessions.load(new, now=now) is None


async def test_rotating_is_activity_and_moves_the_absolute_end_of_nothing(sessions):
    old, session = await started(sessions, expires_at=NOW + 20 * MINUTE)
    new, _, _ = await stepped_up(sessions, old, session, now=NOW + 14 * MINUTE)
    assert await sessions.load(new, now=NOW + 20 * MINUTE - timedelta(milliseconds=1)) is not None
    assert await sessions.load(new, now=NOW + 20 * MINUTE) is None


async def test_a_rotated_session_shows_the_certificates_it_now_rests_on(sessions):
    old, session = await started(sessions)
    by_certificate = replace(session.events[0], method="certificate", source="sha256:" + "a1" * 32)
    await stepped_up(sessions, old, replace(session, events=(by_certificate,)))
    assert [summary.certificates async for summary in sessions.all_summaries(now=NOW + MINUTE)] == [
        ("a1" * 32,)
    ]


@pytest.mark.parametrize("end", ["revoked", "idle", "over", "never"])
async def test_a_session_that_has_ended_is_not_rotated_and_the_new_ticket_opens_nothing(sessions, end):
    old, session = await started(sessions, expires_at=NOW + 10 * MINUTE, idle_for=5 * MINUTE)
    now = NOW + {"idle": 5 * MINUTE, "over": 10 * MINUTE}.get(end, MINUTE)
    if end == "revoked":
        await sessions.revoke(session.session_id)
    if end == "over":
        await sessions.touch(old, now=NOW + 4 * MINUTE)
        await sessions.touch(old, now=NOW + 8 * MINUTE)
    new, _, is_rotated = await stepped_up(sessions, new_ticket() if end == "never" else old, session, now=now)
    assert not is_rotated
    assert await sessions.load(new, now=now) is None
    assert [summary async for summary in sessions.all_summaries(now=now)] == [] or end == "never"


async def test_of_many_rotations_at_once_one_comes_about(sessions):
    old, session = await started(sessions)
    outcomes = await asyncio.gather(*(stepped_up(sessions, old, session) for _ in range(20)))
    winners = [new for new, _, is_rotated in outcomes if is_rotated]
    assert len(winners) == 1
    alive = [new for new, _, _ in outcomes if await sessions.load(new, now=NOW + MINUTE) is not None]
    assert alive == winners


async def test_whoever_ends_a_session_by_its_old_name_ends_what_has_taken_its_place(sessions):
    ticket, session = first, _ = await started(sessions)
    for _ in range(3):
        ticket, session, _ = await stepped_up(sessions, ticket, session)
    assert await sessions.revoke(first.session_id) is True
    assert await sessions.load(ticket, now=NOW + MINUTE) is None
    assert await sessions.revoke(first.session_id) is False


async def test_the_old_and_the_new_name_of_a_session_are_one_session(sessions):
    old, session = await started(sessions)
    other, _ = await started(sessions)
    new, _, _ = await stepped_up(sessions, old, session)
    assert len(await sessions.revoke_all([new.session_id, old.session_id])) == 1
    assert await sessions.load(other, now=NOW + MINUTE) is not None
    assert await sessions.revoke_subject(ISSUER, SUBJECT) == 1


async def test_ending_a_rotated_session_by_its_old_name_says_that_this_one_was_ended(sessions):
    old, session = await started(sessions)
    await stepped_up(sessions, old, session)
    assert await sessions.revoke_all([old.session_id]) == {old.session_id}


async def test_a_session_is_rotated_to_its_own_new_ticket_only(sessions):
    old, session = await started(sessions)
    with pytest.raises(ValueError, match="not the ticket's"):
        await sessions.rotate(old, new_ticket(), session, browser=None, now=NOW)
    assert await sessions.load(old, now=NOW) is not None


# Whose a session was.


async def test_whose_a_session_was_is_known_after_it_has_ended_by_time(sessions):
    person = replace(session_for(new_ticket()).person, member=MemberId("m-1"))
    ticket, session = await started(sessions, person=person)
    over = NOW + session.idle_for
    assert await sessions.load(ticket, now=over) is None
    assert await sessions.whose(ticket, now=over) == EndedSession(
        portal="acq", person=Person(issuer=ISSUER, subject=SUBJECT, member=MemberId("m-1"))
    )


@pytest.mark.parametrize("end", ["its id", "its subject"])
async def test_of_a_session_that_somebody_has_ended_nothing_is_known(sessions, end):
    ticket, session = await started(sessions)
    await (
        sessions.revoke(session.session_id) if end == "its id" else sessions.revoke_subject(ISSUER, SUBJECT)
    )
    assert await sessions.whose(ticket, now=NOW + MINUTE) is None


async def test_only_the_ticket_says_whose_the_session_was(sessions):
    ticket, session = await started(sessions)
    over = NOW + session.idle_for
    assert await sessions.whose(SessionTicket(ticket.identifier, bytes(32)), now=over) is None
    assert await sessions.whose(new_ticket(), now=over) is None


async def test_after_a_change_of_the_ticket_only_the_new_one_says_whose_the_session_was(sessions):
    old, session = await started(sessions)
    new, _, is_rotated = await stepped_up(sessions, old, session)
    over = NOW + 2 * session.idle_for
    assert is_rotated
    assert await sessions.whose(old, now=over) is None
    assert (await sessions.whose(new, now=over)).person.subject == SUBJECT


async def test_whoever_ends_a_session_that_has_ended_by_time_makes_it_forgotten(sessions):
    """Whoever signs in next in the same browser ends the session that it had."""
    ticket, session = await started(sessions)
    over = NOW + session.idle_for
    assert await sessions.load(ticket, now=over) is None
    await sessions.revoke(session.session_id)
    assert await sessions.whose(ticket, now=over) is None


async def test_activity_makes_nobody_known_whose_session_was_ended(sessions):
    ticket, session = await started(sessions)
    await sessions.revoke(session.session_id)
    await sessions.touch(ticket, now=NOW + MINUTE)
    assert await sessions.whose(ticket, now=NOW + MINUTE) is None
