"""Tells people about changes of their step-up methods, by text message and by e-mail, so that a person learns
of a change that somebody else has made (ASVS 5.0 V6.3.7).

The first change is told at once. All changes of the next five minutes are told in one message at their end,
so that nobody can make a stranger's phone ring all night. These messages do not count against the limit on
codes. A message that cannot be sent is tried again for an hour and then logged; the change itself stands.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final, Literal, NamedTuple, Protocol

from authproxy.access.unavailable import CannotAsk
from authproxy.challenges.enrolment import EnrolledMethod, owner_of
from authproxy.challenges.message import Letter, Sms
from authproxy.challenges.sms import PhoneNumberSource, SmsSender
from authproxy.identity.person import Person
from authproxy.telemetry.logging import logger

Change = Literal["enrolled", "removed", "used", "number"]
"""`used`: a recovery code was used. `number`: codes go to another telephone number."""
PAUSE: Final = timedelta(minutes=5)
_TRY_FOR: Final = timedelta(hours=1)
_LOOK_EVERY: Final = 2.0
_UNREADABLE: Final = (ValueError, TypeError, KeyError, AttributeError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """One change, and where to tell its person. `number` is the new telephone number, masked, if that has
    changed."""

    change: str
    method: str = ""
    at: datetime
    portal_id: str
    locale: str
    number: str = ""
    phone: str | None = field(default=None, repr=False)
    email: str | None = field(default=None, repr=False)

    def octets(self) -> bytes:
        return json.dumps(asdict(self) | {"at": self.at.isoformat()}).encode()

    @classmethod
    def read(cls, octets: bytes) -> Note | None:
        """None if another version of the gateway has written a note that this one cannot read. Unknown
        members are ignored."""
        try:
            members = json.loads(octets)
            known: dict[str, Any] = {name: members[name] for name in cls.__slots__ if name in members}
            return cls(**known | {"at": datetime.fromisoformat(members["at"])})
        except _UNREADABLE:
            return None


class Batch(NamedTuple):
    """The notes for one message. `name` is the owner's name in the store."""

    name: str
    notes: tuple[bytes, ...]


class NoteStore(Protocol):
    async def add(self, owner: tuple[str, ...], note: bytes, *, now: datetime) -> None: ...
    async def put_back(self, batch: Batch, *, due: datetime) -> None: ...
    async def take(self, owner: tuple[str, ...], *, now: datetime, pause: timedelta) -> Batch | None: ...
    async def take_due(self, *, now: datetime, pause: timedelta) -> Sequence[Batch]: ...


class MailSender(Protocol):
    async def send(self, letter: Letter) -> None:
        """Raises CannotAsk(SENDER_UNAVAILABLE)."""
        ...


class NoticeTexts(Protocol):
    def changed(self, *, change: str, method: str, number: str, portal_id: str, locale: str) -> str:
        """The text message about one change, in the person's language."""
        ...

    def several(self, *, count: int, portal_id: str, locale: str) -> str: ...

    def letter(self, notes: Sequence[Note]) -> tuple[str, str]:
        """Subject and text of the e-mail about all of these changes."""
        ...


