"""Hands letters to a mail server (RFC 5321): plain text, one recipient, TLS by default.

The standard library's client blocks, so it runs in a thread of its own. A mail server or name server that
hangs delays later letters and nothing else.
"""

from __future__ import annotations

import asyncio
import re
import smtplib
import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Final, Literal

from authproxy.access.decision import Reason
from authproxy.access.unavailable import CannotAsk
from authproxy.challenges.message import Letter

# One mailbox (RFC 5321 §4.1.2, without quoted local parts). A second recipient, a display name or a further
# header does not match.
_MAILBOX: Final = re.compile(
    r"[^\s\"(),:;<>@\[\\\]\x00-\x1f\x7f]{1,64}@[^\s\"(),:;<>@\[\\\]\x00-\x1f\x7f]{1,255}"
)
_MOST_WAITING: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class MailServer:
    """`sender` is the mailbox that letters come from. `tls`: from the first byte, after STARTTLS (RFC 3207),
    or none."""

    host: str
    port: int
    tls: Literal["implicit", "starttls", "none"]
    context: ssl.SSLContext | None
    user: str | None = None
    password: str = field(default="", repr=False)
    sender: str
    timeout: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class MailHealth:
    """`failures` are consecutive ones."""

    sent: int
    failed: int
    failures: int
    last_failure: str


class SmtpSender:
    def __init__(self, server: MailServer, *, clock: Callable[[], datetime]) -> None:
        self._server = server
        self._clock = clock
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="mail")
        self._waiting = self._sent = self._failed = self._failures = 0
        self._last_failure = ""

    @property
    def health(self) -> MailHealth:
        return MailHealth(
            sent=self._sent, failed=self._failed, failures=self._failures, last_failure=self._last_failure
        )

    async def send(self, letter: Letter) -> None:
        """Sends a letter. Raises CannotAsk(SENDER_UNAVAILABLE); its text never has an address or the server's
        words. If the recipient is not a mailbox, no letter is sent and nothing is raised, because another try
        would not help."""
        if not is_mailbox(letter.recipient):
            self._failed += 1
            return
        if self._waiting >= _MOST_WAITING:
            raise self._trouble("has too many letters waiting")
        self._waiting += 1
        try:
            # Each of about eight steps has the server's timeout. All together get four times that.
            async with asyncio.timeout(4 * self._server.timeout.total_seconds()):
                await asyncio.get_running_loop().run_in_executor(self._thread, self._hand_over, letter)
        except smtplib.SMTPRecipientsRefused:
            # This concerns the mailbox, not the server.
            self._failed += 1
            return
        except TimeoutError:
            raise self._trouble("had no answer in time") from None
        except (smtplib.SMTPException, OSError, ValueError) as error:
            # The texts of these errors quote the server, and so addresses.
            raise self._trouble(f"could not be used: {type(error).__name__}") from None
        finally:
            self._waiting -= 1
        self._sent += 1
        self._failures = 0

    def close(self) -> None:
        """A letter that is under way ends by its own timeouts."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _hand_over(self, letter: Letter) -> None:
        server, timeout = self._server, self._server.timeout.total_seconds()
        message = self._message(letter)
        client = (
            smtplib.SMTP_SSL(server.host, server.port, timeout=timeout, context=server.context)
            if server.tls == "implicit"
            else smtplib.SMTP(server.host, server.port, timeout=timeout)
        )
        with client:
            if server.tls == "starttls":
                client.starttls(context=server.context)
            if server.user is not None:
                client.login(server.user, server.password)
            client.send_message(message, server.sender, [letter.recipient])

    def _message(self, letter: Letter) -> EmailMessage:
        """Raises ValueError for a value with a line end, which would begin another header."""
        message = EmailMessage()
        message["From"] = self._server.sender
        message["To"] = letter.recipient
        message["Subject"] = letter.subject
        message["Date"] = format_datetime(self._clock())
        message["Message-ID"] = f"<{letter.reference}@{self._server.sender.rpartition('@')[2]}>"
        # RFC 3834 §5: asks automatic responders not to answer.
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(letter.text)
        return message

    def _trouble(self, what: str) -> CannotAsk:
        self._failed += 1
        self._failures += 1
        self._last_failure = f"the mail server {what}"
        return CannotAsk(Reason.SENDER_UNAVAILABLE, self._last_failure)


def is_mailbox(text: str) -> bool:
    """Whether the text is a single mailbox to which a letter can be sent."""
    return _MAILBOX.fullmatch(text) is not None
