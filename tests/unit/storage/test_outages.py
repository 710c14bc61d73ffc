"""How much of an outage does not count as idleness: properties that hold for every order of events."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from authproxy.identity.session import SessionId
from authproxy.storage.outages import NOTICED_WITHIN, Outage, Outages
from tests.support.session_builders import NOW

SECOND = timedelta(seconds=1)
TEN_MINUTES = timedelta(minutes=10)
IDLE = timedelta(minutes=15)
moments = st.integers(0, 7200).map(lambda seconds: NOW + seconds * SECOND)
spans = st.integers(0, 1800).map(lambda seconds: seconds * SECOND)
outages = st.builds(lambda began, lasted: Outage(began, began + lasted), moments, spans)
several = st.lists(outages, max_size=6)


def knowing(known, forgives=TEN_MINUTES):
    made = Outages(forgives=forgives)
    made.learn(known, NOW)
    return made


def idle_time(known, seen, now):
    return now - seen - known.forgiven(seen, now)


@given(several, moments, spans, spans)
def test_idle_time_never_shrinks_as_time_goes_on(known, seen, first, second):
    known = knowing(known)
    assert idle_time(known, seen, seen + first) <= idle_time(known, seen, seen + first + second)


@given(several, moments, spans, spans)
def test_who_was_active_later_is_idle_for_no_longer(known, seen, later, since):
    known = knowing(known)
    now = seen + later + since
    assert idle_time(known, seen + later, now) <= idle_time(known, seen, now)


@given(several, moments, spans, spans)
def test_no_more_is_forgiven_than_is_allowed_and_than_has_passed(known, seen, since, forgives):
    forgiven = knowing(known, forgives).forgiven(seen, seen + since)
    assert timedelta() <= forgiven <= min(since, forgives)


@given(several, moments, spans)
def test_whatever_lies_in_an_outage_is_forgiven_and_nothing_else(known, seen, since):
    seconds = [seen + number * SECOND for number in range(int(since / SECOND))]
    unknown = sum(any(outage.began_at <= at < outage.ended_at for outage in known) for at in seconds)
    assert knowing(known).forgiven(seen, seen + since) == min(unknown * SECOND, TEN_MINUTES)


@given(several, moments, moments, st.randoms())
def test_in_whatever_order_and_however_often_outages_are_heard_of_the_judgement_is_the_same(
    known, seen, now, random
):
    again = [*known, *known]
    random.shuffle(again)
    one, other = knowing(known), Outages(forgives=TEN_MINUTES)
    for each in again:
        other.learn([each], NOW)
    assert one.forgiven(seen, now) == other.forgiven(seen, now)
    assert one.spans(now) == other.spans(now) == sorted(one.spans(now))


@given(outages, spans, spans)
def test_whoever_was_idle_before_an_outage_stays_so_whatever_is_heard_of_it_later(outage, before, after):
    seen = outage.began_at - IDLE - before
    assert idle_time(knowing([outage]), seen, outage.began_at + after) >= IDLE


@given(spans, st.integers(0, 600), spans)
def test_after_an_outage_that_is_forgiven_whole_people_are_as_idle_as_if_it_had_not_been(
    before, lasted, after
):
    outage = Outage(NOW, NOW + lasted * SECOND)
    assert idle_time(knowing([outage]), outage.began_at - before, outage.ended_at + after) == before + after


def test_an_outage_begins_with_the_last_write_that_was_taken_and_ends_with_the_next():
    known = Outages(forgives=TEN_MINUTES)
    known.note_write(NOW)
    known.note_failure(NOW + SECOND)
    known.note_failure(NOW + 2 * SECOND)
    assert known.is_failing
    assert known.current(NOW + 60 * SECOND) == Outage(NOW, NOW + 60 * SECOND)
    assert known.forgiven(NOW - 60 * SECOND, NOW + 60 * SECOND) == 60 * SECOND
    known.note_write(NOW + 90 * SECOND)
    assert known.current(NOW + 91 * SECOND) is None
    assert known.forgiven(NOW - 60 * SECOND, NOW + 200 * SECOND) == 90 * SECOND


def test_an_outage_that_is_noticed_late_begins_shortly_before():
    known = Outages(forgives=TEN_MINUTES)
    known.note_write(NOW)
    known.note_failure(NOW + timedelta(hours=1))
    assert known.forgiven(NOW, NOW + timedelta(hours=1)) == NOTICED_WITHIN


def test_an_outage_noticed_by_a_clock_that_was_set_back_has_no_length():
    known = Outages(forgives=TEN_MINUTES)
    known.note_write(NOW)
    known.note_failure(NOW - timedelta(hours=1))
    known.note_write(NOW - timedelta(minutes=59))
    assert known.forgiven(NOW - timedelta(hours=2), NOW) == timedelta(minutes=1)


def test_nothing_is_forgiven_where_that_is_switched_off():
    known = knowing([Outage(NOW, NOW + TEN_MINUTES)], forgives=timedelta())
    assert (known.forgiven(NOW, NOW + TEN_MINUTES), known.spans(NOW + TEN_MINUTES)) == (timedelta(), [])


def test_outages_longer_ago_than_any_session_may_be_idle_are_forgotten():
    known = knowing([Outage(NOW - timedelta(hours=28), NOW - timedelta(hours=27)), Outage(NOW, NOW + SECOND)])
    assert len(known.spans(NOW + SECOND)) == 2


def test_a_handful_of_sessions_is_suspected_until_the_store_can_be_asked_about_them():
    known = Outages(forgives=TEN_MINUTES)
    for number in range(100):
        known.note_failure(NOW, SessionId(f"session-{number}"))
    assert len(known.suspects) == 8
    known.note_write(NOW + SECOND)
    assert known.suspects == ()
