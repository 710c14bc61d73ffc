"""Whether the descriptors of the process are enough for what the settings promise."""

from __future__ import annotations

import pytest

from authproxy.bootstrap.descriptors import Descriptors


async def test_enough_is_well_and_nobody_is_turned_away_for_it():
    enough = Descriptors(limit=65_536, needed=22_304, connections=20_000)
    assert ((await enough.check()).status, enough.last_for_clients) == ("ok", 0)


@pytest.mark.parametrize(("limit", "last"), [(20_000, 20_000 - 2304), (1024, 512), (64, 32)])
async def test_too_few_are_a_warning_and_some_are_kept_for_portals_and_store(limit, last):
    few = Descriptors(limit=limit, needed=22_304, connections=20_000)
    check = await few.check()
    assert (check.status, f"{limit} files" in check.detail, "LimitNOFILE" in check.detail) == (
        "warning",
        True,
        True,
    )
    assert few.last_for_clients == last


def test_streams_take_no_places_of_clients_before_there_are_any():
    with_streams = Descriptors(limit=20_000, needed=32_304, connections=20_000, streams=10_000)
    assert with_streams.last_for_clients == 20_000 - 2304
