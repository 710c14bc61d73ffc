"""Hands text messages to a message centre by SMPP 3.4 over one connection. The connection is kept open,
tested while it is silent, and made again when it is lost.

If the connection is lost, it is unknown whether a message was taken. The same message is handed over once
more, and the person may get it twice.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, Literal

from authproxy.challenges.message import Sms
from authproxy.delivery import smpp_pdus
from authproxy.delivery.smpp_pdus import Command, SmppAddress
from authproxy.delivery.smpp_session import ConnectionLost, SmppSession, connected
from authproxy.delivery.sms import RecipientForm, Unsendable, encoded, joined, written
from authproxy.delivery.sms_gateways import NotTaken, Report
from authproxy.dns.resolver import Resolver
from authproxy.telemetry.logging import logger

_TRIES: Final = 2
_UNKNOWN, _INTERNATIONAL, _ALPHANUMERIC = 0, 1, 5
_NO_PLAN, _ISDN = 0, 1


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageCentre:
    """The agreement with a message centre."""

    host: str
    port: int = 2775
    context: ssl.SSLContext | None = field(default=None, repr=False)
    """The TLS context; None for a connection without TLS."""
    system_id: str
    password: str = field(repr=False)
    system_type: str = ""
    bind: Literal["transceiver", "transmitter"] = "transceiver"
    sender: str
    recipient_form: RecipientForm = "digits"
    long_messages: Literal["parts", "payload"] = "parts"
    only_ucs2: bool = False
    enquire_every: timedelta = timedelta(seconds=30)
    deadline: timedelta = timedelta(seconds=8)
    """For one message, and for every other request."""
    pause: timedelta = timedelta(milliseconds=500)
    """The pause before another try. It doubles each time, up to `longest_pause`."""
    longest_pause: timedelta = timedelta(seconds=30)


class _AlreadyBound(NotTaken):
    """The message centre allows no further connection. Another process of the gateway may be about to give
    its own up."""


class SmppSmsGateway:
    def __init__(
        self,
        name: str,
        centre: MessageCentre,
        *,
        random_below: Callable[[int], int],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        names: Resolver | None = None,
    ) -> None:
        """`random_below(n)` is a number under n, a new one at each
        call; `spawn` runs the reader of a connection in the background."""
        self._name = name
        self._centre = centre
        self._names = names or Resolver()
        self._random_below = random_below
        self._spawn = spawn
        self._session: SmppSession | None = None
        self._opening = asyncio.Lock()
        self._under_way = 0
        """Messages that wait for the centre's answer."""
        self._is_released = False
        self._reports: Counter[Report] = Counter()

    @property
    def name(self) -> str:
        return self._name

    @property
    def reports(self) -> Counter[Report]:
        return self._reports

    async def take(self, sms: Sms) -> str:
        try:
            bodies = submissions(self._centre, sms, self._random_below(256))
        except Unsendable as unsendable:
            raise NotTaken(f"was not asked: {unsendable}", is_of_the_message=True) from None
        deadline = self._centre.deadline.total_seconds()
        self._under_way += 1
        try:
            async with asyncio.timeout(deadline):
                return await self._hand_over(bodies)
        except TimeoutError:
            raise NotTaken(f"did not take it within {deadline:g} s") from None
        finally:
            self._under_way -= 1
            self._leave_if_released()

    def release(self) -> None:
        """Gives the connection up when no message is under way, and keeps none from now on: a successor wants
        it, and some centres allow one alone. Messages that come nevertheless have one of their own."""
        self._is_released = True
        self._leave_if_released()

    def _leave_if_released(self) -> None:
        if self._is_released and not self._under_way and self._session is not None:
            self._session.leave()

    async def run(self) -> None:
        """Keeps the connection open, for ever: for delivery reports, and so that no message waits for a
        connection."""
        pause = self._centre.pause
        while not self._is_released:
            try:
                async with asyncio.timeout(self._centre.deadline.total_seconds()):
                    session = await self._open()
                pause = self._centre.pause
                await self._watch(session)
            except (ConnectionLost, NotTaken, TimeoutError) as problem:
                logger("delivery").warning(
                    "sms.disconnected", gateway=self._name, problem=str(problem) or "gave no answer"
                )
            await asyncio.sleep(pause.total_seconds())
            pause = min(pause * 2, self._centre.longest_pause)
        await asyncio.Event().wait()

    async def _hand_over(self, bodies: tuple[bytes, ...]) -> str:
        for _ in range(_TRIES):
            try:
                session = await self._open_for_message()
                names = [await self._submit(session, body) for body in bodies]
            except ConnectionLost as lost:
                problem = str(lost)
            else:
                return names[0]
        raise NotTaken(problem)

    async def _open_for_message(self) -> SmppSession:
        """As `_open`, but as long as the centre allows no further connection it is asked again, until the
        caller's time is over."""
        pause = self._centre.pause
        while True:
            try:
                return await self._open()
            except _AlreadyBound:
                await asyncio.sleep(pause.total_seconds())

    async def _submit(self, session: SmppSession, body: bytes) -> str:
        """Submits one message and returns the message centre's id of it. If the centre is busy, it is asked
        again until the caller's time is over."""
        pause = self._centre.pause
        while True:
            answer = await session.ask(Command.SUBMIT_SM, body)
            if answer.status == smpp_pdus.OK:
                return smpp_pdus.message_id(answer.body)
            if answer.status not in smpp_pdus.BUSY:
                raise NotTaken(
                    f"answered 0x{answer.status:08X}",
                    is_of_the_message=answer.status in smpp_pdus.OF_THE_MESSAGE,
                )
            await asyncio.sleep(pause.total_seconds())
            pause *= 2

    async def _open(self) -> SmppSession:
        """Returns the connection, and makes it if there is none. Raises ConnectionLost, and NotTaken if the
        message centre refuses the bind."""
        async with self._opening:
            if self._session is None or self._session.over.is_set():
                self._session = await self._bind()
            return self._session

    async def _bind(self) -> SmppSession:
        centre = self._centre
        session = await connected(
            centre.host, centre.port, centre.context, names=self._names, delivered=self._delivered
        )
        command = Command.BIND_TRANSCEIVER if centre.bind == "transceiver" else Command.BIND_TRANSMITTER
        is_bound = False
        try:
            self._spawn(session.serve())
            answer = await session.ask(
                command, smpp_pdus.bind(centre.system_id, centre.password, centre.system_type)
            )
            is_bound = answer.status == smpp_pdus.OK
        finally:
            if not is_bound:
                session.end("was left")
        if not is_bound:
            refusal = _AlreadyBound if answer.status == smpp_pdus.ALREADY_BOUND else NotTaken
            raise refusal(f"refused the connection with 0x{answer.status:08X}")
        return session

    async def _watch(self, session: SmppSession) -> None:
        """Returns when the connection is over. It is tested while it is silent."""
        while not session.over.is_set():
            try:
                async with asyncio.timeout(self._centre.enquire_every.total_seconds()):
                    await session.over.wait()
            except TimeoutError:
                await self._test(session)

    async def _test(self, session: SmppSession) -> None:
        try:
            async with asyncio.timeout(self._centre.deadline.total_seconds()):
                await session.ask(Command.ENQUIRE_LINK)
        except TimeoutError:
            session.end("went silent")
            raise

    def _delivered(self, body: bytes) -> None:
        report = smpp_pdus.receipt(body)
        if report is not None:
            self._reports[report] += 1
            logger("delivery").debug("sms.reported", gateway=self._name, report=report)


