"""PURE: the session ticket, the only thing a browser holds of its session.

A ticket has an identifier (which record) and a secret (half of the key that opens the record). The store
knows only a hash of the identifier, which is the session's public name, and never sees the secret. 128 and
256 random bits cannot be guessed, and neither half says anything about the person.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass, field

from authproxy.identity.session import SessionId

IDENTIFIER_SIZE = 16
SECRET_SIZE = 32
_TEXT = re.compile(r"1\.([A-Za-z0-9_-]{22})\.([A-Za-z0-9_-]{43})", re.ASCII)


@dataclass(frozen=True, slots=True)
class SessionTicket:
    identifier: bytes = field(repr=False)
    secret: bytes = field(repr=False)

    @property
    def text(self) -> str:
        """The cookie's value: 68 ASCII characters."""
        return f"1.{_encoded(self.identifier)}.{_encoded(self.secret)}"

    @property
    def session_id(self) -> SessionId:
        """The public name of the session: a hash, so the ticket cannot be computed from it."""
        return SessionId(_encoded(hashlib.sha256(b"authproxy session\0" + self.identifier).digest()[:18]))


def parse(text: str | None) -> SessionTicket | None:
    """The ticket in a cookie's value; None for no cookie and for anything else, including a second spelling
    of a ticket."""
    match = None if text is None else _TEXT.fullmatch(text)
    if match is None:
        return None
    ticket = SessionTicket(_decoded(match[1]), _decoded(match[2]))
    return ticket if ticket.text == text else None


def _encoded(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
