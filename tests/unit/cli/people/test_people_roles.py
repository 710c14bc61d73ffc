"""What an operator does about roles."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from authproxy.identity.person import MemberId
from tests.support.people_desk import ANA, CVETKA, Desk
from tests.support.session_builders import new_ticket, session_for

pytestmark = pytest.mark.needs("redis-server")
PERSON = replace(session_for(new_ticket()).person, member=MemberId("ana"))


@pytest.fixture
def desk(config):
    desk = Desk(config)
    desk.imported(ANA, CVETKA)
    return desk


def test_a_role_that_is_added_is_shown_and_written_down_and_signs_nobody_out(desk):
    desk.sign_in(person=PERSON)
    assert desk.run("roles", "ana").stdout == "no roles\n"
    added = desk.run("roles", "ana", "add", "acq:approver", "*:auditor")
    assert added.stdout == "ana: *:auditor acq:approver; 0 sessions ended\n"
    assert desk.run("roles", "ana", "list").stdout == "*:auditor acq:approver\n"
    roles = ["*:auditor", "acq:approver"]
    assert json.loads(desk.run("roles", "ana", "--json").stdout) == {"roles": roles}
    assert desk.shown("ana")["roles"] == roles
    assert json.loads(desk.run("list", "--json").stdout)[0]["roles"] == roles
    assert desk.events()[-1]["event"] == "person.roles_changed"
    assert desk.events()[-1]["detail"] == "+acq:approver +*:auditor; 0 sessions ended"
    assert desk.events()[-1]["person"] not in (None, "ana")


def test_whoever_loses_a_role_is_signed_out(desk):
    desk.run("roles", "ana", "add", "acq:approver", "*:auditor")
    desk.sign_in(person=PERSON, roles=("approver", "auditor"))
    removed = desk.run("roles", "ana", "remove", "acq:approver")
    assert removed.stdout == "ana: *:auditor; 1 sessions ended\n"
    assert desk.events()[-1]["detail"] == "-acq:approver; 1 sessions ended"


def test_a_list_adds_and_removes_roles(desk):
    header = "id;tax_number;name;portals;roles\n"
    desk.run("import", desk.file(f"{header}ana;99990008;Ana Novak;acq b2b;acq:approver\n"))
    assert desk.shown("ana")["roles"] == ["acq:approver"]
    desk.imported(ANA)
    assert desk.shown("ana")["roles"] == ["acq:approver"]
    desk.sign_in(person=PERSON, roles=("approver",))
    told = desk.run("import", desk.file(f"{header}ana;99990008;Ana Novak;acq b2b;-\n"))
    assert "1 sessions ended" in told.stdout
    assert desk.shown("ana")["roles"] == []


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("nobody", "add", "acq:approver"), 1, "nobody in the register has the id nobody"),
        (("nobody",), 1, "nobody in the register has the id nobody"),
        (("ana", "remove", "acq:approver"), 1, "ana does not have acq:approver"),
        (("ana", "add", "bips:approver"), 2, "names a portal that the settings do not have"),
        (("ana", "add", "approver"), 2, "is no role at a portal"),
        (("ana", "add", "acq:a,b"), 2, "is no role at a portal"),
        (("ana", "add"), 2, "say `list`"),
        (("ana", "list", "acq:approver"), 2, "say `list`"),
        (("ana", "grant", "acq:approver"), 2, "say `list`"),
    ],
)
def test_what_is_no_change_is_named_and_changes_nothing(desk, words, code, told):
    assert told in desk.run("roles", *words, code=code).stderr
    assert desk.shown("ana")["roles"] == []


def test_nobody_gets_a_role_at_a_portal_that_they_may_not_enter(desk):
    desk.run("import", desk.file("id;name;portals\ncene;Cene;acq\n"))
    assert "cene may not enter b2b" in desk.run("roles", "cene", "add", "b2b:clerk", code=1).stderr
    assert desk.shown("cene")["roles"] == []


def test_a_role_that_stands_for_every_portal_is_not_taken_away_at_one(desk):
    desk.run("roles", "ana", "add", "*:auditor")
    assert "does not have acq:auditor" in desk.run("roles", "ana", "remove", "acq:auditor", code=1).stderr
    assert desk.shown("ana")["roles"] == ["*:auditor"]
