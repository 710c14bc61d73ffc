from __future__ import annotations

from datetime import timedelta

from authproxy.storage import retention
from tests.support.session_builders import NOW, attempt_of

MOMENT = timedelta(microseconds=1)


def test_an_attempt_is_kept_for_a_day():
    attempt = attempt_of("browser")
    assert retention.is_kept(attempt, NOW + timedelta(days=1) - MOMENT)
    assert not retention.is_kept(attempt, NOW + timedelta(days=1))


def test_recent_is_less_than_a_minute_ago():
    ages = [timedelta(0), timedelta(seconds=30), timedelta(seconds=60) - MOMENT, timedelta(seconds=60), timedelta(hours=1)]
    assert retention.recent([NOW - age for age in ages], NOW) == 3


def test_a_sign_in_noted_by_a_clock_that_is_ahead_counts():
    assert retention.recent([NOW + timedelta(seconds=2)], NOW) == 1
