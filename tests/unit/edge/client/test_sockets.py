"""Addresses are had whole or not at all, and nobody who listens is harmed."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from authproxy.edge.client.sockets import CannotListen, ListenAddress, bind

HOLDS = """
import socket, sys
held = socket.socket(socket.AF_UNIX)
held.bind(sys.argv[1])
held.listen()
print("listens", flush=True)
sys.stdin.read()
"""


def at(path: Path, **more) -> ListenAddress:
    return ListenAddress(key="server.listen", unix_path=path, **more)


def listening(path: Path, **more):
    (bound,) = bind([at(path, **more)])
    bound.sockets[0].listen()
    bound.publish()
    return bound


def reaches(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(str(path))
        except OSError:
            return False
        return True


def test_a_second_one_is_refused_by_name_and_the_first_goes_on(tmp_path):
    path = tmp_path / "edge.sock"
    first = listening(path)
    with pytest.raises(CannotListen, match=rf"^server\.listen: {path} is taken by process {os.getpid()} \("):
        bind([at(path)])
    assert reaches(path)
    assert first.is_ours
    first.close()


def test_a_listener_that_locks_nothing_is_found_by_asking(tmp_path):
    path = tmp_path / "edge.sock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout.readline() == b"listens\n"
        with pytest.raises(CannotListen, match=f"is taken by process {other.pid} "):
            bind([at(path)])
        assert reaches(path)
        other.stdin.close()
        other.wait()


def test_nothing_is_bound_when_one_address_cannot_be_had(tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        taken = ListenAddress(key="server.management", host="127.0.0.1", port=port)
        with pytest.raises(
            CannotListen,
            match=rf"^server\.management: 127\.0\.0\.1:{port} is taken by process {os.getpid()} ",
        ):
            bind([at(tmp_path / "edge.sock"), taken])
    assert list(tmp_path.iterdir()) == []


def test_the_socket_of_a_killed_process_is_replaced_without_a_moment_of_absence(tmp_path):
    path = tmp_path / "edge.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    before = path.stat().st_ino
    bound = listening(path)
    assert path.stat().st_ino != before
    assert reaches(path)
    bound.close()
    assert list(tmp_path.iterdir()) == []


def test_until_it_is_published_the_path_is_as_it_was(tmp_path):
    path = tmp_path / "edge.sock"
    (bound,) = bind([at(path)])
    assert not path.exists()
    bound.close()
    assert list(tmp_path.iterdir()) == []


def test_a_socket_that_somebody_has_put_there_instead_is_noticed_and_left_alone(tmp_path):
    path = tmp_path / "edge.sock"
    bound = listening(path)
    path.unlink()
    assert not bound.is_ours
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        assert not bound.is_ours
        bound.close()
        assert path.is_socket()


def test_a_file_that_is_no_socket_is_never_removed(tmp_path):
    path = tmp_path / "edge.sock"
    path.write_text("precious")
    with pytest.raises(CannotListen, match="is no socket"):
        bind([at(path)])
    assert path.read_text() == "precious"


def test_permissions_and_group_stand_before_anybody_can_connect(tmp_path):
    path = tmp_path / "edge.sock"
    bound = listening(path, unix_socket_mode=0o600, unix_socket_group=os.getgid())
    assert path.stat().st_mode & 0o777 == 0o600
    bound.close()
    with pytest.raises(CannotListen, match="there is no group nobody-has-it"):
        bind([at(path, unix_socket_group="nobody-has-it")])
    assert list(tmp_path.iterdir()) == []


def test_a_group_of_others_is_refused_by_name_and_nothing_is_left(somebody):
    path = somebody / "edge.sock"
    with pytest.raises(CannotListen, match="given to the group 64999: the gateway's user does not belong"):
        bind([at(path, unix_socket_group=64999)])
    assert list(somebody.iterdir()) == []


@pytest.fixture
def somebody():
    """The folder of a user who is not root; the test is run as that user."""
    with tempfile.TemporaryDirectory() as folder:
        user = os.geteuid()
        if user == 0:
            os.chown(folder, 65534, -1)
            os.seteuid(65534)
        try:
            yield Path(folder)
        finally:
            os.seteuid(user)


def test_a_path_as_long_as_the_system_takes_can_be_had(tmp_path):
    path = tmp_path / ("s" * (106 - len(str(tmp_path))))
    bound = listening(path)
    assert reaches(path)
    bound.close()
    with pytest.raises(CannotListen, match="too long"):
        bind([at(tmp_path / ("s" * (107 - len(str(tmp_path)))))])


def test_what_is_missing_is_said(tmp_path):
    with pytest.raises(CannotListen, match=f"the folder {tmp_path}/run is missing"):
        bind([at(tmp_path / "run" / "edge.sock")])
    with pytest.raises(CannotListen, match="this machine has no such address"):
        bind([ListenAddress(key="server.listen", host="192.0.2.1", port=8080)])
