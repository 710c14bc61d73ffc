"""Lines leave the gateway here, by a thread of their own: whoever writes a line never waits for a disk, a
pipe or a reader, and never hears of a failure. What cannot be written in time is lost, counted, and told of
once the stream takes lines again.
"""

from __future__ import annotations

import contextlib
import os
import queue
import select
import threading
import time
from collections.abc import Callable, Mapping
from typing import Final

LARGEST: Final = 16 * 1024 * 1024
"""Octets that wait at most: about forty thousand access lines."""
_SHARES: Final[Mapping[str, float]] = {"access": 0.5, "log": 0.75}
"""How much of the room a stream may fill: a flood of access lines leaves room for events, and those leave
room for the audit trail."""

_SLOWEST: Final = 1.0
Settled = Callable[[bool], object]


class Appending:
    """A descriptor that lines are appended to. If only a part of a line was taken, the next line begins on a
    line of its own."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._is_torn = False

    def write(self, octets: bytes) -> None:
        """Writes whole lines; each call is one system call as long as the system takes everything at once, so
        that lines of several processes do not mix. Waits for a pipe whose reader is slow. Raises OSError."""
        if self._is_torn:
            octets = b"\n" + octets
        rest = memoryview(octets)
        while rest:
            try:
                written = os.write(self._descriptor, rest)
            except BlockingIOError:
                # Whoever started us has given us a descriptor that does not block.
                ready = select.poll()
                ready.register(self._descriptor, select.POLLOUT)
                ready.poll()
                continue
            self._is_torn = written < len(rest)
            rest = rest[written:]


def to_nowhere(_octets: bytes) -> None:
    """Stands in for a stream that was closed before the gateway began."""
    raise OSError(9, "the stream is closed")


class LineWriter:
    """Takes lines at any time, from any thread, and gives them to `write` in a thread of its own.

    `told` makes the line that says how many were lost, by stream. `on_loss` hears of each text that is lost:
    stream, text and why (None: no room); whichever thread finds out calls it. The thread begins with the
    first line, and ends with `close`.
    """

    def __init__(
        self,
        write: Callable[[bytes], object],
        *,
        told: Callable[[Mapping[str, int]], str],
        on_loss: Callable[[str, str, OSError | None], None] | None = None,
        largest: int = LARGEST,
    ) -> None:
        self._write = write
        self._told = told
        self._on_loss = on_loss
        self._largest = largest
        self._waiting: queue.SimpleQueue[tuple[str, str, Settled | None] | Callable[[], object] | None] = (
            queue.SimpleQueue()
        )
        # A destructor may run in the middle of this code, warn, and so log in the same thread: the lock must
        # be reentrant.
        self._lock = threading.RLock()
        self._octets = 0
        self._thread: threading.Thread | None = None
        self._is_closed = False
        self._untold: dict[str, int] = {}
        self.lost: dict[str, int] = {}
        """Lines lost since the start, by stream."""
        self.is_failing = False
        """Whether the last line could not be written, or there was no room for it."""
        self._without_room: set[str] = set()
        self._is_broken = False
        self._began_at: float | None = None

    @property
    def is_stuck(self) -> bool:
        """Whether one line has been on its way for more than a second: its reader has stopped, or its disk
        hangs."""
        began_at = self._began_at
        return began_at is not None and time.monotonic() - began_at > _SLOWEST

    def fails(self, stream: str) -> bool:
        """Whether a line of this stream would probably be lost now. That another stream has filled its own
        share is no reason."""
        return self._is_broken or stream in self._without_room

    def write(self, text: str, *, stream: str = "log", settled: Settled | None = None) -> None:
        """Takes one or more whole lines. `settled` is called once, by another thread perhaps: True when they
        have been written."""
        size = len(text)
        with self._lock:
            is_taken = not self._is_closed and self._octets + size <= self._largest * _SHARES.get(stream, 1.0)
            if is_taken:
                self._octets += size
                self._begin()
        if is_taken:
            self._waiting.put((text, stream, settled))
        else:
            self._lose(text, stream, None)
            _settle(settled, is_written=False)

    def stream(self, name: str) -> Callable[[str], None]:
        """`write` for one stream."""
        return lambda text: self.write(text, stream=name)

    def between_lines(self, act: Callable[[], object]) -> None:
        """Has the thread do something after the lines that wait, such as going on in another file. It must
        not raise."""
        with self._lock:
            if self._is_closed:
                return
            self._begin()
        self._waiting.put(act)

    def retry(self) -> None:
        """Finds out, where lines were lost, whether the stream takes lines again."""
        if self.is_failing:
            self.between_lines(self._tell)

    def flush(self, within: float) -> bool:
        """Waits until what has been taken so far is written or lost, at most so many seconds; whether that
        came about."""
        reached = threading.Event()
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                return True
        self._waiting.put(reached.set)
        return reached.wait(within)

    def close(self, within: float) -> bool:
        """Writes what waits, for at most so many seconds; whether the thread has ended. Whatever comes later
        is lost."""
        with self._lock:
            self._is_closed = True
            thread = self._thread
        if thread is None:
            return True
        self._waiting.put(None)
        thread.join(within)
        return not thread.is_alive()

    def _begin(self) -> None:
        if self._thread is None:
            # A daemon: the process ends though the thread may be stuck in a system call.
            self._thread = threading.Thread(target=self._run, name="lines", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while True:
            taken = self._waiting.get()
            if taken is None:
                return
            # An exception would end this thread, and every later line would wait for ever.
            with contextlib.suppress(Exception):
                if callable(taken):
                    taken()
                else:
                    self._pass_on(*taken)

    def _pass_on(self, text: str, stream: str, settled: Settled | None) -> None:
        failure = self._failure_of(text)
        with self._lock:
            self._octets -= len(text)
        if failure is not None:
            self._lose(text, stream, failure)
        else:
            self.is_failing = self._is_broken = False
            self._without_room.clear()
            self._tell()
        _settle(settled, is_written=failure is None)

    def _failure_of(self, text: str) -> OSError | None:
        self._began_at = time.monotonic()
        try:
            self._write(text.encode("utf-8", "backslashreplace"))
        except OSError as failure:
            return failure
        finally:
            self._began_at = None
        return None

    def _tell(self) -> None:
        """Says how many lines were lost, unless that has been said."""
        with self._lock:
            untold, self._untold = self._untold, {}
        if not untold:
            return
        self.is_failing = self._is_broken = self._failure_of(self._told(untold)) is not None
        if not self.is_failing:
            self._without_room.clear()
        else:
            with self._lock:
                for stream, lines in untold.items():
                    self._untold[stream] = self._untold.get(stream, 0) + lines

    def _lose(self, text: str, stream: str, failure: OSError | None) -> None:
        lines = text.count("\n")
        with self._lock:
            self.is_failing = True
            if failure is None:
                self._without_room.add(stream)
            else:
                self._is_broken = True
            self.lost[stream] = self.lost.get(stream, 0) + lines
            self._untold[stream] = self._untold.get(stream, 0) + lines
        if self._on_loss is not None:
            self._on_loss(stream, text, failure)


def _settle(settled: Settled | None, *, is_written: bool) -> None:
    if settled is not None:
        settled(is_written)
