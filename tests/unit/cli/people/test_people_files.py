from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.cli.people import files
from authproxy.cli.people.files import ListUnreadable
from authproxy.identity.member import PortalRole, RegisterKey
from authproxy.identity.person import MemberId
from authproxy.identity.register import Conflict, ListedPerson

HEADER = "id;tax_number;name;email;phone;portals;certificates;blocked"
ANA = "ana;99990008;Ana Žužemberk;ana@example.si;+386 40 123 456;acq b2b;;"
LISTED = ListedPerson(
    member_id=MemberId("ana"),
    tax_number="99990008",
    name="Ana Žužemberk",
    email="ana@example.si",
    phone="+38640123456",
    portals=("acq", "b2b"),
)


def read(text, file="people.csv"):
    octets = text if isinstance(text, bytes) else text.encode()
    return files.read(file, octets, portals={"acq", "b2b"})


def findings(text, file="people.csv"):
    return [str(each).replace(f"{file}:", "") for each in read(text, file).findings]


def unreadable(text, file="people.csv"):
    with pytest.raises(ListUnreadable) as told:
        read(text, file)
    return str(told.value)


@pytest.mark.parametrize(
    "text",
    [
        f"{HEADER}\n{ANA}\n",
        f"\ufeff{HEADER}\r\n{ANA}\r\n",
        f"sep=;\r\n{HEADER}\r\n\r\n{ANA}\r\n;;;;;;;\r\n",
        f"{HEADER}\n{ANA}\n".replace(";", ","),
        f"sep=,\n{HEADER}\n{ANA}\n".replace(";", ",").replace("sep=,", "sep=,"),
        (
            'ID, Portals ,NAME,phone,email,tax_number\nana,"acq,b2b","Ana '
            'Žužemberk",+38640123456,ana@example.si,SI99990008\n'
        ),
    ],
)
def test_a_list_is_read_in_the_dialects_of_spreadsheets(text):
    listed = read(text)
    assert (listed.people, listed.findings) == ((LISTED,), ())


def test_yaml_says_the_same():
    text = """
people:
  - id: ana
    tax_number: 99990008
    name: Ana Žužemberk
    email: ana@example.si
    phone: +386 40 123 456
    portals: [acq, b2b]
    blocked:
  - {id: cvetka, name: Cvetka, portals: [], certificates: [], blocked: no}
"""
    listed = read(text, "people.YAML")
    assert listed.findings == ()
    assert listed.people == (
        LISTED,
        ListedPerson(member_id=MemberId("cvetka"), name="Cvetka", certificates=(), is_blocked=False),
    )
    assert listed.lines == {"ana": 3, "cvetka": 10}


def test_lines_are_those_of_the_file_though_a_cell_has_several():
    text = f'{HEADER}\n\n{ANA}\nb;;"B\nC";;;acq;;\nc;;;;;acq;;\n'
    assert [each.partition(": ")[0] for each in findings(text)] == ["4", "6"]
    assert read(f"{HEADER}\n\n{ANA}\n").lines == {"ana": 3}


def test_everything_that_is_wrong_is_told_at_once_with_its_column_and_without_numbers():
    told = findings(f"{HEADER}\n{ANA}\na b;99990009;;x;040 123 456;acq bips;a1;maybe\nana;;Ana;;;acq;;\n")
    assert [each.split(": ")[1] for each in told] == [
        "id",
        "tax_number",
        "name",
        "email",
        "phone",
        "portals",
        "certificates",
        "blocked",
        "id",
    ]
    assert (
        told[1]
        == "3: tax_number: the check digit of the tax number is wrong (read: *****009; valid: eight digits with a right check digit, with or without `SI`)"
    )
    assert (
        told[4]
        == "3: phone: has no country: a Slovenian number begins with `+386` in the place of the 0 (read: *** *** 456; valid: E.164: `+38640123456`)"
    )
    assert "valid: acq, b2b, with spaces between them" in told[5]
    assert told[8] == "4: id: stands twice; the first time on line 2 (read: ana)"


@pytest.mark.parametrize("column", range(8))
def test_a_number_in_the_wrong_column_is_not_shown_either(column):
    cells = ["x y", "x", "", "x", "x", "x", "x", "x"]
    cells[column] = "SI99990008 +38640123456"
    assert not any(
        "99990008" in each or "40123456" in each.replace("`+38640123456`", "")
        for each in findings(f"{HEADER}\n{';'.join(cells)}\n")
    )


def test_a_row_with_too_few_columns_and_a_column_that_there_is_not_are_told():
    told = findings("id;name;portals;surname\nana;Ana;acq\n")
    assert told[0].startswith(
        "1: the first line names a column that there is not (read: surname; valid: id, tax_number,"
    )
    assert told[1] == "2: has 3 columns where the first line has 4"
    assert findings("id;name;portals;id\n") == ["1: id: stands twice in the first line"]


