"""PURE: the messages that have arrived, newest first, and which JSON is a message."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

CAPACITY = 500
_TELEPHONE = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)
_MAILBOX = re.compile(r"[^@\s]{1,256}@[^@\s]{1,255}")
_LONGEST = {"text": 10_000, "from": 320, "subject": 500}
_CODE = re.compile(r"(?<![\d+])[0-9]{6}(?!\d)")


class NotAMessage(ValueError):  # noqa: N818
    """The JSON is no message. The text names the wrong member, never its value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    id: str
    kind: Literal["sms", "mail"]
    to: str
    sender: str
    subject: str
    text: str
    at: datetime
    attachments: tuple[str, ...] = ()
    """File names; their content is not kept."""

    @property
    def code(self) -> str | None:
        """The one-time code in the text: the first six digits that stand alone."""
        match = _CODE.search(self.text)
        return match[0] if match else None

    def as_json(self) -> dict[str, Any]:
        members: dict[str, Any] = {
            "id": self.id,
            "kind": self.kind,
            "to": self.to,
            "from": self.sender,
            "text": self.text,
            "at": self.at.isoformat(),
        }
        if self.kind == "mail":
            members["subject"] = self.subject
        if self.attachments:
            members["attachments"] = list(self.attachments)
        return members


class Messages:
    """The last 500 messages; older ones fall out."""

    def __init__(self) -> None:
        self._newest_first: deque[Message] = deque(maxlen=CAPACITY)

    def add(self, message: Message) -> None:
        self._newest_first.appendleft(message)

    def to(self, recipient: str | None) -> tuple[Message, ...]:
        """Messages to one recipient, or all of them, newest first."""
        return tuple(
            message
            for message in self._newest_first
            if recipient is None or message.to.casefold() == recipient.casefold()
        )

    def find(self, identifier: str) -> Message | None:
        return next((message for message in self._newest_first if message.id == identifier), None)

    def clear(self) -> None:
        self._newest_first.clear()


def is_telephone(text: str) -> bool:
    """Whether it is a number in international form (E.164), with its plus."""
    return _TELEPHONE.fullmatch(text) is not None


def is_mailbox(text: str) -> bool:
    return _MAILBOX.fullmatch(text) is not None


def read(kind: Literal["sms", "mail"], body: dict[str, Any], *, identifier: str, now: datetime) -> Message:
    """The message in a JSON body. Raises NotAMessage."""
    recipient = body.get("to")
    is_address = is_telephone if kind == "sms" else is_mailbox
    if not isinstance(recipient, str) or not is_address(recipient):
        raise NotAMessage("to")
    return Message(
        id=identifier,
        kind=kind,
        to=recipient,
        sender=_text(body, "from"),
        subject=_text(body, "subject", required=False),
        text=_text(body, "text"),
        at=now,
    )


def recipient_asked_for(text: str | None) -> str | None:
    """The recipient in a query. `?to=+386…` arrives as a blank and digits, because `+` means a blank in a
    query."""
    if text is None or not text.strip():
        return None
    recipient = text.strip()
    return f"+{recipient}" if recipient.isdecimal() else recipient


def _text(body: dict[str, Any], member: str, *, required: bool = True) -> str:
    value = body.get(member, None if required else "")
    if not isinstance(value, str) or (required and not value) or len(value) > _LONGEST[member]:
        raise NotAMessage(member)
    return value
