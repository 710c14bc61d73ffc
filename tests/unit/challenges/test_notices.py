"""How people are told of changes: by which messages, how often, and in how many."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from authproxy.access.decision import Reason
from authproxy.access.unavailable import CannotAsk
from authproxy.challenges.enrolment import owner_of
from authproxy.challenges.message import Delivered
from authproxy.challenges.notices import Note, Notices
from authproxy.flows.register.phone_numbers import NumberWatch
from authproxy.identity.assurance import AuthenticationEvent, Level
from authproxy.identity.person import Issuer, Person, Subject
from authproxy.identity.session import Session, SessionId
from authproxy.storage.memory import MemoryNotices
from authproxy.web.messages import TextMessages
from authproxy.web.request_context import PortalPresentation
from authproxy.web.templating import templates
from tests.support.log_lines import logged_events
from tests.support.session_builders import NOW

ANA = Person(
    issuer=Issuer("https://idp.example/"),
    subject=Subject("ana"),
    phone="+38640123456",
    email="ana@example.si",
)
ACQ = PortalPresentation(
    portal_id="acq", origin="https://acq.example", names={"sl": "Trgovci", "en": "Merchants"}
)
MINUTE = timedelta(minutes=1)


class Way:
    def __init__(self):
        self.sent, self.is_down, self.has_taken = [], False, asyncio.Event()

    async def send(self, message):
        if self.is_down:
            raise CannotAsk(Reason.SENDER_UNAVAILABLE, "down")
        self.sent.append(message)
        self.has_taken.set()
        return Delivered(gateway="g")


class Numbers:
    async def number_of(self, person):
        return person.phone


class NoticesFixture:
    def __init__(self, *, has_mail=True, has_sms=True):
        self.now, self.store, self.sms, self.mail = NOW, MemoryNotices(), Way(), Way()
        self._made = 0
        self.notices = self.instance(has_mail=has_mail, has_sms=has_sms)

    def instance(self, *, has_mail=True, has_sms=True, numbers=None):
        return Notices(
            store=self.store,
            numbers=numbers or Numbers(),
            texts=TextMessages(templates(ZoneInfo("Europe/Ljubljana")), {"acq": ACQ}),
            sms=self.sms if has_sms else None,
            mail=self.mail if has_mail else None,
            clock=lambda: self.now,
            random_text=self._fresh,
        )

    def _fresh(self, _count):
        self._made += 1
        return f"r{self._made}"

    async def changes(self, change="enrolled", method="totp", *, person=ANA, locale="sl"):
        await self.notices.tell(person, change=change, method=method, portal_id="acq", locale=locale)

    @property
    def texts(self):
        return [(sms.recipient, sms.text) for sms in self.sms.sent]


@pytest.fixture
def house():
    return NoticesFixture()


async def test_the_first_change_is_told_at_once_and_twenty_six_more_make_one_message_that_says_so(house):
    await house.changes()
    assert house.texts == [
        (
            "+38640123456",
            (
                "Trgovci: Vašemu računu je bila dodana aplikacija za enkratna gesla. Če tega niste storili "
                "vi, takoj pokličite skrbnika v svoji banki."
            ),
        )
    ]
    for _ in range(26):
        house.now += timedelta(seconds=1)
        await house.changes("removed", "push")
    await house.notices.send_due()
    assert len(house.sms.sent) == 1
    house.now = NOW + 5 * MINUTE
    await house.notices.send_due()
    assert len(house.sms.sent) == len(house.mail.sent) == 2
    assert "prišlo do 26 sprememb" in house.sms.sent[1].text
    assert house.mail.sent[1].text.count("odstranjen telefon") == 26
    await house.changes()
    assert len(house.sms.sent) == 2


async def test_notes_that_have_become_due_are_sent_while_the_gateway_runs(house):
    await house.changes()
    await house.changes("removed")
    house.mail.has_taken.clear()
    house.now += 5 * MINUTE
    running = asyncio.create_task(house.notices.run())
    async with asyncio.timeout(20):
        await house.mail.has_taken.wait()
    running.cancel()
    assert len(house.mail.sent) == 2


async def test_no_two_messages_have_one_reference(house):
    for _ in range(3):
        await house.changes()
        house.now += 6 * MINUTE
        await house.notices.send_due()
    references = [message.reference for message in (*house.sms.sent, *house.mail.sent)]
    assert len(set(references)) == len(references) == 6
    assert all(reference.startswith("notice-") for reference in references)


async def test_a_letter_says_what_has_changed_and_when_in_the_person_s_language(house):
    await house.changes("used", "recovery", locale="en")
    [letter] = house.mail.sent
    assert (letter.recipient, letter.subject) == (
        "ana@example.si",
        "Merchants: a change to your ways to confirm your identity",
    )
    at = NOW.astimezone(ZoneInfo("Europe/Ljubljana"))
    assert f"{at:%Y-%m-%d %H:%M}  A recovery code of your account was used." in letter.text
    assert "If this was not you, call the administrator in your bank now." in letter.text


@pytest.mark.parametrize(
    ("person", "has_sms", "has_mail", "by_sms", "by_mail", "warns"),
    [
        (ANA, True, True, 1, 1, None),
        (ANA, True, False, 1, 0, None),
        (ANA, False, True, 0, 1, None),
        (replace(ANA, phone=None), True, True, 0, 1, None),
        (replace(ANA, email=None), True, True, 1, 0, None),
        (replace(ANA, email=None), False, True, 0, 0, "notice.without_address"),
        (ANA, False, False, 0, 0, "notice.without_sender"),
    ],
)
async def test_a_change_is_told_by_text_message_and_by_letter_if_both_are_possible(
    person, has_sms, has_mail, by_sms, by_mail, warns
):
    house = NoticesFixture(has_sms=has_sms, has_mail=has_mail)
    with logged_events() as logs:
        await house.changes(person=person)
    assert (len(house.sms.sent), len(house.mail.sent)) == (by_sms, by_mail)
    assert [line["event"] for line in logs] == ([warns] if warns else [])


@pytest.mark.parametrize("down", ["sms", "mail"])
async def test_a_message_that_was_not_taken_is_sent_again_alone_also_by_another_instance(house, down):
    away, other = (house.sms, house.mail) if down == "sms" else (house.mail, house.sms)
    away.is_down = True
    with logged_events() as logs:
        await house.changes()
    assert [line["event"] for line in logs] == ["notice.waits"]
    assert (away.sent, len(other.sent)) == ([], 1)
    away.is_down = False
    house.now += 5 * MINUTE
    await house.instance().send_due()
    assert (len(house.sms.sent), len(house.mail.sent)) == (1, 1)


async def test_a_message_that_cannot_be_sent_for_an_hour_is_lost_and_logged(house):
    house.sms.is_down = True
    await house.changes()
    with logged_events() as logs:
        for _ in range(20):
            house.now += 5 * MINUTE
            await house.notices.send_due()
    assert [line["event"] for line in logs] == ["notice.waits"] * 11 + ["notice.lost"]
    assert "40123456" not in json.dumps(logs, default=str)


async def test_a_letter_is_sent_also_if_the_telephone_number_cannot_be_asked(house):
    class Away:
        async def number_of(self, person):
            raise CannotAsk(Reason.STORE_UNAVAILABLE, "away")

    house.notices = house.instance(numbers=Away())
    with logged_events() as logs:
        await house.changes()
    assert ([line["event"] for line in logs], len(house.mail.sent), house.sms.sent) == (
        ["notice.lost"],
        1,
        [],
    )


class StoreAway(MemoryNotices):
    async def add(self, owner, note, *, now):
        raise CannotAsk(Reason.STORE_UNAVAILABLE, "away")


async def test_a_store_that_is_away_loses_the_notice_and_nothing_else(house):
    house.store = StoreAway()
    house.notices = house.instance()
    with logged_events() as logs:
        await house.changes()
    assert [(line["event"], line["error"]) for line in logs] == [("notice.lost", "away")]


async def test_unknown_members_in_notes_of_other_versions_are_ignored(house):
    note = Note(change="enrolled", method="totp", at=NOW, portal_id="acq", locale="sl", phone="+38640123456")
    newer = json.loads(note.octets()) | {"change": "key_added", "more": 1}
    assert Note.read(note.octets()) == note
    for strange in (b"", b"[]", b"7", b"{}", b'{"at": 7}'):
        assert Note.read(strange) is None
    await house.store.add(owner_of(ANA), json.dumps(newer).encode(), now=NOW)
    await house.store.add(owner_of(ANA), b"?", now=NOW)
    await house.notices.send_due()
    assert house.texts[0][1].startswith("Trgovci: Vaši načini potrjevanja istovetnosti so se spremenili.")
    await house.store.add(
        owner_of(replace(ANA, subject=Subject("bor"))), replace(note, portal_id="gone").octets(), now=NOW
    )
    await house.notices.send_due()
    assert len(house.sms.sent) == 2


def session_of(person):
    event = AuthenticationEvent(method="rekono", at=NOW, source="https://idp.example/", is_step_up=True)
    return Session(
        session_id=SessionId("s"),
        portal="acq",
        person=person,
        method="rekono",
        level=Level.LOW,
        events=(event,),
        started_at=NOW,
        expires_at=NOW + timedelta(hours=8),
        idle_for=15 * MINUTE,
    )


async def test_the_earlier_number_hears_that_codes_go_to_another_one(house):
    watch = NumberWatch(numbers=Numbers(), last_numbers=house.store, notices=house.notices)
    for phone in ("+38640123456", "+38640123456", None, "+38640123456"):
        await watch.signed_in(session_of(replace(ANA, phone=phone)))
    assert house.texts == []
    await watch.signed_in(session_of(replace(ANA, phone="+38640777888")))
    [(recipient, text)] = house.texts
    assert recipient == "+38640123456"
    assert "drugo številko: ••• 888" in text
    assert "••• 888" in house.mail.sent[0].text
    await watch.signed_in(session_of(replace(ANA, phone="+38640777888")))
    assert len(house.texts) == 1


async def test_many_changes_do_not_keep_the_earlier_number_from_hearing_of_the_new_one(house):
    watch = NumberWatch(numbers=Numbers(), last_numbers=house.store, notices=house.notices)
    await watch.signed_in(session_of(ANA))
    thief = replace(ANA, phone="+38640777888")
    await house.changes(person=thief)
    await watch.signed_in(session_of(thief))
    for _ in range(60):
        await house.changes("removed", person=thief)
    assert [text for recipient, text in house.texts if recipient == ANA.phone and "••• 888" in text]


async def test_a_sign_in_does_not_depend_on_the_number_being_compared(house):
    class Away:
        async def swap_number(self, owner, number):
            raise CannotAsk(Reason.STORE_UNAVAILABLE, "away")

    with logged_events() as logs:
        await NumberWatch(numbers=Numbers(), last_numbers=Away(), notices=house.notices).signed_in(
            session_of(ANA)
        )
    assert [line["event"] for line in logs] == ["notice.number_not_compared"]