def test_data_in_the_place_of_the_header_are_masked():
    assert "99990008" not in unreadable("ana;99990008;Ana\n")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"", "has nobody in it"),
        (HEADER, "has nobody in it"),
        ("id;name\nana;Ana\n", "does not name the column portals"),
        (f"{HEADER}\n{ANA}".encode("utf-16"), "UTF-16"),
        (b"id\0", "UTF-16, or no text"),
        (
            f"{HEADER}\n{ANA}\n".encode("cp1250"),
            "people.csv:2: is not UTF-8 text: it looks like Windows-1250",
        ),
        (f'{HEADER}\n"ana;\n', "is not CSV"),
    ],
)
def test_what_is_no_list_is_refused_with_one_clear_word(text, told):
    assert told in unreadable(text)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "is no list of people"),
        ("- id: ana", "is no list of people"),
        ("people: {}", "is no list of people"),
        ("people: []", "has nobody in it"),
        ("people:\n  - id: 'ana\n", "people.yaml:3: is not YAML"),
    ],
)
def test_yaml_that_is_no_list_is_refused(text, told):
    assert told in unreadable(text, "people.yaml")


def test_findings_in_yaml_name_the_place():
    told = findings(
        "people:\n  - ana\n  - id: ana\n    id: bor\n    name: Ana\n    portals: acq\n    99990008: x\n",
        "people.yaml",
    )
    assert told == [
        "4: people[1].id: stands twice; the first time on line 3",
        "2: people[0]: is no person (valid: `id: …`, `name: …`, `portals: …`)",
        (
            '7: people[1]."*****008": unknown key (valid: id, tax_number, name, email, phone, portals, '
            "roles, certificates, blocked)"
        ),
    ]


def test_contradictions_are_told_on_the_line_that_can_be_mended():
    listed = read(f"{HEADER}\n{ANA}\nbor;;Bor;;;acq;;\n")
    key = RegisterKey("tax number", "99990008")
    among = Conflict(MemberId("bor"), MemberId("ana"), key)
    with_register = Conflict(MemberId("bor"), MemberId("old"), RegisterKey("fingerprint", "a1"))
    of_the_register = Conflict(MemberId("old"), MemberId("ana"), RegisterKey("account", "x"))
    assert [str(each) for each in listed.conflicts([among, with_register, of_the_register])] == [
        "people.csv:3: tax_number: is that of `ana` on line 2: one tax number leads to one person",
        "people.csv:3: certificates: is that of `old` in the register: one fingerprint leads to one person",
        "people.csv:2: id: is that of `old` in the register: one account leads to one person",
    ]


@given(
    st.binary(max_size=200)
    | st.text(max_size=200).map(lambda text: f"{HEADER}\n{text}".encode("utf-8", "replace"))
)
def test_no_octets_are_more_than_a_list_or_a_refusal(octets):
    for file in ("people.csv", "people.yaml"):
        try:
            listed = files.read(file, octets, portals={"acq"})
        except ListUnreadable:
            continue
        assert listed.people or listed.findings


def test_roles_stand_in_csv_and_yaml():
    in_csv = read(
        "id;name;portals;roles\nana;Ana;acq b2b;acq:approver *:auditor\nbor;Bor;acq;-\ncene;Cene;acq;\n"
    )
    in_yaml = read(
        "people:\n"
        "  - {id: ana, name: Ana, portals: [acq, b2b], roles: ['acq:approver', '*:auditor']}\n"
        "  - {id: bor, name: Bor, portals: acq, roles: []}\n"
        "  - {id: cene, name: Cene, portals: acq}\n",
        "people.yaml",
    )
    for listed in (in_csv, in_yaml):
        assert listed.findings == ()
        assert [person.roles for person in listed.people] == [
            (PortalRole("acq", "approver"), PortalRole("*", "auditor")),
            (),
            None,
        ]


@pytest.mark.parametrize(
    ("portals", "roles", "told"),
    [
        ("acq", "b2b:clerk", "2: roles: names a portal that the person may not enter"),
        ("-", "acq:clerk", "2: roles: names a portal that the person may not enter"),
        ("acq", "bips:clerk", "2: roles: names a portal that the settings do not have"),
        ("acq", "clerk", "2: roles: is no role at a portal"),
    ],
)
def test_a_role_needs_a_portal_that_the_person_may_enter(portals, roles, told):
    [finding] = findings(f"id;name;portals;roles\nana;Ana;{portals};{roles}\n")
    assert finding.startswith(told)
