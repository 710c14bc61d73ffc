from __future__ import annotations

import base64
from dataclasses import replace
from datetime import timedelta
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.access.header_names import PRESETS, HeaderNames
from authproxy.flows import identity_headers
from tests.support.session_builders import NOW, new_ticket, session_for

ASSERTION = "eyJhbGciOiJFUzI1NiJ9.e30.c2ln"
ENCODINGS = ("percent", "ascii-fold", "latin1", "utf8", "base64")


def session(**person):
    made = session_for(new_ticket())
    return replace(made, person=replace(made.person, **person))


def values(one, *, encoding="percent", **names):
    block = identity_headers.lines(one, HeaderNames(encoding=encoding, **names), assertion=ASSERTION)
    assert block.endswith(b"\r\n")
    return dict(line.split(b": ", 1) for line in block[:-2].split(b"\r\n"))


def test_a_session_becomes_nine_lines():
    assert values(session(name="Ana Novak")) == {
        b"X-Auth-Subject": b"ana.novak",
        b"X-Auth-Name": b"Ana Novak",
        b"X-Auth-Email": b"ana@example.si",
        b"X-Auth-Tax-Number": b"12345679",
        b"X-Auth-Method": b"rekono",
        b"X-Auth-Level": b"20",
        b"X-Auth-Roles": b"-",
        b"X-Auth-Step-Up": b"rekono;at=2026-11-22T08:00:00Z",
        b"X-Auth-Assertion": ASSERTION.encode(),
    }


def test_what_is_not_known_is_a_dash():
    nobody = replace(session(name=None, email="", tax_number=None), events=())
    found = values(nobody)
    assert [found[b"X-Auth-" + name] for name in (b"Name", b"Email", b"Tax-Number", b"Step-Up")] == [b"-"] * 4


def test_an_empty_name_leaves_the_line_out():
    assert set(
        values(
            session(),
            name="",
            step_up="",
            tax_number="",
            method="",
            level="",
            roles="",
            email="",
            subject="",
        )
    ) == {b"X-Auth-Assertion"}


def test_every_step_up_is_named_with_its_time_and_plain_proofs_are_not():
    one = session()
    event = one.events[0]
    more = (
        event,
        replace(event, is_step_up=False, method="acnlb"),
        replace(event, method="sms", at=NOW + timedelta(minutes=1)),
    )
    assert (
        values(replace(one, events=more))[b"X-Auth-Step-Up"]
        == b"rekono;at=2026-11-22T08:00:00Z, sms;at=2026-11-22T08:01:00Z"
    )


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [
        ("percent", b"%C5%BDiva %C4%8Cer%C4%91i%C4%87 100%25"),
        ("ascii-fold", b"Ziva Cerdic 100%"),
        ("latin1", b"?iva ?er?i? 100%"),
        ("utf8", "Živa Čerđić 100%".encode()),
        ("base64", base64.b64encode("Živa Čerđić 100%".encode())),
    ],
)
def test_a_name_beyond_ascii_is_written_as_asked(encoding, expected):
    assert values(session(name="Živa Čerđić 100%"), encoding=encoding)[b"X-Auth-Name"] == expected


def test_latin1_composes_first():
    assert values(session(name="Rene\u0301"), encoding="latin1")[b"X-Auth-Name"] == b"Ren\xe9"


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_the_encoding_is_for_free_text_and_touches_nothing_else(encoding):
    found = values(session(), encoding=encoding)
    assert (
        found[b"X-Auth-Assertion"],
        found[b"X-Auth-Level"],
        found[b"X-Auth-Method"],
        found[b"X-Auth-Tax-Number"],
    ) == (
        ASSERTION.encode(),
        b"20",
        b"rekono",
        b"12345679",
    )


@pytest.mark.parametrize("encoding", ENCODINGS)
@given(name=st.text(max_size=30))
def test_no_name_ends_a_line_or_leaves_it_empty(encoding, name):
    value = values(session(name=name), encoding=encoding)[b"X-Auth-Name"]
    assert value == value.strip()
    assert value
    assert not set(value) & set(b"\x00\r\n\x0b\x0c\x1b\x7f")


@given(name=st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=30))
def test_percent_loses_nothing(name):
    assert unquote(values(session(name=name))[b"X-Auth-Name"].decode()) == (name.strip() or "-")


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("name", ["\u0301", "\ud800", "\u2028", " ", "\u00b4", "\u0085"])
def test_a_name_of_nothing_readable_is_a_value_still(encoding, name):
    assert values(session(name=name), encoding=encoding)[b"X-Auth-Name"]


def test_a_name_with_a_line_end_stays_in_its_line():
    assert values(session(name="Ana\r\nX-Auth-Level: 30"))[b"X-Auth-Name"] == b"Ana  X-Auth-Level: 30"


