"""The outbox's mail server: SMTP (RFC 5321, with 8BITMIME, SMTPUTF8 and SIZE). Every recipient gets a
message.

An unreadable mail, a wrong address or too much data gets a permanent refusal, so that senders do not try
again for days.
"""

from __future__ import annotations

import asyncio
import socket
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiosmtpd.smtp import SMTP, Envelope, Session

from authproxy.sandbox.outbox.faults import DeliveryFaults
from authproxy.sandbox.outbox.letter import NotALetter, ReceivedLetter, letter
from authproxy.sandbox.outbox.messages import is_mailbox

LARGEST_LETTER = 256 * 1024
_MOST_RECIPIENTS = 50
_SECONDS_OF_SILENCE = 60.0

_ANSWERS = {
    "error": "554 5.3.0 The server is broken on purpose",
    "busy": "451 4.3.2 The server is busy on purpose",
    "reject": "550 5.1.1 This mailbox is refused on purpose",
}


class PostOffice:
    """Receives mail. `deliver` gets sender, recipient and letter. The sender of a bounce is `<>` (RFC 5321
    §4.5.5)."""

    def __init__(self, deliver: Callable[[str, str, ReceivedLetter], None], faults: DeliveryFaults) -> None:
        self._deliver = deliver
        self._faults = faults

    async def handle_RCPT(  # noqa: N802  (aiosmtpd finds it by this name)
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if not is_mailbox(address):
            return "553 5.1.3 This is no mailbox"
        if len(envelope.rcpt_tos) >= _MOST_RECIPIENTS:
            return "452 4.5.3 Too many recipients"
        if await self._faults.met("mail", address) == "reject":
            return _ANSWERS["reject"]
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        try:
            read = letter(envelope.content if isinstance(envelope.content, bytes) else b"")
        except NotALetter as fault:
            return f"554 5.6.0 This is no letter: {fault}"
        happened = [await self._faults.met("mail", recipient) for recipient in envelope.rcpt_tos]
        refused = next((_ANSWERS[how] for how in happened if how in ("error", "busy")), None)
        if refused is not None:
            return refused
        for recipient, how in zip(envelope.rcpt_tos, happened, strict=True):
            if how != "lose":
                self._deliver(envelope.mail_from or "<>", recipient, read)
        return "250 2.0.0 Taken"


@asynccontextmanager
async def open_post_office(office: PostOffice, listener: socket.socket) -> AsyncIterator[None]:
    """Answers on `listener` for the length of the block, and closes open connections at its end."""
    loop = asyncio.get_running_loop()
    visitors: weakref.WeakSet[SMTP] = weakref.WeakSet()

    def visitor() -> SMTP:
        connection = SMTP(
            office,
            data_size_limit=LARGEST_LETTER,
            enable_SMTPUTF8=True,
            hostname="outbox.localhost",
            ident="sandbox",
            loop=loop,
            timeout=_SECONDS_OF_SILENCE,
        )
        visitors.add(connection)
        return connection

    server = await loop.create_server(visitor, sock=listener)
    try:
        yield
    finally:
        server.close()
        for each in visitors:
            if each.transport is not None:
                each.transport.close()
        await server.wait_closed()
