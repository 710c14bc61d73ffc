"""How many client connections each worker has, in memory that all workers share, so that new ones go to
the worker that has fewest.

All workers wait at the same listening sockets, and the one that wakes up first accepts: of 64 connections one
of two workers had up to 52. The kernel has no better way for us. With sockets of their own (SO_REUSEPORT) it
divides by chance, resets what waits at a socket that is closed, and knows none of it for Unix sockets.
"""

from __future__ import annotations

import mmap
from typing import Final

AT_ONCE: Final = 128
"""Connections that are accepted in one turn of the loop."""
_SEATS: Final = 256
"""Twice as many workers as there may be, for two generations during a reload, and room to spare."""
_WIDTH: Final = 8


class Seat:
    """Where one worker says how many connections it has. Only this worker writes here."""

    def __init__(self, counts: memoryview, at: int) -> None:
        self._counts = counts
        self._has_left = False
        self.at = at

    def say(self, count: int) -> None:
        if not self._has_left:
            self._counts[self.at] = count + 1

    def leave(self) -> None:
        """For a worker that accepts nothing any more: nobody leaves a connection to it."""
        self._has_left = True
        self._counts[self.at] = 0

    def may_take(self) -> int:
        """How many connections this worker may accept now: none if another one that accepts has clearly fewer
        (of many, a sixteenth more is even enough), otherwise until it has one more than the others."""
        mine, fewest = int(self._counts[self.at]), 0
        for at, taken in enumerate(self._counts):
            if at != self.at and taken > 0 and (fewest == 0 or taken < fewest):
                fewest = taken
        if fewest == 0:
            return AT_ONCE
        if fewest + fewest // 16 < mine:
            return 0
        return min(max(fewest - mine, 0) + 1, AT_ONCE)


class Occupancy:
    """The seats of all workers. Made by their parent, which gives each worker one before it forks, and takes
    it back when the worker has ended."""

    def __init__(self) -> None:
        # Zero is a seat of nobody, or of somebody who does not accept; others have one more than their count.
        self._counts = memoryview(mmap.mmap(-1, _SEATS * _WIDTH)).cast("q")
        self._taken: set[int] = set()

    def take_seat(self) -> Seat | None:
        """A free seat; None if there is none. A worker without a seat accepts whatever it can."""
        for at in range(_SEATS):
            if at not in self._taken:
                self._taken.add(at)
                return Seat(self._counts, at)
        return None

    def free(self, seat: Seat | None) -> None:
        if seat is not None:
            seat.leave()
            self._taken.discard(seat.at)
