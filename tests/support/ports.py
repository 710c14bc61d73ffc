"""Ports of 127.0.0.1 for servers of tests."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections import deque

from authproxy.sandbox.serving import bound

_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
_WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
_FIRST, _END = map(int, os.environ.get("AUTHPROXY_TEST_PORTS", "20000-32000").split("-"))
_PORTS = range(_FIRST + _WORKER, _END, _WORKERS)
"""Each worker has ports of its own, and so has each of two test runs at one time, if they are told. All are
below the ports that the kernel gives to outgoing connections: one of those would be taken between choosing and
binding. The sandboxes of other tests stay below them."""
_given: deque[int] = deque(maxlen=len(_PORTS) // 2)


def free_port() -> int:
    """A port at which nothing listens, and that this process has not been given lately."""
    while True:
        port = secrets.choice(_PORTS)
        if port not in _given:
            with contextlib.suppress(OSError), bound(port):
                _given.append(port)
                return port
