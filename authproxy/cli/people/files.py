"""PURE: a list of people, as CSV (RFC 4180, `,` or `;`) or YAML → its people, or all its faults at once.

Findings have line, column, what was read and what is valid. What was read is masked if it could be a tax or
telephone number.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Final

from authproxy.cli.people import columns
from authproxy.identity.member import masked
from authproxy.identity.person import MemberId
from authproxy.identity.register import Conflict, ListedPerson
from authproxy.settings.document import DocumentUnreadable, parse
from authproxy.settings.findings import Finding, dotted, shown

COLUMNS: Final = ("id", "tax_number", "name", "email", "phone", "portals", "roles", "certificates", "blocked")
REQUIRED: Final = ("id", "name", "portals")
_COLUMN_OF_KEY: Final = {
    "id": "id",
    "tax number": "tax_number",
    "fingerprint": "certificates",
    "issuer and serial": "certificates",
    "account": "id",
}
_UTF_16: Final = (b"\xff\xfe", b"\xfe\xff")
_UTF_8: Final = "UTF-8 (in Excel: »CSV UTF-8«)"


class ListUnreadable(Exception):  # noqa: N818
    """The file is no list of people at all. `finding` says why."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(str(finding))
        self.finding = finding


@dataclass(frozen=True, slots=True)
class PeopleList:
    """The people of the file with their lines, or findings. Use `people` only if there are no findings."""

    file: str
    people: tuple[ListedPerson, ...] = field(repr=False)
    lines: Mapping[MemberId, int]
    findings: tuple[Finding, ...]

    def conflicts(self, conflicts: Iterable[Conflict]) -> tuple[Finding, ...]:
        """Contradictions within the list, or between it and the register, as findings."""
        return tuple(self._conflict(conflict) for conflict in conflicts)

    def _conflict(self, conflict: Conflict) -> Finding:
        here, there = conflict.later, conflict.earlier
        if here not in self.lines:  # the finding belongs to the list, which is what the operator can change
            here, there = there, here
        line = self.lines.get(there)
        where = f"on line {line}" if line is not None else "in the register"
        problem = f"is that of `{there}` {where}: one {conflict.key.kind} leads to one person"
        return _finding(self.file, self.lines.get(here), _COLUMN_OF_KEY[conflict.key.kind], problem)


@dataclass(frozen=True, slots=True)
class _Row:
    line: int
    prefix: str
    """Goes before the column's name in a finding: nothing in CSV, `people[2].` in YAML."""
    cells: Mapping[str, str] = field(repr=False)


def read(file: str, octets: bytes, *, portals: Collection[str]) -> PeopleList:
    """The list. `portals` are the ids in the settings. Raises ListUnreadable for a file that is no list."""
    text = _text(file, octets)
    findings: list[Finding] = []
    is_yaml = PurePath(file).suffix.lower() in {".yaml", ".yml"}
    rows = list((_yaml_rows if is_yaml else _csv_rows)(file, text, findings))
    if not rows and not findings:
        raise ListUnreadable(_finding(file, None, "", "has nobody in it"))
    people: list[ListedPerson] = []
    lines: dict[MemberId, int] = {}
    for row in rows:
        person = _listed(file, row, portals, findings)
        if person is None:
            continue
        if person.member_id in lines:
            problem = f"stands twice; the first time on line {lines[person.member_id]}"
            findings.append(_finding(file, row.line, f"{row.prefix}id", problem, person.member_id))
        lines.setdefault(person.member_id, row.line)
        people.append(person)
    return PeopleList(file, tuple(people), lines, tuple(findings))


def _text(file: str, octets: bytes) -> str:
    if octets.startswith(_UTF_16) or b"\0" in octets:
        raise ListUnreadable(_finding(file, None, "", "is text in UTF-16, or no text", valid=_UTF_8))
    try:
        return octets.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = octets.count(b"\n", 0, error.start) + 1
        problem = "is not UTF-8 text: it looks like Windows-1250, in which programs save »CSV« without more"
        raise ListUnreadable(_finding(file, line, "", problem, valid=_UTF_8)) from None


def _csv_rows(file: str, text: str, findings: list[Finding]) -> Iterator[_Row]:
    stream = io.StringIO(text, newline="")
    first = text.lstrip("\r\n").partition("\n")[0].strip()
    if first.lower() in {"sep=;", "sep=,"}:  # Excel's way of saying it
        stream.readline()
        delimiter = first[-1]
    else:
        delimiter = ";" if first.count(";") >= first.count(",") and ";" in first else ","
    reader = csv.reader(stream, delimiter=delimiter, strict=True)
    skipped = 1 if stream.tell() else 0
    header: list[str] | None = None
    try:
        line = skipped + 1
        for cells in reader:
            if any(cell.strip() for cell in cells):
                if header is None:
                    header = _header(file, line, cells, findings)
                elif len(cells) != len(header):
                    problem = f"has {len(cells)} columns where the first line has {len(header)}"
                    findings.append(_finding(file, line, "", problem))
                else:
                    yield _Row(line, "", dict(zip(header, map(str.strip, cells), strict=True)))
            line = skipped + reader.line_num + 1
    except csv.Error as error:
        raise ListUnreadable(_finding(file, skipped + reader.line_num, "", f"is not CSV: {error}")) from None


