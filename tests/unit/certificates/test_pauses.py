"""How long a source that did not answer is left alone."""

from __future__ import annotations

from datetime import timedelta

from authproxy.certificates.pauses import LONGEST, Pauses
from tests.support.certificate_builder import at


def test_pauses_begin_short_and_grow_to_half_a_minute():
    pauses, now, found = Pauses(), at(), []
    for _ in range(7):
        pauses.failed(asked_at=now, now=now)
        found.append(pauses.pause.total_seconds())
        now += timedelta(seconds=60)
    assert found == [1, 2, 4, 8, 16, 30, 30]
    pauses.answered()
    assert (pauses.pause, pauses.is_resting(now)) == (timedelta(0), False)


def test_failures_of_simultaneous_questions_count_once():
    pauses = Pauses()
    for _ in range(5):
        pauses.failed(asked_at=at(), now=at(seconds=4))
    assert pauses.in_a_row == 1


def test_a_clock_that_is_set_back_ends_the_pause():
    pauses = Pauses()
    pauses.failed(asked_at=at(), now=at())
    assert [pauses.is_resting(at(seconds=each)) for each in (-1, 0, 0.9, 1)] == [False, True, True, False]
    assert pauses.pause < LONGEST
