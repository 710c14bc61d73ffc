"""Writes lines in a thread of its own, so that no caller waits for a disk, a pipe or a reader, or fails
because of one. Lines that cannot be written in time are lost and counted. A line that reports the loss
follows when the stream takes lines again."""

from __future__ import annotations

import contextlib
import os
import queue
import select
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Final

LARGEST: Final = 16 * 1024 * 1024
"""Bytes that may wait: about forty thousand access lines."""
_SHARES: Final[Mapping[str, float]] = {"access": 0.5, "log": 0.75}
"""The share of that space which a stream may fill. A flood of access lines leaves space for log lines, and
those leave space for the audit trail."""

_STUCK_AFTER: Final = 1.0
Settled = Callable[[bool], object]


class Appending:
    """A descriptor to which lines are appended. If only a part of a line could be written, the next line
    still begins on a new line."""

    def __init__(self, descriptor: int, *, at_once: int = sys.maxsize) -> None:
        """`at_once` is how many bytes the system writes without mixing them with those of other processes,
        if there are some: for a pipe with little room these are PIPE_BUF (pipe(7))."""
        self._descriptor = descriptor
        self._at_once = at_once
        self._is_torn = False

    def write(self, octets: bytes) -> None:
        """Writes whole lines. If the system takes everything at once, a call is one system call, so that
        lines of several processes do not mix. Waits for a slow reader of a pipe. Raises OSError."""
        for lines in portions(octets, self._at_once) if len(octets) > self._at_once else (octets,):
            self._write(lines)

    def _write(self, octets: bytes) -> None:
        if self._is_torn:
            octets = b"\n" + octets
        rest = memoryview(octets)
        while rest:
            try:
                written = os.write(self._descriptor, rest)
            except BlockingIOError:
                # The process was started with a non-blocking descriptor.
                ready = select.poll()
                ready.register(self._descriptor, select.POLLOUT)
                ready.poll()
                continue
            self._is_torn = written < len(rest)
            rest = rest[written:]


def portions(octets: bytes, largest: int) -> Iterator[bytes]:
    """The same lines in portions of whole lines. A portion is larger only if it is a single line."""
    begin = 0
    while len(octets) - begin > largest:
        end = octets.rfind(b"\n", begin, begin + largest) + 1 or octets.find(b"\n", begin) + 1 or len(octets)
        yield octets[begin:end]
        begin = end
    if begin < len(octets):
        yield octets[begin:]


def to_nowhere(_octets: bytes) -> None:
    """Replaces a stream that was closed when the gateway started."""
    raise OSError(9, "the stream is closed")


