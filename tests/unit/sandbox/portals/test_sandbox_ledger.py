from __future__ import annotations

import pytest

from authproxy.sandbox.portals.ledger import Transaction, filtered, states, transactions


@pytest.mark.parametrize(("cents", "amount"), [(5, "0,05"), (123450, "1.234,50"), (100000000, "1.000.000,00")])
def test_amounts_are_written_the_slovene_way(cents, amount):
    assert Transaction(number="1", day="2026-11-01", place="Koper", cents=cents, state="poravnano").amount == amount


def test_filters_narrow_the_list_by_place_state_and_days():
    rows = transactions()
    assert filtered(rows, {}) == rows == transactions()
    assert {row.place for row in filtered(rows, {"kraj": "MAR"})} == {"Maribor"}
    assert {row.state for row in filtered(rows, {"stanje": states()[1]})} == {states()[1]}
    assert {row.day for row in filtered(rows, {"od": "2026-11-05", "do": "2026-11-06"})} == {"2026-11-05", "2026-11-06"}
