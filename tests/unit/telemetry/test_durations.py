"""Durations land in the bucket whose bound they do not exceed."""

from __future__ import annotations

import pytest

from authproxy.telemetry.durations import BOUNDS, Durations, Tally


@pytest.mark.parametrize(
    ("seconds", "place"),
    [(0.0, 0), (0.001, 0), (0.0011, 1), (BOUNDS[-1], len(BOUNDS) - 1), (BOUNDS[-1] + 1, len(BOUNDS))],
)
def test_a_duration_is_counted_under_the_first_bound_that_it_does_not_exceed(seconds, place):
    durations = Durations()
    durations.observe(seconds)
    assert [at for at, count in enumerate(durations.counts) if count] == [place]
    assert durations.total == seconds


def test_a_tally_begins_at_nothing():
    assert Tally().count == 0
