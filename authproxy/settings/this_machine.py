"""The machine that this process runs on, for checks of settings."""

from __future__ import annotations

import socket
from contextlib import closing
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

from authproxy.settings.machine import Machine


def this_machine() -> Machine:
    now = datetime.now(UTC)  # noqa: TID251  (settings are read before the clock is there)
    return Machine(now=now, has_address=_has_address, has_folder=lambda folder: Path(folder).is_dir())


def _has_address(text: str) -> bool:
    address = ip_address(text)
    if address.is_multicast:
        return False
    # A socket can be bound only to an address of this machine (ip(7)). Nothing is sent.
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with closing(socket.socket(family, socket.SOCK_DGRAM)) as own:
            own.bind((text, 0))
    except OSError:
        return False
    return True
