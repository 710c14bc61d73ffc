from __future__ import annotations

from datetime import timedelta

from authproxy.storage import retention
from tests.support.session_builders import NOW

MOMENT = timedelta(microseconds=1)


def test_recent_is_less_than_a_minute_ago():
    ages = [
        timedelta(0),
        timedelta(seconds=30),
        timedelta(seconds=60) - MOMENT,
        timedelta(seconds=60),
        timedelta(hours=1),
    ]
    assert retention.recent([NOW - age for age in ages], NOW) == 3


def test_a_sign_in_noted_by_a_clock_that_is_ahead_counts():
    assert retention.recent([NOW + timedelta(seconds=2)], NOW) == 1
