"""The table of deploy/README.md is the one that the scenarios make."""

from __future__ import annotations

from tests.support.fronts import table
from tests.support.fronts.every import FRONTS


def test_the_table_is_what_the_scenarios_show() -> None:
    head, line, *rest = table.in_readme().splitlines(keepends=True)

    assert "".join(rest) == table.rows(), "python -m tests.support.fronts.table writes it"
    assert line == f"|---|{'---|' * len(FRONTS)}\n"
    for front, cell in zip(FRONTS, head.split("|")[2:-1], strict=True):
        assert cell.split()[0] == table.SHOWN[front.name]


def test_what_a_front_proxy_cannot_do_belongs_to_a_scenario_and_is_a_sentence() -> None:
    known = table.scenarios()
    assert all(shows.endswith(".") and shows[0].isupper() for shows in known.values())
    for front in FRONTS:
        said = dict(front.cannot) | dict(front.differs)
        assert set(said) <= set(known)
        assert not set(front.cannot) & set(front.differs)
        for sentence in said.values():
            assert sentence.startswith(table.SHOWN[front.name])
            assert sentence.endswith(".")


def test_the_table_is_not_written_if_a_scenario_failed_or_was_left_out() -> None:
    held = {scenario: {front.name: True for front in FRONTS} for scenario in table.scenarios()}
    assert table.not_held(held) == []
    held["http2"]["nginx"] = False
    del held["paths"]
    assert table.not_held(held) == [*(f"paths behind {front.name}" for front in FRONTS), "http2 behind nginx"]
