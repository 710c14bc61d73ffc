"""Workers see in shared memory who has fewest connections."""

from __future__ import annotations

import os

from authproxy.edge.client.occupancy import Occupancy


def seats(*counts):
    occupancy = Occupancy()
    taken = [occupancy.take_seat() for _ in counts]
    for seat, count in zip(taken, counts, strict=True):
        if count is not None:
            seat.say(count)
    return taken


def ahead(*counts):
    return [seat.may_take() == 0 for seat in seats(*counts)]


def test_whoever_has_more_than_another_is_ahead():
    assert ahead(1, 0) == [True, False]
    assert ahead(0, 0) == [False, False]
    assert ahead(3, 2, 3) == [True, False, True]


def test_whoever_has_fewest_takes_as_many_as_bring_it_level():
    assert [seat.may_take() for seat in seats(0, 20, 20)] == [21, 0, 0]
    assert [seat.may_take() for seat in seats(20, 20)] == [1, 1]


def test_of_many_connections_a_few_more_are_even_enough():
    assert ahead(103, 100) == [False, False]
    assert ahead(120, 100) == [True, False]


def test_somebody_who_does_not_accept_yet_or_any_more_keeps_nobody_from_accepting():
    assert ahead(5, None) == [False, False]
    one, other = seats(5, 0)
    other.leave()
    other.say(0)
    assert one.may_take()


def test_somebody_alone_is_never_ahead():
    assert ahead(1000) == [False]


def test_a_seat_is_given_again_when_its_worker_has_ended():
    occupancy = Occupancy()
    taken = [occupancy.take_seat() for _ in range(256)]
    assert None not in taken
    assert occupancy.take_seat() is None
    taken[7].say(3)
    occupancy.free(taken[7])
    again = occupancy.take_seat()
    assert again.at == taken[7].at
    assert taken[0].may_take()


def test_processes_that_were_forked_see_each_other():
    mine, others = seats(2, 2)
    assert mine.may_take()
    child = os.fork()
    if not child:
        others.say(0)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert not mine.may_take()
