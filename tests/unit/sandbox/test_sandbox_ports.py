"""The sandbox looks at all its ports before it starts anything."""

from __future__ import annotations

import os

import pytest

from authproxy.sandbox.addresses import used_ports
from authproxy.sandbox.serving import bound
from authproxy.sandbox.stack import PortsTaken, running
from tests.support.sandbox import _PORTS, free_offset


async def test_all_taken_ports_are_named_with_who_has_them_and_the_way_round(tmp_path):
    offset = free_offset()
    with bound(8080 + offset) as one, bound(8103 + offset) as other:
        one.listen()
        other.listen()
        with pytest.raises(PortsTaken) as refused:
            async with running(port_offset=offset, folder=tmp_path):
                pass
    said = str(refused.value)
    assert f"{8080 + offset} (the portals through the gateway) by process {os.getpid()} (" in said
    assert f"{8103 + offset} (portal bips) by process {os.getpid()} (" in said
    assert "make demo PORTS=+" in said
    assert "\n" not in said
    assert list(tmp_path.iterdir()) == []


def test_every_port_of_the_sandbox_is_looked_at():
    assert set(used_ports()) == set(_PORTS)
