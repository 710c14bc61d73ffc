"""The same scenarios behind each front proxy, with the shipped files and the real program."""

from __future__ import annotations

import pytest

from tests.support.fronts.world import Standing

pytestmark = [pytest.mark.needs("redis-server"), pytest.mark.asyncio(loop_scope="session")]


async def test_somebody_who_opens_a_deep_link_signs_in_and_lands_there(front: Standing) -> None:
    ana = front.person()

    page = await ana.signs_in(f"{front.url}/izpisi/2026?mesec=11&vrsta=a%26b")

    assert (page.status, page.text) == (200, "portal"), front.running.errors
    received = front.portal.last
    assert received.target == "/izpisi/2026?mesec=11&vrsta=a%26b"
    assert received.all("X-Auth-Name") == ["Ana Novak"]
    assert received.all("Host") == [front.host]
