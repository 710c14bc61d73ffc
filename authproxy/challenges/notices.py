"""What is told to a person about a change in how they prove themselves, so that a person hears of changes
made by somebody else (ASVS 5.0 V6.3.7): by text message, and by e-mail where there is an address.

The first change is told at once. What changes within the next five minutes makes one message at their end,
which says so: nobody can make a stranger's phone ring all night, and these messages are never counted with
codes. A message that cannot be sent is tried again for an hour, and then logged; it changes nothing of what
has happened.
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
from authproxy.challenges.sms import Numbers, SmsSender
from authproxy.identity.person import Person
from authproxy.telemetry.logging import logger

Change = Literal["enrolled", "removed", "used", "number"]
"""`used` is said of recovery codes, `number` of the telephone to which codes go."""
PAUSE: Final = timedelta(minutes=5)
_TRIED_FOR: Final = timedelta(hours=1)
_LOOKED_EVERY: Final = 2.0
_UNREADABLE: Final = (ValueError, TypeError, KeyError, AttributeError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """One change, and where its person is told of it. `number` is masked: the new one, where that is what has
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
        """None for what another version of the gateway has written in another shape; what it does not know is
        left out."""
        try:
            told = json.loads(octets)
            known: dict[str, Any] = {name: told[name] for name in cls.__slots__ if name in told}
            return cls(**known | {"at": datetime.fromisoformat(told["at"])})
        except _UNREADABLE:
            return None


class Batch(NamedTuple):
    """The notes for one message. `name` is the store's name of their owner."""

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


class Words(Protocol):
    def changed(self, *, change: str, method: str, number: str, portal_id: str, locale: str) -> str:
        """The text message about one change, in the person's language."""
        ...

    def several(self, *, count: int, portal_id: str, locale: str) -> str: ...

    def letter(self, notes: Sequence[Note]) -> tuple[str, str]:
        """Subject and text of the e-mail about all of them."""
        ...


class Tells(Protocol):
    async def tell(
        self, person: Person, *, change: Change, method: EnrolledMethod, portal_id: str, locale: str
    ) -> None:
        """Tells a person of a change of their methods, if there is a way. Raises nothing: what has changed
        has changed."""
        ...


class Notices:
    """Every method raises nothing but `run`, which ends with the gateway."""

    def __init__(
        self,
        *,
        store: NoteStore,
        numbers: Numbers,
        words: Words,
        sms: SmsSender | None,
        mail: MailSender | None,
        clock: Callable[[], datetime],
        fresh: Callable[[int], str],
    ) -> None:
        """`sms` and `mail` are None where the gateway has no such way; `fresh(n)` is URL-safe text of n
        random bytes."""
        self._store = store
        self._numbers = numbers
        self._words = words
        self._sms = sms
        self._mail = mail
        self._clock = clock
        self._fresh = fresh

    @property
    def has_a_way(self) -> bool:
        return self._sms is not None or self._mail is not None

    async def tell(
        self, person: Person, *, change: Change, method: EnrolledMethod, portal_id: str, locale: str
    ) -> None:
        """Tells a person of a change of their methods, now or with those that follow."""
        try:
            phone = await self._numbers.number_of(person)
        except CannotAsk as failure:
            _lost(change, method, failure)
            phone = None
        await self._note(
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
        """Tells the earlier number that codes go to another one from now on: whoever has changed it has the
        new one. It waits for no other message and is lost among none, or whoever makes many changes before
        and after would keep it from the person."""
        await self._note(
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
        """Sends what has become due, for as long as the gateway lives."""
        while True:
            await asyncio.sleep(_LOOKED_EVERY)
            await self.send_due()

    async def send_due(self) -> None:
        now = self._clock()
        try:
            for batch in await self._store.take_due(now=now, pause=PAUSE):
                await self._send(batch, now)
        except CannotAsk as failure:
            logger("challenges").warning("notice.waits", error=str(failure))

    async def _note(self, owner: tuple[str, ...], note: Note) -> None:
        if self._sms is None:
            note = replace(note, phone=None)
        if self._mail is None:
            note = replace(note, email=None)
        if note.phone is None and note.email is None:
            event = "notice.without_address" if self.has_a_way else "notice.without_sender"
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
        """Each address gets one message about all of its notes. What could not be sent waits for the next
        turn, address by address."""
        notes = [note for note in map(Note.read, batch.notes) if note is not None]
        again: list[Note] = []
        for phone in dict.fromkeys(note.phone for note in notes if note.phone is not None):
            theirs = [note for note in notes if note.phone == phone]
            again += [
                replace(note, email=None)
                for note in await self._unsent(self._sent_by_sms(phone, theirs), theirs, now)
            ]
        for email in dict.fromkeys(note.email for note in notes if note.email is not None):
            theirs = [note for note in notes if note.email == email]
            again += [
                replace(note, phone=None)
                for note in await self._unsent(self._sent_by_mail(email, theirs), theirs, now)
            ]
        if again:
            left = batch._replace(notes=tuple(note.octets() for note in again))
            await self._store.put_back(left, due=now)

    async def _unsent(self, sending: Awaitable[None], notes: Sequence[Note], now: datetime) -> list[Note]:
        """The notes that are to be tried again."""
        try:
            await sending
        except CannotAsk as failure:
            for note in notes:
                if now - note.at >= _TRIED_FOR:
                    _lost(note.change, note.method, failure)
                else:
                    logger("challenges").warning(
                        "notice.waits", change=note.change, method=note.method, error=str(failure)
                    )
            return [note for note in notes if now - note.at < _TRIED_FOR]
        return []

    async def _sent_by_sms(self, phone: str, notes: Sequence[Note]) -> None:
        last = notes[-1]
        text = (
            self._words.several(count=len(notes), portal_id=last.portal_id, locale=last.locale)
            if len(notes) > 1
            else self._words.changed(
                change=last.change,
                method=last.method,
                number=last.number,
                portal_id=last.portal_id,
                locale=last.locale,
            )
        )
        if self._sms is not None:
            # A gateway that knows messages again by their reference sends a constant one the first time only.
            await self._sms.send(Sms(recipient=phone, text=text, reference=f"notice-{self._fresh(16)}"))

    async def _sent_by_mail(self, email: str, notes: Sequence[Note]) -> None:
        subject, text = self._words.letter(notes)
        if self._mail is not None:
            await self._mail.send(
                Letter(recipient=email, subject=subject, text=text, reference=f"notice-{self._fresh(16)}")
            )


def _lost(change: str, method: str, failure: CannotAsk) -> None:
    logger("challenges").error("notice.lost", change=change, method=method, error=str(failure))
