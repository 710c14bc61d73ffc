from __future__ import annotations

import errno
import json
import os
import re
from pathlib import Path

import pytest

import authproxy.telemetry
from authproxy.access.decision import Reason
from authproxy.identity.person import Issuer, MemberId, Person, Subject
from authproxy.telemetry.audit import Audit, AuditFile, Event
from authproxy.telemetry.logging import bound
from tests.support.log_lines import NOW, log_lines
from tests.support.pages import SESSION

FIELDS = [
    "at",
    "event",
    "request_id",
    "portal",
    "client",
    "method",
    "level",
    "session",
    "person",
    "reason",
    "by",
    "operator",
    "detail",
]
README = Path(authproxy.telemetry.__file__).parent / "README.md"


def audit_into(lines: list[str], key: bytes = b"k" * 32) -> Audit:
    return Audit(lines.append, clock=lambda: NOW, person_key=key)


def test_every_event_has_every_field():
    lines: list[str] = []
    for event in Event:
        audit_into(lines).record(event)

    assert all(list(json.loads(line)) == FIELDS for line in lines)
    assert [json.loads(line)["event"] for line in lines] == [event.value for event in Event]


def test_a_session_fills_in_its_fields_without_the_name_of_the_person():
    lines: list[str] = []
    audit_into(lines).record(Event.SESSION_STARTED, session=SESSION)

    event = json.loads(lines[0])
    assert (event["portal"], event["method"], event["level"], event["session"]) == (
        "acq",
        "rekono",
        20,
        SESSION.session_id,
    )
    assert re.fullmatch("[0-9a-f]{32}", event["person"])
    for personal in ("a1b2", "Novak", "ana@", "99990008", SESSION.id_token):
        assert personal not in lines[0]


def test_the_fields_of_the_current_request_are_added():
    lines: list[str] = []
    with bound(request_id="r1", client="203.0.113.7", portal="acq"):
        audit_into(lines).record(Event.SIGN_IN_REFUSED, reason=Reason.COOKIES_OFF)
        audit_into(lines).record(Event.SIGN_IN_REFUSED, request_id="r2", client="::1", portal="b2b")

    first, second = map(json.loads, lines)
    assert (first["request_id"], first["client"], first["portal"], first["reason"]) == (
        "r1",
        "203.0.113.7",
        "acq",
        "cookies_off",
    )
    assert (second["request_id"], second["client"], second["portal"]) == ("r2", "::1", "b2b")


def test_a_pseudonym_depends_on_the_key():
    ana = Person(issuer=Issuer("https://a/"), subject=Subject("b"))
    moved = Person(issuer=Issuer("https://"), subject=Subject("a/b"))

    assert audit_into([]).name_of(ana) == audit_into([]).name_of(ana)
    assert audit_into([]).name_of(ana) != audit_into([]).name_of(moved)
    assert audit_into([]).name_of(ana) != audit_into([], b"x" * 32).name_of(ana)


def test_a_member_has_one_pseudonym_for_all_sign_in_methods():
    by_rekono = Person(issuer=Issuer("https://a/"), subject=Subject("b"), member=MemberId("m-1"))
    by_certificate = Person(issuer=Issuer("https://gateway/"), subject=Subject("m-1"), member=MemberId("m-1"))
    namesake = Person(issuer=Issuer("https://a/"), subject=Subject("m-1"))
    names = [audit_into([]).name_of(person) for person in (by_rekono, by_certificate, namesake)]

    assert names[0] == names[1] != names[2]


def test_an_event_is_one_short_line():
    lines: list[str] = []
    audit_into(lines).record(Event.REQUEST_REFUSED, detail="a\r\n\u2028" * 1000)

    assert len(lines[0].splitlines()) == 1
    assert len(json.loads(lines[0])["detail"]) == 256


def test_an_event_that_cannot_be_written_is_counted_and_logged():
    def full(_line: str) -> None:
        raise OSError(errno.ENOSPC, "no space")

    audit = Audit(full, clock=lambda: NOW, person_key=b"")
    with log_lines() as log:
        audit.record(Event.SESSION_STARTED, session=SESSION)

    assert audit.lost == 1
    assert (log.lines()[0]["event"], log.lines()[0]["audit_event"], log.lines()[0]["level"]) == (
        "audit.lost",
        "session.started",
        "error",
    )


def test_the_file_is_appended_to_and_readable_by_owner_and_group_only(tmp_path):
    path = tmp_path / "audit.jsonl"
    path.write_text("before\n")
    path.unlink()
    first = AuditFile(path)
    first.write(b"one\n")
    first.close()
    second = AuditFile(path)
    second.write("twö\n".encode())
    second.close()

    assert path.read_text(encoding="utf-8") == "one\ntwö\n"
    assert path.stat().st_mode & 0o137 == 0


def test_a_rotated_file_is_left_and_a_new_one_begun(tmp_path):
    path = tmp_path / "audit.jsonl"
    file = AuditFile(path)
    file.write(b"old\n")
    path.rename(tmp_path / "audit.1")
    file.write(b"still old\n")
    file.reopen()
    file.write(b"new\n")
    file.close()

    assert (tmp_path / "audit.1").read_text() == "old\nstill old\n"
    assert path.read_text() == "new\n"


@pytest.mark.parametrize("goes_on", ["after a restart", "after SIGHUP"])
def test_an_incomplete_last_line_does_not_damage_the_next_one(tmp_path, goes_on):
    path = tmp_path / "audit.jsonl"
    path.write_text('{"event": "one"}\n')
    file = AuditFile(path)
    path.write_text('{"event": "one"}\n{"event": "tw')
    if goes_on == "after SIGHUP":
        file.reopen()
    else:
        file.close()
        file = AuditFile(path)
    file.write(b'{"event": "three"}\n')
    file.close()

    assert path.read_text().splitlines() == ['{"event": "one"}', '{"event": "tw', '{"event": "three"}']


def test_if_the_new_file_cannot_be_opened_the_old_one_is_used(tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir()
    file = AuditFile(folder / "audit.jsonl")
    folder.rename(tmp_path / "away")
    with pytest.raises(OSError, match="No such file"):
        file.reopen()
    file.write(b"kept\n")
    file.close()

    assert (tmp_path / "away" / "audit.jsonl").read_text() == "kept\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_an_error_of_the_file():
    file = AuditFile(Path("/dev/full"))
    with pytest.raises(OSError, match="No space"):
        file.write(b"x\n")
    file.close()


def test_the_readme_has_the_meaning_of_every_event_once():
    rows = re.findall(
        r"^\| `([a-z_.]+)` \| (.+) \|$",
        README.read_text(encoding="utf-8").partition("## Audit")[2].partition("\n## ")[0],
        re.MULTILINE,
    )

    assert sorted(event for event, _ in rows) == sorted(event.value for event in Event)


def test_every_event_is_met_in_a_test_of_what_brings_it_about():
    tests = Path(__file__).parents[2]
    written = "".join(
        path.read_text(encoding="utf-8") for path in tests.rglob("test_*.py") if path != Path(__file__)
    )
    assert [event.value for event in Event if event.value not in written] == []


def test_no_descriptor_is_left_to_children(tmp_path):
    file = AuditFile(tmp_path / "audit.jsonl")
    assert not os.get_inheritable(file._descriptor)
    file.close()