def test_a_member_is_known_by_the_id_of_the_register():
    assert values(session(member="m-1"))[b"X-Auth-Subject"] == b"m-1"


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_people_who_differ_by_a_blank_a_caron_or_a_dash_stay_different_people(encoding):
    subjects = [
        "ana",
        "ana ",
        " ana",
        "ana\u00a0",
        "žiga",
        "ziga",
        "z\u030ciga",
        "李",
        "?",
        "-",
        "%2D",
        "",
        "a b",
        "a%20b",
        "a\tb",
        "a\nb",
        "Đ",
        "D",
    ]
    lines = [values(session(subject=subject), encoding=encoding)[b"X-Auth-Subject"] for subject in subjects]
    assert len(set(lines)) == len(subjects)
    assert lines[:3] == [b"ana", b"ana%20", b"%20ana"]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize(
    ("field", "header"),
    [("subject", b"X-Auth-Subject"), ("member", b"X-Auth-Subject"), ("email", b"X-Auth-Email")],
)
@given(value=st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=30))
def test_what_a_portal_finds_somebody_by_comes_back_as_it_was(encoding, field, header, value):
    written = values(session(**{field: value}), encoding=encoding)[header]
    assert unquote(written.decode("ascii"), errors="strict") == value
    assert written == written.strip()
    assert written != b"-"
    assert all(0x20 <= octet < 0x7F for octet in written)


def test_addresses_that_look_alike_without_their_caron_stay_different():
    assert (
        values(session(email="žiga@example.si"), encoding="ascii-fold")[b"X-Auth-Email"]
        == b"%C5%BEiga@example.si"
    )


def test_a_subject_that_no_header_can_carry_is_refused():
    with pytest.raises(ValueError, match="surrogates"):
        values(session(subject="ana\ud800"))


def test_nobody_has_a_dash_in_every_line_and_no_assertion():
    names = replace(PRESETS["mod_auth_openidc"], level="X-Level")
    assert identity_headers.of_nobody(names) == (
        b"OIDC_CLAIM_sub: -\r\nOIDC_CLAIM_name: -\r\nOIDC_CLAIM_email: -\r\nX-Level: -\r\nOIDC_CLAIM_roles: -\r\n"
    )
    ours = identity_headers.of_nobody(HeaderNames())
    assert (ours.count(b": -\r\n"), b"Assertion" in ours) == (8, False)


@pytest.mark.parametrize(
    ("separator", "text"), [(",", b"approver,clerk"), ("|", b"approver|clerk"), ("; ", b"approver; clerk")]
)
def test_roles_are_one_list_as_the_portal_splits_it(separator, text):
    one = replace(session(), roles=("approver", "clerk"))
    assert values(one, roles_separator=separator)[b"X-Auth-Roles"] == text
    assert values(replace(one, roles=("clerk",)), roles_separator=separator)[b"X-Auth-Roles"] == b"clerk"


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), min_size=1))
def test_no_role_can_end_the_line_or_the_list_whatever_the_store_says(roles):
    written = values(replace(session(), roles=tuple(roles)))[b"X-Auth-Roles"]
    assert [unquote(role) for role in written.decode("ascii").split(",")] == roles


def test_a_program_becomes_nine_lines_of_which_only_those_about_programs_say_something():
    block = identity_headers.of_machine("batch 100%", HeaderNames(), assertion=ASSERTION)
    assert dict(line.split(b": ", 1) for line in block[:-2].split(b"\r\n")) == {
        b"X-Auth-Subject": b"batch 100%25",
        b"X-Auth-Name": b"-",
        b"X-Auth-Email": b"-",
        b"X-Auth-Tax-Number": b"-",
        b"X-Auth-Method": b"machine",
        b"X-Auth-Level": b"0",
        b"X-Auth-Roles": b"-",
        b"X-Auth-Step-Up": b"-",
        b"X-Auth-Assertion": ASSERTION.encode(),
    }


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_tells_of_programs_under_the_names_that_it_uses_for_people(preset):
    names = PRESETS[preset]
    of_machine = identity_headers.of_machine("-", names, assertion=ASSERTION)
    of_person = identity_headers.lines(session(), names, assertion=ASSERTION)
    assert [line.partition(b":")[0] for line in of_machine.splitlines()] == [
        line.partition(b":")[0] for line in of_person.splitlines()
    ]
    assert not names.subject or f"{names.subject}: %2D".encode() in of_machine


def test_without_a_name_for_it_no_assertion_about_a_program_is_sent():
    block = identity_headers.of_machine("batch", HeaderNames(assertion="", level=""), assertion=ASSERTION)
    assert ASSERTION.encode() not in block
    assert b"Level" not in block
