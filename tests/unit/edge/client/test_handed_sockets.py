"""Listening sockets that a supervisor has opened, as systemd does."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from authproxy.edge.client.handed_sockets import take
from authproxy.edge.client.sockets import CannotListen, ListenAddress, bind

TAKES = """
import os, socket, sys
os.dup2(int(sys.argv[2]), 3)
from authproxy.edge.client.handed_sockets import BadHandover, take
os.environ["LISTEN_PID"] = str(os.getpid())
os.environ["LISTEN_FDS"] = sys.argv[1]
os.environ["LISTEN_FDNAMES"] = "edge"
try:
    taken = take(os.environ, os.getpid())
except BadHandover as error:
    print(error)
else:
    print([each.getsockname()[1] for each in taken], [each.get_inheritable() for each in taken])
    print(sorted(name for name in os.environ if name.startswith("LISTEN")))
"""


@pytest.fixture
def tcp():
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        yield opened


def given(opened, *, number="1"):
    """What a process says that gets the socket as its descriptor 3."""
    return subprocess.run(
        [sys.executable, "-c", TAKES, number, str(opened.fileno())],
        pass_fds=(opened.fileno(),),
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()


def test_a_process_takes_what_it_was_given_and_leaves_nothing_to_its_children(tcp):
    tcp.listen()
    assert given(tcp) == [f"[{tcp.getsockname()[1]}] [False]", "[]"]


def test_what_is_no_listening_socket_is_refused_in_one_line(tcp):
    [said] = given(tcp)
    assert said.startswith("LISTEN_FDS: descriptor 3 is no listening stream socket: use `ListenStream=`")
    tcp.listen()
    assert given(tcp, number="60")[0].startswith("LISTEN_FDS: descriptor ")


@pytest.mark.parametrize("process_id", ["", "1", "{ours}0"])
def test_what_was_given_to_another_process_is_not_ours(process_id):
    environment = {"LISTEN_PID": process_id.format(ours=os.getpid()), "LISTEN_FDS": "1", "PATH": "/bin"}
    assert take(environment, os.getpid()) == ()
    assert environment == {"PATH": "/bin"}


def address(opened, **more):
    name = opened.getsockname()
    return ListenAddress(key="server.listen", host=name[0], port=name[1], **more)


def test_an_address_that_was_given_is_not_bound_again_and_others_are(tcp):
    tcp.listen()
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        other = address(found)
    one, two = bind([address(tcp), other], [tcp])
    assert one.sockets == (tcp,)
    assert two.sockets[0].getsockname()[1] == other.port
    two.close()


def test_a_socket_for_which_there_is_no_setting_is_refused(tcp):
    tcp.listen()
    with pytest.raises(CannotListen, match=f"the socket of 127.0.0.1:{tcp.getsockname()[1]} was handed over"):
        bind([], [tcp])


def test_a_unix_socket_where_tcp_is_expected_is_refused_by_its_name(tmp_path):
    for name, shown in ((str(tmp_path / "edge.sock"), str(tmp_path / "edge.sock")), ("\0edge", "@edge")):
        with socket.socket(socket.AF_UNIX) as opened, socket.socket() as found:
            opened.bind(name)
            opened.listen()
            found.bind(("127.0.0.1", 0))
            wanted = address(found)
            found.close()
            with pytest.raises(CannotListen, match=f"the socket of {shown} was handed over"):
                bind([wanted], [opened])
            # What was bound for the settings is given back.
            bind([wanted])[0].close()


@pytest.mark.parametrize(
    ("mode", "is_refused"), [(0o660, False), (0o600, False), (0o666, True), (0o662, True)]
)
def test_a_unix_socket_that_more_can_open_than_the_settings_say_is_refused(tmp_path, mode, is_refused):
    """Whoever can open it is trusted, and systemd's own default is 0666."""
    path = tmp_path / "edge.sock"
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind(str(path))
        opened.listen()
        path.chmod(mode)
        wanted = ListenAddress(key="server.listen", unix_path=path)
        if is_refused:
            with pytest.raises(CannotListen, match=r"server\.unix_socket_mode \(660\): set `SocketMode=`"):
                bind([wanted], [opened])
        else:
            [bound] = bind([wanted], [opened])
            bound.publish()
            bound.close()
        # The path belongs to systemd, which goes on listening there.
        assert path.is_socket()
        assert not list(tmp_path.glob("*.lock"))
