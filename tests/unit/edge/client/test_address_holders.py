"""Whoever answers us is found, and nobody else who has the same port or the same listening socket."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from authproxy.edge.client import address_holders

ANSWERING = """
import socket, sys
listening = socket.socket(fileno=int(sys.argv[1]))
accepted, _ = listening.accept()
accepted.sendall(b"!")
accepted.recv(1)
"""
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


@pytest.mark.parametrize(
    ("family", "address", "asked"),
    [
        (socket.AF_INET, "127.0.0.1", "127.0.0.1"),
        (socket.AF_INET, "0.0.0.0", "127.0.0.1"),
        (socket.AF_INET6, "::1", "::1"),
        (socket.AF_INET6, "::", "127.0.0.1"),
    ],
    ids=["one address", "all addresses", "IPv6", "both families"],
)
def test_the_process_that_answers_is_found_and_not_the_one_that_has_opened_its_listener(
    family, address, asked
):
    """As with a socket that systemd has opened: a signal must not go to systemd."""
    with (
        socket.create_server((address, 0), family=family, dualstack_ipv6=address == "::") as listening,
        subprocess.Popen(
            [sys.executable, "-c", ANSWERING, str(listening.fileno())], pass_fds=(listening.fileno(),)
        ) as answering,
        socket.create_connection((asked, listening.getsockname()[1]), timeout=20) as connection,
    ):
        assert connection.recv(1) == b"!"
        assert address_holders.id_behind(connection) == answering.pid


def test_another_process_at_the_same_port_of_another_address_is_not_taken_for_it():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        with (
            socket.create_server(("127.0.0.2", port)) as other,
            subprocess.Popen(
                [sys.executable, "-c", ANSWERING, str(other.fileno())], pass_fds=(other.fileno(),)
            ) as answering,
        ):
            other.close()
            with socket.create_connection(("127.0.0.2", port), timeout=20) as connection:
                assert connection.recv(1) == b"!"
                assert address_holders.id_behind(connection) == answering.pid
            with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
                accepted, _ = listening.accept()
                with accepted:
                    assert address_holders.id_behind(connection) == os.getpid()


def test_behind_a_unix_socket_is_the_process_that_listens(tmp_path):
    with socket.socket(socket.AF_UNIX) as listening, socket.socket(socket.AF_UNIX) as connection:
        listening.bind(str(tmp_path / "s"))
        listening.listen()
        connection.connect(str(tmp_path / "s"))
        assert address_holders.id_behind(connection) == os.getpid()