class Notices:
    """No method raises: a change stands, whether its person can be told or not."""

    def __init__(
        self,
        *,
        store: NoteStore,
        numbers: PhoneNumberSource,
        texts: NoticeTexts,
        sms: SmsSender | None,
        mail: MailSender | None,
        clock: Callable[[], datetime],
        random_text: Callable[[int], str],
    ) -> None:
        """`sms` and `mail` are None if the gateway cannot send such messages; `random_text(n)` is n random
        bytes as URL-safe text."""
        self._store = store
        self._numbers = numbers
        self._texts = texts
        self._sms = sms
        self._mail = mail
        self._clock = clock
        self._random_text = random_text

    @property
    def can_send(self) -> bool:
        return self._sms is not None or self._mail is not None

    async def tell(
        self, person: Person, *, change: Change, method: EnrolledMethod, portal_id: str, locale: str
    ) -> None:
        """Tells a person of a change of their methods, now or together with the next changes."""
        try:
            phone = await self._numbers.number_of(person)
        except CannotAsk as failure:
            _lost(change, method, failure)
            phone = None
        await self._add(
            owner_of(person),
            Note(
                change=change,
                method=method,
                at=self._clock(),
                portal_id=portal_id,
                locale=locale,
                phone=phone,
                email=person.email,
            ),
        )

    async def tell_of_number(
        self, person: Person, *, earlier: str, masked: str, portal_id: str, locale: str
    ) -> None:
        """Tells the earlier number that codes now go to another one; whoever changed the number may have the
        new one. This message has a queue of its own: in the person's queue, an attacker could delay it or
        hide it among many other changes."""
        await self._add(
            ("number", *owner_of(person)),
            Note(
                change="number",
                at=self._clock(),
                portal_id=portal_id,
                locale=locale,
                number=masked,
                phone=earlier,
                email=person.email,
            ),
        )

    async def run(self) -> None:
        """Sends what has become due, until it is cancelled."""
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            await self.send_due()

    async def send_due(self) -> None:
        now = self._clock()
        try:
            for batch in await self._store.take_due(now=now, pause=PAUSE):
                await self._send(batch, now)
        except CannotAsk as failure:
            logger("challenges").warning("notice.waits", error=str(failure))

    async def _add(self, owner: tuple[str, ...], note: Note) -> None:
        if self._sms is None:
            note = replace(note, phone=None)
        if self._mail is None:
            note = replace(note, email=None)
        if note.phone is None and note.email is None:
            event = "notice.without_address" if self.can_send else "notice.without_sender"
            logger("challenges").warning(event, change=note.change, method=note.method)
            return
        now = self._clock()
        try:
            await self._store.add(owner, note.octets(), now=now)
            batch = await self._store.take(owner, now=now, pause=PAUSE)
            if batch is not None:
                await self._send(batch, now)
        except CannotAsk as failure:
            _lost(note.change, note.method, failure)

    async def _send(self, batch: Batch, now: datetime) -> None:
        """Sends each address one message about all of its notes. Notes that could not be sent go back to the
        store, with only the address that has not been told yet."""
        notes = [note for note in map(Note.read, batch.notes) if note is not None]
        unsent: list[Note] = []
        for phone in dict.fromkeys(note.phone for note in notes if note.phone is not None):
            to_phone = [note for note in notes if note.phone == phone]
            unsent += [
                replace(note, email=None)
                for note in await self._unsent(self._send_sms(phone, to_phone), to_phone, now)
            ]
        for email in dict.fromkeys(note.email for note in notes if note.email is not None):
            to_email = [note for note in notes if note.email == email]
            unsent += [
                replace(note, phone=None)
                for note in await self._unsent(self._send_letter(email, to_email), to_email, now)
            ]
        if unsent:
            remaining = batch._replace(notes=tuple(note.octets() for note in unsent))
            await self._store.put_back(remaining, due=now)

    async def _unsent(self, sending: Awaitable[None], notes: Sequence[Note], now: datetime) -> list[Note]:
        """Awaits the sending, and returns the notes that must be tried again."""
        try:
            await sending
        except CannotAsk as failure:
            for note in notes:
                if now - note.at >= _TRY_FOR:
                    _lost(note.change, note.method, failure)
                else:
                    logger("challenges").warning(
                        "notice.waits", change=note.change, method=note.method, error=str(failure)
                    )
            return [note for note in notes if now - note.at < _TRY_FOR]
        return []

    async def _send_sms(self, phone: str, notes: Sequence[Note]) -> None:
        last = notes[-1]
        text = (
            self._texts.several(count=len(notes), portal_id=last.portal_id, locale=last.locale)
            if len(notes) > 1
            else self._texts.changed(
                change=last.change,
                method=last.method,
                number=last.number,
                portal_id=last.portal_id,
                locale=last.locale,
            )
        )
        if self._sms is not None:
            # A gateway may treat a message with a known reference as a repetition and not send it.
            await self._sms.send(Sms(recipient=phone, text=text, reference=f"notice-{self._random_text(16)}"))

    async def _send_letter(self, email: str, notes: Sequence[Note]) -> None:
        subject, text = self._texts.letter(notes)
        if self._mail is not None:
            await self._mail.send(
                Letter(
                    recipient=email, subject=subject, text=text, reference=f"notice-{self._random_text(16)}"
                )
            )


def _lost(change: str, method: str, failure: CannotAsk) -> None:
    logger("challenges").error("notice.lost", change=change, method=method, error=str(failure))
