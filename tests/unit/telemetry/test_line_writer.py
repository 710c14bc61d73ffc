"""A writer of lines against real descriptors: pipes that nobody reads, devices that are full, files that may
not grow."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import resource
import signal
import threading
import time
from pathlib import Path

import pytest

from authproxy.telemetry.line_writer import Appending, LineWriter, portions, to_nowhere

_SOON = 10.0


def told(lost):
    return f"lost {sorted(lost.items())}\n"


class Pipe:
    """A pipe without a reader until the test reads."""

    def __init__(self):
        self.reading, self.writing = os.pipe()
        self.room = fcntl.fcntl(self.writing, fcntl.F_SETPIPE_SZ, 4096)

    def everything(self):
        """Everything until the other end is closed."""
        found = b""
        while some := os.read(self.reading, 65536):
            found += some
        return found.decode()


@pytest.fixture
def pipe():
    made = Pipe()
    yield made
    for descriptor in (made.reading, made.writing):
        with contextlib.suppress(OSError):
            os.close(descriptor)


@pytest.fixture
def writer_to():
    made = []

    def writer(write, **options):
        made.append(LineWriter(write, loss_line=told, **options))
        return made[-1]

    yield writer
    for each in made:
        each.close(_SOON)


def until(condition):
    deadline = time.monotonic() + _SOON
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.001)


def test_lines_are_written_in_their_order_as_they_come(writer_to, tmp_path):
    with (tmp_path / "log").open("ab") as file:
        writer = writer_to(Appending(file.fileno()).write)
        for number in range(1000):
            writer.write(f"{number}\n")
        assert writer.flush(_SOON)
    assert (tmp_path / "log").read_text().splitlines() == [str(number) for number in range(1000)]
    assert writer.lost == {}


def fill(descriptor: int) -> None:
    """Takes all the room of a pipe, so that the first line that is written to it waits for the reader."""
    os.set_blocking(descriptor, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(descriptor, b"\n" * 4096)
    os.set_blocking(descriptor, True)


def test_nobody_waits_for_a_stopped_reader_and_the_gap_is_reported_when_it_goes_on(writer_to, pipe):
    fill(pipe.writing)
    writer = writer_to(Appending(pipe.writing).write, largest=20_000)
    for number in range(2000):
        writer.write(f"{number:099}\n")
    assert 0 < writer.lost["log"] < 2000
    assert writer.is_failing
    until(lambda: writer.is_stuck)

    lost = writer.lost["log"]
    reader = threading.Thread(target=lambda: found.append(pipe.everything()))
    found = []
    reader.start()
    assert writer.flush(_SOON)
    assert not writer.is_failing
    assert not writer.is_stuck
    writer.write("after\n")
    assert writer.flush(_SOON)
    os.close(pipe.writing)
    reader.join(_SOON)
    lines = found[0].splitlines()
    assert lines[-1] == "after"
    assert f"lost [('log', {lost})]" in lines
    assert len([line for line in lines if len(line) == 99]) == 2000 - lost


def test_a_flood_of_access_lines_leaves_room_for_events(writer_to, pipe):
    writer = writer_to(Appending(pipe.writing).write, largest=100_000)
    for _ in range(3000):
        writer.write("a" * 99 + "\n", stream="access")
    writer.write("e" * 99 + "\n", stream="log")
    writer.write("s" * 99 + "\n", stream="audit")
    assert set(writer.lost) == {"access"}
    os.close(pipe.reading)  # nobody will read: what waits is lost, and the writer ends
    assert writer.close(_SOON)


def test_a_flood_of_access_lines_does_not_make_the_audit_trail_fail(writer_to):
    goes_on = threading.Event()
    writer = writer_to(lambda _: goes_on.wait(_SOON), largest=1000)
    while not writer.lost:
        writer.write("x" * 99 + "\n", stream="access")
    assert (writer.fails("access"), writer.fails("audit")) == (True, False)
    while not writer.lost.get("audit"):
        writer.write("x" * 99 + "\n", stream="audit")
    assert writer.fails("audit")
    goes_on.set()
    assert writer.flush(_SOON)
    assert not writer.fails("access")
    assert not writer.fails("audit")


def test_a_stream_that_fails_is_counted_and_raises_nothing(writer_to):
    heard = []
    with Path("/dev/full").open("wb", buffering=0) as full:
        writer = writer_to(Appending(full.fileno()).write, on_loss=lambda *loss: heard.append(loss))
        writer.write("one\ntwo\n", stream="access")
        writer.write("three\n", stream="audit")
        assert writer.flush(_SOON)
    assert writer.lost == {"access": 2, "audit": 1}
    assert [(stream, text, failure.errno) for stream, text, failure in heard] == [
        ("access", "one\ntwo\n", errno.ENOSPC),
        ("audit", "three\n", errno.ENOSPC),
    ]


def test_a_reader_that_has_gone_causes_no_error(writer_to, pipe):
    os.close(pipe.reading)
    writer = writer_to(Appending(pipe.writing).write)
    for _ in range(10):
        writer.write("x\n")
    assert writer.flush(_SOON)
    assert writer.lost == {"log": 10}


def test_lines_for_a_stream_that_was_closed_from_the_start_are_lost(writer_to):
    writer = writer_to(to_nowhere)
    writer.write("x\n")
    assert writer.flush(_SOON)
    assert writer.lost == {"log": 1}


def test_a_descriptor_that_does_not_block_is_waited_for(writer_to, pipe):
    os.set_blocking(pipe.writing, False)
    writer = writer_to(Appending(pipe.writing).write)
    for number in range(200):
        writer.write(f"{number:099}\n")
    found = []
    reader = threading.Thread(target=lambda: found.append(pipe.everything()))
    reader.start()
    assert writer.flush(_SOON)
    os.close(pipe.writing)
    reader.join(_SOON)
    assert (len(found[0].splitlines()), writer.lost) == (200, {})


@contextlib.contextmanager
def files_no_larger_than(octets):
    """As a disk that is full: the last write takes what there is room for (setrlimit(2))."""
    former, ignored = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (octets, former[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)
        signal.signal(signal.SIGXFSZ, ignored)


def test_after_half_a_line_the_next_one_begins_on_a_line_of_its_own(tmp_path):
    with (tmp_path / "trail").open("ab", buffering=0) as file:
        trail = Appending(file.fileno())
        with files_no_larger_than(15):
            trail.write(b"whole line\n")
            for _ in range(2):
                with pytest.raises(OSError, match="too large"):
                    trail.write(b"half a line\n")
        trail.write(b"next\n")
        trail.write(b"and next\n")
    assert (tmp_path / "trail").read_text() == "whole line\nhalf\nnext\nand next\n"


def test_a_stream_that_takes_lines_again_is_noticed_without_a_new_line(writer_to):
    is_full = True

    def write(octets):
        if is_full:
            raise OSError(errno.ENOSPC, "no space")
        written.append(octets)

    written = []
    writer = writer_to(write)
    writer.write("x\n")
    assert writer.flush(_SOON)
    writer.retry()
    assert writer.flush(_SOON)
    assert writer.is_failing
    is_full = False
    writer.retry()
    assert writer.flush(_SOON)
    assert (writer.is_failing, written) == (False, [b"lost [('log', 1)]\n"])
    writer.retry()
    assert writer.flush(_SOON)
    assert len(written) == 1


def test_the_caller_learns_whether_the_line_was_written(writer_to, tmp_path):
    heard = []
    with (tmp_path / "trail").open("ab") as file, Path("/dev/full").open("wb") as full:
        for descriptor in (file.fileno(), full.fileno()):
            writer = writer_to(Appending(descriptor).write)
            writer.write("x\n", settled=heard.append)
            assert writer.close(_SOON)
            writer.write("too late\n", settled=heard.append)
    assert heard == [True, False, False, False]


def test_closing_waits_a_limited_time_for_a_reader(writer_to, pipe):
    writer = writer_to(Appending(pipe.writing).write)
    for _ in range(100):
        writer.write("x" * 99 + "\n")
    assert not writer.close(0.2)
    os.close(pipe.reading)


def test_an_exception_of_a_callback_stops_nothing(writer_to, tmp_path):
    def fail(*_):
        raise ValueError("a fault")

    with (tmp_path / "log").open("ab") as file:
        writer = writer_to(Appending(file.fileno()).write)
        writer.write("one\n", settled=fail)
        writer.between_lines(fail)
        writer.write("two\n")
        assert writer.flush(_SOON)
    assert (tmp_path / "log").read_text() == "one\ntwo\n"


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (b"", []),
        (b"ab\ncd\n", [b"ab\n", b"cd\n"]),
        (b"a\nb\nc\n", [b"a\nb\n", b"c\n"]),
        (b"longer than that\na\n", [b"longer than that\n", b"a\n"]),
        (b"a\nno end of line", [b"a\n", b"no end of line"]),
    ],
)
def test_portions_are_whole_lines_in_the_same_order(octets, expected):
    assert list(portions(octets, 5)) == expected
