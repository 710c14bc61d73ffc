"""PURE: a message to a person, and what becomes of it: the words between those who have something to say and
those who deliver it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Sms:
    recipient: str = field(repr=False)
    """E.164: `+38640123456`."""
    text: str = field(repr=False)
    reference: str = field(repr=False)
    """By which a gateway may know a message again that it is handed twice. At most 64 visible characters of
    ASCII."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """An e-mail of plain text."""

    recipient: str = field(repr=False)
    subject: str = field(repr=False)
    text: str = field(repr=False)
    reference: str = field(repr=False)
    """Visible ASCII, which no other letter has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """A gateway has taken the message. Whether it arrives, it knows later."""

    gateway: str
    message_id: str = ""
    """The gateway's; nothing where it gives none."""
