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


def test_each_block_is_twice_as_long_as_the_one_before_up_to_the_longest():
    rules = retention.BlockRules(after=5, lasts=timedelta(minutes=15), at_most=timedelta(hours=1))
    assert [rules.block_lasts(earlier) / timedelta(minutes=15) for earlier in (0, 1, 2, 3, 10_000)] == [
        1,
        2,
        4,
        4,
        4,
    ]
