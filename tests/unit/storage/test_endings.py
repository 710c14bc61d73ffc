"""Ended sessions are remembered for as long as they could come back, and other instances are told of them."""

from __future__ import annotations

from datetime import timedelta

from authproxy.identity.session import SessionId
from authproxy.storage.endings import Endings
from tests.support.session_builders import NOW

HOUR = timedelta(hours=1)
ONE, TWO, THREE = map(SessionId, ("one", "two", "three"))


def test_an_ending_is_known_at_once_and_told_once():
    endings = Endings(keeps_for=8 * HOUR)
    endings.add([ONE, TWO, ONE])
    assert ONE in endings
    assert THREE not in endings
    assert endings.untold == [ONE, TWO]
    endings.note_told([ONE], NOW)
    endings.add([ONE])
    assert endings.untold == [TWO]


def test_what_others_have_ended_is_known_and_not_told_again():
    endings = Endings()
    endings.learn([ONE], NOW)
    assert (ONE in endings, endings.untold) == (True, [])


def test_an_ending_is_forgotten_when_the_session_could_not_live_any_more():
    endings = Endings(keeps_for=8 * HOUR)
    endings.add([ONE, TWO])
    endings.note_told([ONE], NOW)
    endings.sweep(NOW + 8 * HOUR - timedelta(seconds=1))
    assert ONE in endings
    endings.sweep(NOW + 8 * HOUR)
    assert ONE not in endings
    assert TWO in endings  # nobody has been told of it


def test_a_store_that_has_forgotten_is_told_everything_again():
    endings = Endings()
    endings.learn([ONE], NOW)
    endings.add([TWO])
    endings.note_told([TWO], NOW)
    endings.tell_again()
    assert endings.untold == endings.every() == [ONE, TWO]


def test_of_too_many_the_oldest_are_forgotten():
    endings = Endings(most=2)
    endings.add([ONE, TWO, THREE])
    assert endings.every() == endings.untold == [TWO, THREE]
    endings.learn([ONE], NOW)
    assert (len(endings), TWO in endings) == (2, False)


def test_that_others_were_told_of_what_is_forgotten_or_came_from_them_changes_nothing():
    endings = Endings(keeps_for=HOUR)
    endings.learn([ONE], NOW)
    endings.note_told([ONE, TWO], NOW + HOUR / 2)
    assert endings.every() == [ONE]
    endings.sweep(NOW + HOUR)
    assert endings.every() == []