def submissions(centre: MessageCentre, sms: Sms, reference: int) -> tuple[bytes, ...]:
    """The bodies of the `submit_sm` requests for a message. Raises Unsendable."""
    text = encoded(sms.text, only_ucs2=centre.only_ucs2)
    number = written(sms.recipient, centre.recipient_form)
    destination = SmppAddress(_UNKNOWN if number.startswith("00") else _INTERNATIONAL, _ISDN, number)
    data_coding: Literal[0, 8] = 8 if text.alphabet == "ucs2" else 0
    is_payload = centre.long_messages == "payload" and len(text.parts) > 1
    parts = (text.octets,) if is_payload else joined(text.parts, reference)
    return tuple(
        smpp_pdus.submission(
            _source(centre.sender),
            destination,
            part,
            data_coding=data_coding,
            is_part=len(parts) > 1,
            is_payload=is_payload,
            # When the last part has arrived, the others usually have, too.
            wants_receipt=centre.bind == "transceiver" and at == len(parts),
        )
        for at, part in enumerate(parts, start=1)
    )


def _source(sender: str) -> SmppAddress:
    if sender.startswith("+"):
        return SmppAddress(_INTERNATIONAL, _ISDN, sender[1:])
    return (
        SmppAddress(_UNKNOWN, _ISDN, sender)
        if sender.isdecimal()
        else SmppAddress(_ALPHANUMERIC, _NO_PLAN, sender)
    )
