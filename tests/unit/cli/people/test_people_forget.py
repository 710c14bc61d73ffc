"""`authproxy people forget`: nothing that names the person is left in the store."""

from __future__ import annotations

import re

import pytest

from authproxy.bootstrap.clock import utc_now
from authproxy.challenges.enrolment import Enrolment
from authproxy.identity.person import Issuer, Person, Subject
from tests.support.people_desk import ANA, ANAS, CVETKA, Desk
from tests.support.personal_data import kind_of, may_stay
from tests.support.session_builders import NOW

pytestmark = pytest.mark.needs("redis-server")
STRANGER = ("https://idp.example/", "stranger")


class ForgettingDesk(Desk):
    def knows(self, owner, **session):
        """Whatever a gateway may store about somebody for long, and a session."""

        async def store(opened):
            now = utc_now()
            await opened.enrolments.add(
                owner, Enrolment(enrolment_id="app", method="totp", label="Telefon", enrolled_at=NOW)
            )
            await opened.enrolments.put_recovery(owner, ["a", "b"])
            await opened.notices.swap_number(owner, "+38640123456")
            await opened.notices.add(owner, b"note", now=now)

        self.in_store(store)
        self.answer_wrongly(owner)
        self.sign_in(**session)

    def kinds(self):
        async def found(opened):
            return {kind_of(key) async for page in opened.connection.scan("*") for key in page}

        return self.in_store(found)


@pytest.fixture
def desk(config):
    return ForgettingDesk(config)


def member(name):
    return Person(issuer=Issuer("https://gateway.example.si"), subject=Subject(name), member=name)


def test_nothing_that_names_the_person_is_left_in_the_store(desk):
    desk.imported(ANA)
    desk.knows(ANAS, person=member("ana"))
    assert {"session", "enrolments", "recovery", "number", "notes", "answers"} <= desk.kinds()
    answer = desk.run("forget", "ana", "--yes").stdout
    assert "ana: forgotten; 2 methods removed; 1 sessions ended; stays in the audit trail as " in answer
    assert desk.kinds() <= may_stay()
    desk.run("show", "ana", code=1)


def test_others_keep_what_they_have(desk):
    desk.imported(ANA, CVETKA)
    desk.knows(("member", "cvetka"), person=member("cvetka"))
    before = desk.kinds()
    desk.run("forget", "ana", "--yes")
    assert desk.kinds() >= before - {"taker"}
    assert desk.shown("cvetka")["tax_number"] == "*****016"


def test_the_audit_trail_has_the_act_under_the_name_that_is_printed(desk):
    desk.imported(ANA)
    desk.knows(ANAS)
    printed = desk.run("forget", "ana", "--yes").stdout.rpartition(" ")[2].strip()
    [event] = [event for event in desk.every_event() if event["event"] == "person.forgotten"]
    assert (event["person"], event["by"], event["detail"]) == (
        printed,
        "operator",
        "2 methods removed; 0 sessions ended",
    )
    assert re.fullmatch("[0-9a-f]{32}", printed)


def test_somebody_outside_the_register_is_forgotten_by_their_account(desk):
    desk.knows(
        ("account", *STRANGER), person=Person(issuer=Issuer(STRANGER[0]), subject=Subject(STRANGER[1]))
    )
    answer = desk.run("forget", "--subject", *STRANGER, "--yes").stdout
    assert answer.startswith("stranger: forgotten; 2 methods removed; 1 sessions ended;")
    assert desk.kinds() <= may_stay()


def test_somebody_blocked_is_not_forgotten(desk):
    desk.imported(ANA)
    desk.run("block", "ana")
    assert "could sign in again once forgotten" in desk.run("forget", "ana", "--yes", code=1).stderr
    assert desk.shown("ana")["blocked"] is not None
    desk.run("block", "--subject", *STRANGER)
    assert "once forgotten" in desk.run("forget", "--subject", *STRANGER, "--yes", code=1).stderr


def test_without_a_terminal_it_must_be_said_that_nobody_is_asked(desk):
    desk.imported(ANA)
    assert "say --yes" in desk.run("forget", "ana", code=2).stderr
    desk.run("show", "ana")


def test_nobody_of_this_id_is_an_error(desk):
    desk.imported(ANA)
    assert "nobody in the register has the id bor" in desk.run("forget", "bor", "--yes", code=1).stderr
