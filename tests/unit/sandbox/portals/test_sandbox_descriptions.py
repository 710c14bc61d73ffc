from __future__ import annotations

import pytest

from authproxy.sandbox.portals import atlas
from authproxy.sandbox.portals.catalogue import PORTAL_IDS, portal, portals
from authproxy.sandbox.portals.description import described
from authproxy.sandbox.portals.front_page import bars, numbers, pins

PLAIN = {
    "id": "x",
    "name": "X",
    "look": "green",
    "purpose": ["Preskus", "Trial"],
    "tables": [
        {
            "path": "/a",
            "title": ["A", "A"],
            "intro": ["", ""],
            "columns": [{"name": "id", "title": ["Id", "Id"]}],
            "rows": [["1"], ["2"]],
        }
    ],
}


def test_there_are_six_portals_and_each_has_a_look_of_its_own():
    assert (
        [each.portal_id for each in portals()]
        == list(PORTAL_IDS)
        == ["acq", "b2b", "bips", "bws", "ecmsweb", "bankomati"]
    )
    assert len({each.look for each in portals()}) == 6
    assert [each.portal_id for each in portals() if each.own_sign_in] == ["ecmsweb", "bankomati"]


@pytest.mark.parametrize("portal_id", PORTAL_IDS)
def test_every_row_fits_its_table_and_everything_that_is_named_exists(portal_id):
    each = portal(portal_id)
    for table in each.tables:
        assert len({row[0] for row in table.rows}) == len(table.rows) > 2
        for row in table.rows:
            assert all(cell.text.sl and cell.text.en for cell in table.cells(row))
    assert all(number.text.sl != "0" for number in numbers(each))
    assert len(bars(each)) > 1
    assert all(each.table(form.about) for form in each.forms if form.about)


@pytest.mark.parametrize("portal_id", PORTAL_IDS)
def test_everything_is_said_in_both_languages(portal_id):
    each = portal(portal_id)
    said = [
        each.purpose,
        *(table.title for table in each.tables),
        *(table.intro for table in each.tables),
        *(form.title for form in each.forms),
    ]
    said += (
        [form.done for form in each.forms]
        + [field.label for form in each.forms for field in form.fields]
        + [number.label for number in numbers(each)]
    )
    assert [
        words
        for words in said
        if not words.sl or not words.en or (words.sl == words.en and len(words.sl) > 12)
    ] == []


def test_a_portal_may_have_tables_alone():
    plain = described(PLAIN)
    assert (numbers(plain), bars(plain), pins(plain), plain.monthly, plain.own_sign_in) == (
        [],
        [],
        [],
        None,
        None,
    )
    with pytest.raises(KeyError):
        plain.table("/b")


def test_a_figure_leads_to_its_rows():
    [counted, summed, *_] = numbers(portal("acq"))
    assert (counted.text.sl, counted.path, counted.query) == ("120", "/transakcije", {})
    assert summed.text.sl.endswith(summed.text.en[-2:])
    assert numbers(portal("bankomati"))[1].query == {"stanje": "malo gotovine"}


def test_the_map_shows_every_machine_within_the_country():
    shown = pins(portal("bankomati"))
    assert len(shown) == len(portal("bankomati").tables[0].rows)
    assert shown[0].label == "Ljubljana, Čopova ulica 5"
    assert all(0 < pin.x < atlas.WIDTH and 0 < pin.y < atlas.HEIGHT for pin in shown)
    assert {pin.tone for pin in shown} == {"good", "busy", "bad"}


def test_north_is_up_and_east_is_right():
    maribor, koper = atlas.position(46.558, 15.646), atlas.position(45.548, 13.729)
    assert maribor[0] > koper[0]
    assert maribor[1] < koper[1]
    assert len(atlas.outline().split()) > 40