def _header(file: str, line: int, cells: Sequence[str], findings: list[Finding]) -> list[str]:
    """The names of the columns. Unknown names are reported once; the known columns are still checked."""
    names = [cell.strip().lower() for cell in cells]
    for at, name in enumerate(names):
        if name not in COLUMNS:
            valid = ", ".join(COLUMNS)
            findings.append(
                _finding(file, line, "", "the first line names a column that there is not", cells[at], valid)
            )
        elif name in names[:at]:
            findings.append(_finding(file, line, name, "stands twice in the first line"))
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        problem = f"the first line does not name the column {', '.join(missing)}"
        raise ListUnreadable(_finding(file, line, "", problem, valid=", ".join(COLUMNS)))
    return names


def _yaml_rows(file: str, text: str, findings: list[Finding]) -> Iterator[_Row]:
    try:
        document = parse(text)
    except DocumentUnreadable as unreadable:
        raise ListUnreadable(_finding(file, unreadable.line, "", str(unreadable))) from None
    findings += [
        _finding(file, document.lines.get(remark.path), dotted(remark.path), remark.problem)
        for remark in document.remarks
    ]
    people = document.value.get("people") if isinstance(document.value, dict) else None
    if not isinstance(people, list):
        raise ListUnreadable(
            _finding(file, 1, "people", "is no list of people", valid="`people:` and below it `- id: …`")
        )
    for at, entry in enumerate(people):
        path = ("people", at)
        line = document.lines.get(path, 1)
        if not isinstance(entry, dict):
            findings.append(
                _finding(file, line, dotted(path), "is no person", valid="`id: …`, `name: …`, `portals: …`")
            )
            continue
        cells: dict[str, str] = {}
        for name, value in entry.items():
            key_line = document.lines.get((*path, name), line)
            if name not in COLUMNS:
                findings.append(
                    _finding(
                        file,
                        key_line,
                        dotted((*path, masked(name))),
                        "unknown key",
                        valid=", ".join(COLUMNS),
                    )
                )
            else:
                cells[name] = _cell(value)
        yield _Row(line, f"{dotted(path)}.", cells)


def _cell(value: object) -> str:
    """A YAML list as CSV writes it, with `|` between its items; an empty list is `-`."""
    if isinstance(value, list):
        return "|".join(map(str, value)) or columns.NOTHING
    return "" if value is None else str(value).strip()


def _listed(file: str, row: _Row, portals: Collection[str], findings: list[Finding]) -> ListedPerson | None:
    """The person of a row. If anything in the row is wrong, adds all its faults to the findings and returns
    None."""
    before = len(findings)
    values: dict[str, object] = {}
    parsers: dict[str, Callable[[str], object]] = {
        "id": columns.member_id,
        "tax_number": columns.number,
        "name": columns.name,
        "email": columns.email,
        "phone": columns.phone,
        "portals": lambda text: columns.portals(text, portals),
        "roles": lambda text: columns.roles(text, portals),
        "certificates": columns.certificates,
        "blocked": columns.blocked,
    }
    for column, parse_cell in parsers.items():
        text = row.cells.get(column, "")
        valid = columns.VALID.get(
            column, f"{', '.join(sorted(portals))}, with spaces between them; `*` for all; `-` for none"
        )
        if not text and column in REQUIRED:
            findings.append(_finding(file, row.line, row.prefix + column, "is missing", valid=valid))
            continue
        try:
            values[column] = parse_cell(text)
        except ValueError as problem:
            findings.append(_finding(file, row.line, row.prefix + column, str(problem), text, valid))
    if len(findings) > before:
        return None
    renamed = {"id": "member_id", "blocked": "is_blocked"}
    person = ListedPerson(**{renamed.get(column, column): value for column, value in values.items()})  # type: ignore[arg-type]
    elsewhere = [granted for granted in person.roles or () if not granted.is_within(person.portals)]
    if elsewhere:
        stray = "names a portal that the person may not enter"
        findings.append(_finding(file, row.line, row.prefix + "roles", stray, str(elsewhere[0])))
        return None
    return person


def _finding(
    file: str, line: int | None, key: str, problem: str, read: str | None = None, valid: str = ""
) -> Finding:
    masked_text = None if read is None else masked(shown(read))
    return Finding(
        file=file, line=line, key=key, problem=problem, read=masked_text, valid=valid, severity="error"
    )
