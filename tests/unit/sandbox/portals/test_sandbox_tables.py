from __future__ import annotations

import pytest

from authproxy.sandbox.portals.tables import Column, Table, Words, as_csv, filtered, month, shares, total

STATES = {"deluje": (Words("deluje", "working"), "good"), "okvara": (Words("okvara", "out of order"), "bad")}
TABLE = Table(
    path="/naprave",
    title=Words("Naprave", "Machines"),
    intro=Words("", ""),
    columns=(
        Column(name="id", title=Words("Oznaka", "Machine"), kind="code"),
        Column(name="dan", title=Words("Dan", "Day"), kind="day"),
        Column(name="kraj", title=Words("Kraj", "Town"), is_filter=True),
        Column(name="znesek", title=Words("Znesek", "Amount"), kind="cents"),
        Column(name="stanje", title=Words("Stanje", "State"), kind="word", words=STATES),
        Column(name="skrito", title=Words("Skrito", "Hidden"), is_hidden=True),
    ),
    rows=(
        ("A1", "2026-11-05", "Maribor", 123450, "deluje", "x"),
        ("A2", "2026-11-06", "Celje", 5, "okvara", "y"),
        ("A3", "2026-12-01", "Maribor", 100, "deluje", "z"),
    ),
)
UNDATED = Table(
    path="/x",
    title=Words("", ""),
    intro=Words("", ""),
    columns=(Column(name="id", title=Words("", "")),),
    rows=(("A1",),),
)


@pytest.mark.parametrize(
    ("kind", "value", "slovene", "english"),
    [
        ("cents", 5, "0,05", "0.05"),
        ("cents", 123450, "1.234,50", "1,234.50"),
        ("cents", 100000000, "1.000.000,00", "1,000,000.00"),
        ("count", 12000, "12.000", "12,000"),
        ("level", 40, "40 %", "40%"),
        ("day", "2026-11-05", "5. 11. 2026", "5 Nov 2026"),
        ("text", "Koper", "Koper", "Koper"),
        ("code", 7, "7", "7"),
    ],
)
def test_values_are_written_as_each_language_writes_them(kind, value, slovene, english):
    assert Column(name="x", title=Words("", ""), kind=kind).shown(value) == (slovene, english)


def test_a_state_has_a_word_in_each_language_and_a_tone_and_a_low_level_warns():
    state, level = TABLE.columns[4], Column(name="x", title=Words("", ""), kind="level")
    assert (state.shown("okvara"), state.tone("okvara")) == (("okvara", "out of order"), "bad")
    assert [level.tone(value) for value in (14, 15, 39, 40)] == ["bad", "busy", "busy", "good"]
    assert TABLE.columns[2].tone("Celje") == "plain"


@pytest.mark.parametrize(
    ("query", "keys"),
    [
        ({}, "A1 A2 A3"),
        ({"kraj": "MARI"}, "A1 A3"),
        ({"stanje": "okvara"}, "A2"),
        ({"stanje": "okv"}, ""),
        ({"od": "2026-11-06"}, "A2 A3"),
        ({"do": "2026-11-06"}, "A1 A2"),
        ({"od": "2026-11-06", "do": "2026-11-06"}, "A2"),
        ({"skrito": "x", "unknown": "x"}, "A1 A2 A3"),
        ({"kraj": "ce", "stanje": "deluje"}, ""),
    ],
)
def test_a_query_narrows_the_rows(query, keys):
    assert " ".join(row[0] for row in filtered(TABLE, query)) == keys


def test_a_table_without_days_knows_no_months_and_ignores_days_in_a_query():
    assert UNDATED.day is None
    assert month(UNDATED, 2026, 11) == ()
    assert filtered(UNDATED, {"od": "2027-01-01"}) == UNDATED.rows


def test_a_month_has_its_own_rows_only():
    assert [row[0] for row in month(TABLE, 2026, 11)] == ["A1", "A2"]
    assert month(TABLE, 2025, 11) == ()


def test_a_row_is_found_by_its_key_and_shows_no_hidden_value():
    row = TABLE.find("A2")
    assert [cell.text.en for cell in TABLE.cells(row)] == [
        "A2",
        "6 Nov 2026",
        "Celje",
        "0.05",
        "out of order",
    ]
    assert TABLE.find("A9") is None


def test_rows_are_summed_up_and_shared_out():
    assert total(TABLE, TABLE.rows, "znesek") == 123555
    assert shares(TABLE, by="kraj", of="znesek") == (("Maribor", 123550, 100), ("Celje", 5, 0))
    assert shares(TABLE, by="stanje", of=None) == (("deluje", 2, 100), ("okvara", 1, 50))
    empty = Table(path="/x", title=Words("", ""), intro=Words("", ""), columns=UNDATED.columns, rows=())
    assert shares(empty, by="id", of=None) == ()


def test_a_spreadsheet_opens_as_it_is():
    text = as_csv(TABLE, TABLE.rows[:2], is_english=True)
    assert (
        text
        == "\ufeffMachine;Day;Town;Amount;State\r\nA1;5. 11. 2026;Maribor;1.234,50;working\r\nA2;6. 11. 2026;Celje;0,05;out of order\r\n"
    )
    assert as_csv(TABLE, TABLE.rows[:1], is_english=False).splitlines()[1].endswith(";deluje")
