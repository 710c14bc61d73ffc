"""PURE: text messages and e-mails, as values between the modules that write them and those that deliver
them."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Sms:
    recipient: str = field(repr=False)
    """E.164: `+38640123456`."""
    text: str = field(repr=False)
    reference: str = field(repr=False)
    """At most 64 visible ASCII characters. By it, a gateway may recognise a message that it is handed
    twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """An e-mail of plain text."""

    recipient: str = field(repr=False)
    subject: str = field(repr=False)
    text: str = field(repr=False)
    reference: str = field(repr=False)
    """Visible ASCII, different for every letter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """A gateway has accepted the message. It may still fail to arrive."""

    gateway: str
    message_id: str = ""
    """The gateway's own; empty if it gives none."""
