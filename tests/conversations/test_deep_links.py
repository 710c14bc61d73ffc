"""Where people land, and what a program gets in place of a page."""

from __future__ import annotations

import pytest

from tests.support.http_client import Browser


@pytest.mark.parametrize("place", ["/izpis/2026/11", "/transakcije?kraj=Ljubljana&od=2026-01-01", "/transakcije?kraj=%C5%A0kofja%20Loka"])
async def test_a_deep_link_leads_back_to_itself(house, ana, place):
    first = await ana.opens(house.acq + place)
    assert first.status == 303
    page = await ana.walk(first)
    assert (page.status, page.url) == (200, house.acq + place)
