"""The clock of requests is read once in a turn of the loop."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from authproxy.edge.site import TurnClock

BEGIN = datetime(2026, 11, 30, 9, 0, tzinfo=UTC)


def test_it_stands_still_as_long_as_the_loops_time_does_and_is_right_in_the_next_turn():
    turns = iter((1.0, 1.0, 1.0, 2.0, 2.0, 3.0))
    readings = iter((BEGIN, BEGIN + timedelta(seconds=5), BEGIN - timedelta(hours=1)))
    clock = TurnClock(lambda: next(readings), lambda: next(turns))
    later, set_back = BEGIN + timedelta(seconds=5), BEGIN - timedelta(hours=1)
    assert [clock() for _ in range(5)] == [BEGIN, BEGIN, later, later, set_back]
