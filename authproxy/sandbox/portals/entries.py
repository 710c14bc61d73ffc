"""PURE: checks entries in a portal's forms, and keeps the latest, each for its author only."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from datetime import date
from typing import Literal, NamedTuple

from authproxy.sandbox.portals.description import Description, Field, PortalForm

CAPACITY = 200
_LONGEST = 2000
Fault = Literal["missing", "too_long", "no_choice", "no_day", "no_number", "unknown_row"]


class _StoredEntry(NamedTuple):
    subject: str
    entered: dict[str, str]


class Entries:
    """The last 200 entries. Their numbers count up from the start."""

    def __init__(self) -> None:
        self._entries: OrderedDict[str, _StoredEntry] = OrderedDict()
        self._count = 0

    def add(self, form: PortalForm, entered: Mapping[str, str], *, subject: str) -> str:
        """Returns the number of the entry."""
        self._count += 1
        number = f"{form.reference}-{self._count:05}"
        self._entries[number] = _StoredEntry(
            subject, {field.name: entered.get(field.name, "") for field in form.fields}
        )
        if len(self._entries) > CAPACITY:
            self._entries.popitem(last=False)
        return number

    def find(self, number: str, *, subject: str) -> dict[str, str] | None:
        """This person's entry with the number; None also for an entry of somebody else."""
        entry = self._entries.get(number)
        return entry.entered if entry is not None and entry.subject == subject else None


def faults(form: PortalForm, entered: Mapping[str, str], portal: Description) -> dict[str, Fault]:
    """The faults by field, in the order of the form."""
    faults_by_field = {
        field.name: _fault(field, entered.get(field.name, "").strip()) for field in form.fields
    }
    if form.about is not None:
        row = form.fields[0].name
        if faults_by_field[row] is None and portal.table(form.about).find(entered[row].strip()) is None:
            faults_by_field[row] = "unknown_row"
    return {name: fault for name, fault in faults_by_field.items() if fault is not None}


def _fault(field: Field, value: str) -> Fault | None:
    if not value:
        return "missing" if field.is_required else None
    if len(value) > _LONGEST:
        return "too_long"
    match field.kind:
        case "choice" if value not in {choice.sl for choice in field.choices}:
            return "no_choice"
        case "number" if not (value.isascii() and value.isdigit()):
            return "no_number"
        case "day" if not _is_day(value):
            return "no_day"
        case _:
            return None


def _is_day(value: str) -> bool:
    try:
        date.fromisoformat(value)
    except ValueError:
        return False
    return True
