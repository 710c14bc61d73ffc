from __future__ import annotations

from dataclasses import replace

import pytest

from authproxy.sandbox.portals.catalogue import portal
from authproxy.sandbox.portals.description import Field, PortalForm
from authproxy.sandbox.portals.entries import CAPACITY, Entries, faults
from authproxy.sandbox.portals.tables import Words

ANY = Words("", "")
FORM = PortalForm(
    path="/nalog",
    title=ANY,
    intro=ANY,
    button=ANY,
    done=ANY,
    reference="NAL",
    about="/bankomati",
    fields=(
        Field(name="naprava", label=ANY),
        Field(name="poseg", label=ANY, kind="choice", choices=(Words("popravilo", "repair"),)),
        Field(name="dan", label=ANY, kind="day"),
        Field(name="stevilo", label=ANY, kind="number"),
        Field(name="opomba", label=ANY, kind="long", is_required=False),
    ),
)
GOOD = {"naprava": "A0103", "poseg": "popravilo", "dan": "2026-11-23", "stevilo": "2", "opomba": ""}


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({}, {}),
        ({"naprava": " A0103 "}, {}),
        ({"naprava": ""}, {"naprava": "missing"}),
        ({"naprava": "A9999"}, {"naprava": "unknown_row"}),
        ({"poseg": "repair"}, {"poseg": "no_choice"}),
        ({"dan": "23. 11."}, {"dan": "no_day"}),
        ({"stevilo": "²"}, {"stevilo": "no_number"}),
        ({"opomba": "x" * 2001}, {"opomba": "too_long"}),
        ({"dan": "", "stevilo": "x"}, {"dan": "missing", "stevilo": "no_number"}),
    ],
)
def test_what_is_wrong_is_said_of_its_field(change, found):
    assert faults(FORM, GOOD | change, portal("bankomati")) == found


def test_an_entry_is_shown_to_its_author_only_and_holds_nothing_beyond_the_form():
    entries = Entries()
    number = entries.add(FORM, GOOD | {"geslo": "x"}, subject="ana")
    assert number == "NAL-00001"
    assert entries.find(number, subject="ana") == GOOD
    assert entries.find(number, subject="bor") is None
    assert entries.find("NAL-00002", subject="ana") is None


def test_only_the_last_entries_are_kept():
    entries = Entries()
    numbers = [entries.add(FORM, GOOD, subject="ana") for _ in range(CAPACITY + 1)]
    assert entries.find(numbers[0], subject="ana") is None
    assert entries.find(numbers[1], subject="ana") == GOOD


def test_a_form_that_is_about_no_table_takes_any_text():
    assert faults(replace(FORM, about=None), GOOD | {"naprava": "A9999"}, portal("bankomati")) == {}