class LineWriter:
    """Takes lines from any thread and passes them to `write` in a thread of its own.

    `loss_line` makes the line that reports how many lines were lost, per stream. `on_loss` is called for each
    lost text with stream, text and error (None: no space), by the thread that notices. The thread starts with
    the first line and ends with `close`.
    """

    def __init__(
        self,
        write: Callable[[bytes], object],
        *,
        loss_line: Callable[[Mapping[str, int]], str],
        on_loss: Callable[[str, str, OSError | None], None] | None = None,
        largest: int = LARGEST,
    ) -> None:
        self._write = write
        self._loss_line = loss_line
        self._on_loss = on_loss
        self._largest = largest
        self._queue: queue.SimpleQueue[tuple[str, str, Settled | None] | Callable[[], object] | None] = (
            queue.SimpleQueue()
        )
        # A destructor may run in the middle of this code and log a warning in the same thread: the lock must
        # be reentrant.
        self._lock = threading.RLock()
        self._waiting_bytes = 0
        self._thread: threading.Thread | None = None
        self._is_closed = False
        self._unreported: dict[str, int] = {}
        self.lost: dict[str, int] = {}
        """Lines lost since the start, by stream."""
        self.is_failing = False
        """Whether the last line could not be written or found no space."""
        self._without_room: set[str] = set()
        self._is_broken = False
        self._began_at: float | None = None

    @property
    def is_stuck(self) -> bool:
        """Whether one write has been under way for more than a second, because its reader has stopped or its
        disk hangs."""
        began_at = self._began_at
        return began_at is not None and time.monotonic() - began_at > _STUCK_AFTER

    def fails(self, stream: str) -> bool:
        """Whether a line of this stream would probably be lost now. It does not matter that another stream
        has filled its share."""
        return self._is_broken or stream in self._without_room

    def write(self, text: str, *, stream: str = "log", settled: Settled | None = None) -> None:
        """Queues one or more whole lines. `settled` is called once, perhaps by another thread: with True if
        they have been written."""
        size = len(text)
        with self._lock:
            is_taken = not self._is_closed and self._waiting_bytes + size <= self._largest * _SHARES.get(
                stream, 1.0
            )
            if is_taken:
                self._waiting_bytes += size
                self._start_thread()
        if is_taken:
            self._queue.put((text, stream, settled))
        else:
            self._lose(text, stream, None)
            _settle(settled, is_written=False)

    def stream(self, name: str) -> Callable[[str], None]:
        """`write` for one stream."""
        return lambda text: self.write(text, stream=name)

    def between_lines(self, act: Callable[[], object]) -> None:
        """Runs `act` in the thread after the lines that wait, for example to reopen a file. `act` must not
        raise."""
        with self._lock:
            if self._is_closed:
                return
            self._start_thread()
        self._queue.put(act)

    def retry(self) -> None:
        """If lines were lost, tries whether the stream takes lines again."""
        if self.is_failing:
            self.between_lines(self._report_loss)

    def flush(self, within: float) -> bool:
        """Waits until everything queued so far is written or lost, for at most `within` seconds. Returns
        whether that happened."""
        reached = threading.Event()
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                return True
        self._queue.put(reached.set)
        return reached.wait(within)

    def close(self, within: float) -> bool:
        """Writes what waits, for at most `within` seconds. Returns whether the thread has ended. Later lines
        are lost."""
        with self._lock:
            self._is_closed = True
            thread = self._thread
        if thread is None:
            return True
        self._queue.put(None)
        thread.join(within)
        return not thread.is_alive()

    def _start_thread(self) -> None:
        if self._thread is None:
            # A daemon thread, so that the process can end while the thread is stuck in a system call.
            self._thread = threading.Thread(target=self._run, name="lines", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while True:
            queued = self._queue.get()
            if queued is None:
                return
            # An exception would end this thread, and later lines would wait for ever.
            with contextlib.suppress(Exception):
                if callable(queued):
                    queued()
                else:
                    self._pass_on(*queued)

    def _pass_on(self, text: str, stream: str, settled: Settled | None) -> None:
        failure = self._failure_of(text)
        with self._lock:
            self._waiting_bytes -= len(text)
        if failure is not None:
            self._lose(text, stream, failure)
        else:
            self.is_failing = self._is_broken = False
            self._without_room.clear()
            self._report_loss()
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

    def _report_loss(self) -> None:
        """Writes the line about lost lines, if there are any that were not reported yet."""
        with self._lock:
            unreported, self._unreported = self._unreported, {}
        if not unreported:
            return
        self.is_failing = self._is_broken = self._failure_of(self._loss_line(unreported)) is not None
        if not self.is_failing:
            self._without_room.clear()
        else:
            with self._lock:
                for stream, lines in unreported.items():
                    self._unreported[stream] = self._unreported.get(stream, 0) + lines

    def _lose(self, text: str, stream: str, failure: OSError | None) -> None:
        lines = text.count("\n")
        with self._lock:
            self.is_failing = True
            if failure is None:
                self._without_room.add(stream)
            else:
                self._is_broken = True
            self.lost[stream] = self.lost.get(stream, 0) + lines
            self._unreported[stream] = self._unreported.get(stream, 0) + lines
        if self._on_loss is not None:
            self._on_loss(stream, text, failure)


def _settle(settled: Settled | None, *, is_written: bool) -> None:
    if settled is not None:
        settled(is_written)
