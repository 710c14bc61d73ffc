"""What an operator does about methods that people have enrolled, and about people who are not in the
register."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner

from authproxy.challenges.enrolment import Enrolment
from authproxy.cli import main
from authproxy.identity.person import Person
from authproxy.storage.redis import keys as keyspace
from tests.support.people_desk import ANA, ANAS, CVETKA, HEADER, Desk
from tests.support.terminal import at_a_terminal

pytestmark = pytest.mark.needs("redis-server")
OUTSIDER = ("account", "https://provider/", "sub")
SUBJECT = ("--subject", *OUTSIDER[1:])
ENROLLED_AT = datetime(2026, 11, 29, 10, tzinfo=UTC)


class MethodsDesk(Desk):
    def enrol(self, owner, *, label="Telefon"):
        async def enrolled(opened):
            for name, method in (("app-1", "totp"), ("-phone", "push")):
                await opened.enrolments.add(
                    owner, Enrolment(enrolment_id=name, method=method, label=label, enrolled_at=ENROLLED_AT)
                )
            await opened.enrolments.put_recovery(owner, ["a", "b"])

        self.in_store(enrolled)

    def left(self, owner):
        async def found(opened):
            return sorted(
                each.method for each in await opened.enrolments.of(owner) if each.method != "recovery"
            ), await opened.enrolments.recovery_left(owner)

        return self.in_store(found)

    def told(self):
        """Of each event what, whose method, and by whom."""
        return [(event["event"], event["method"]) for event in self.events()]


@pytest.fixture
def desk(config):
    desk = MethodsDesk(config)
    desk.imported(ANA, CVETKA)
    return desk


def test_methods_are_listed_without_what_proves_anything(desk):
    desk.enrol(ANAS)
    for words in ((), ("list",)):
        shown = desk.run("methods", "ana", *words)
        assert "app-1" in shown.stdout
        assert "2026-11-29T10:00:00Z" in shown.stdout
        assert shown.stderr.endswith("2 recovery codes left\n")
    told = json.loads(desk.run("methods", "ana", "--json").stdout)
    assert {
        "id": "-phone",
        "method": "push",
        "label": "Telefon",
        "level": 10,
        "enrolled_at": "2026-11-29T10:00:00Z",
    } in told["methods"]
    assert [each["enrolled_at"] for each in told["methods"] if each["method"] == "recovery"] == [
        "-"
    ]  # nobody has written down when
    assert told["recovery_codes_left"] == 2
    assert [event["event"] for event in desk.every_event()] == ["act.announced", "person.imported"]


def test_one_method_is_removed_by_its_id_and_written_down(desk):
    desk.enrol(ANAS)
    assert desk.run("methods", "ana", "remove", "app-1").stdout == "ana: totp removed; 0 sessions ended\n"
    assert desk.run(
        "methods", "ana", "remove", "--", "-phone", code=2
    ).output  # the settings stand before the dashes
    result = CliRunner().invoke(
        main, ["people", "methods", "-c", str(desk.config), "ana", "remove", "--", "-phone"]
    )
    assert result.stdout == "ana: push removed; 0 sessions ended\n"
    assert desk.left(ANAS) == ([], 2)
    [sheet] = json.loads(desk.run("methods", "ana", "--json").stdout)["methods"]
    assert (
        desk.run("methods", "ana", "remove", sheet["id"]).stdout
        == "ana: recovery removed; 0 sessions ended\n"
    )
    assert desk.left(ANAS) == ([], 0)
    assert desk.told()[1:] == [
        ("method.removed", "totp"),
        ("method.removed", "push"),
        ("method.removed", "recovery"),
    ]
    assert {(event["by"], event["person"] not in (None, "ana")) for event in desk.events()[1:]} == {
        ("operator", True)
    }


def test_all_methods_are_removed_and_their_person_signed_out(desk):
    desk.enrol(ANAS)
    desk.sign_in(person=_member("ana"))
    assert desk.run("methods", "ana", "remove", "--all").stdout.endswith("; 1 sessions ended\n")
    assert desk.left(ANAS) == ([], 0)
    assert sorted(desk.told()[1:]) == [
        ("method.removed", "push"),
        ("method.removed", "recovery"),
        ("method.removed", "totp"),
    ]
    announced = [event["detail"] for event in desk.every_event() if event["event"] == "act.announced"]
    assert announced[-1] == "people methods remove --all"


def test_methods_of_somebody_outside_the_register_are_named_by_their_account(desk):
    desk.enrol(OUTSIDER)
    assert "app-1" in desk.run("methods", *SUBJECT, "list").stdout
    assert desk.run("methods", *SUBJECT, "remove", "--all").stdout.startswith("sub: ")
    assert desk.left(OUTSIDER) == ([], 0)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "name either"),
        (["ana", "erase"], "say `list`"),
        (["ana", "remove"], "say which"),
        (["ana", "list", "app-1"], "takes neither"),
        (["ana", "--all"], "takes neither"),
        (["ana", "remove", "app-1", "--all"], "say which"),
        ([*SUBJECT, "remove", "a", "b"], "say which"),
    ],
)
def test_what_makes_no_sense_removes_nothing(desk, words, said):
    desk.enrol(ANAS)
    assert said in desk.run("methods", *words, code=2).stderr
    assert desk.left(ANAS) == (["push", "totp"], 2)


def test_who_or_what_is_not_there_is_a_sentence(desk):
    assert desk.run("methods", "david", code=1).stderr == "nobody in the register has the id david\n"
    assert desk.run("methods", "ana", "remove", "nothing", code=1).stderr.startswith(
        "there is no method nothing"
    )
    assert desk.every_event()[-1]["event"] == "act.abandoned"
    desk.run("link", "ana", *SUBJECT)
    for command in (["methods"], ["block"], ["unblock"]):
        assert (
            desk.run(*command, *SUBJECT, code=1).stderr
            == "the account sub is that of ana in the register: name that person instead\n"
        )


# What becomes of methods when somebody is let in again.


@pytest.mark.parametrize(
    ("choice", "state", "left"),
    [("--keep-methods", "kept", (["push", "totp"], 2)), ("--remove-methods", "removed", ([], 0))],
)
@pytest.mark.parametrize("is_outside", [False, True])
def test_without_a_terminal_it_must_be_said_what_becomes_of_methods(desk, choice, state, left, is_outside):
    name, owner = (SUBJECT, OUTSIDER) if is_outside else (("ana",), ANAS)
    desk.enrol(owner)
    desk.run("block", *name)
    refused = desk.run("unblock", *name, code=2)
    assert "say --keep-methods or --remove-methods: there are " in refused.stderr
    assert "totp “Telefon”" in refused.stderr
    assert desk.events()[-1]["event"] == "person.blocked"
    assert f"not blocked; no wrong answers; methods {state}" in desk.run("unblock", *name, choice).stdout
    assert desk.left(owner) == left


@pytest.mark.parametrize(
    ("answer", "said", "left"),
    [
        ("y", "methods kept", (["push", "totp"], 2)),
        ("n", "methods removed", ([], 0)),
        ("\nmaybe\nyes", "methods kept", (["push", "totp"], 2)),
    ],
)
def test_at_a_terminal_it_is_asked(desk, answer, said, left):
    desk.enrol(ANAS)
    desk.run("block", "ana")
    code, told = at_a_terminal(
        "people", "unblock", "ana", "-c", desk.config, asked="[y/n]: ", keys=f"{answer}\n"
    )
    assert code == 0
    assert "Enrolled: recovery, push “Telefon”, totp “Telefon”." in told
    assert told.strip().endswith(f"{said}; 0 sessions ended")
    assert desk.left(ANAS) == left


def test_whoever_was_blocked_by_wrong_codes_alone_keeps_their_methods_unasked(desk):
    desk.enrol(ANAS)
    desk.answer_wrongly(ANAS)
    assert (
        desk.run("unblock", "ana").stdout == "ana: not blocked; wrong answers forgotten; 0 sessions ended\n"
    )
    assert desk.left(ANAS) == (["push", "totp"], 2)


# Blocking by account.


def test_an_account_outside_the_register_is_blocked_listed_and_let_in_again(desk):
    desk.sign_in(person=_account())
    assert (
        desk.run("block", *SUBJECT, "--reason", "ukradeno geslo").stdout == "sub: blocked; 1 sessions ended\n"
    )
    [row] = json.loads(desk.run("list", "--blocked-accounts", "--json").stdout)
    assert (row["issuer"], row["subject"], row["reason"]) == ("https://provider/", "sub", "ukradeno geslo")
    assert desk.run("list", "--blocked-accounts").stderr.endswith("1 accounts\n")
    assert desk.run("unblock", *SUBJECT).stdout == "sub: not blocked; no wrong answers\n"
    assert json.loads(desk.run("list", "--blocked-accounts", "--json").stdout) == []
    events = desk.every_event()[2:]
    assert [event["event"] for event in events] == [
        "act.announced",
        "person.blocked",
        "act.announced",
        "person.unblocked",
    ]
    assert {event["person"] for event in events} == {row["audit_name"]}
    assert "geslo" not in json.dumps(events)


def test_a_blocked_account_is_linked_to_nobody(desk):
    desk.run("block", *SUBJECT)
    assert desk.run("link", "ana", *SUBJECT, code=1).stderr.startswith(
        "the account is blocked: end that first"
    )
    assert desk.shown("ana")["accounts"] == []


def test_blocking_needs_one_name(desk):
    desk.run("block", code=2)
    desk.run("block", "ana", *SUBJECT, code=2)


# A lost register.


def test_a_lost_register_is_told_and_begun_anew_only_when_that_is_said(desk, redis_server):
    redis_server.command("DEL", keyspace.REGISTER_PEOPLE)
    file = desk.file(HEADER + ANA)
    for command in (["import", file, "--replace"], ["list"], ["block", "ana"], ["show", "ana"]):
        assert "a part of the register of people is lost" in desk.run(*command, code=1).stderr
    desk.run("import", file, "--new-register", code=2)
    assert desk.run("import", file, "--new-register", "--keep-methods").stdout.startswith("1 added")
    assert desk.shown("ana")["name"] == "Ana Novak"
    assert desk.events()[-1]["detail"] == "a new register: 1 added; methods kept"
    assert "is there and whole" in desk.run("import", file, "--new-register", "--keep-methods", code=1).stderr
    desk.run("import", file, "--keep-methods", code=2)


def _member(member_id):
    return Person(issuer="https://x/", subject="s", member=member_id)


def _account():
    return Person(issuer=OUTSIDER[1], subject=OUTSIDER[2])
