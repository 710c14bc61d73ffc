"""PURE: how records lie in the store: sealed with AES-256-GCM (NIST SP 800-38D) under keys made by HKDF-SHA256 (RFC 5869).

A session's record opens only with the ticket's secret *and* a server key; summaries and attempts open with a server key alone.
Sealed form: format (1 byte) | key id (4) | nonce (12) | ciphertext and tag. What cannot be opened is None, whatever the reason.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from authproxy.identity.person import Issuer, Subject
from authproxy.identity.session import Session, SessionId
from authproxy.identity.ticket import SessionTicket

NONCE_SIZE: Final = 12
_KEY_SIZE: Final = 32
_KEY_ID_SIZE: Final = 4
_FORMAT: Final = b"\x01"
"""Changes only when an older reader could not make sense of the record. New optional fields do not change it: readers ignore what
they do not know and put the default where something is missing, so that versions can run side by side during an upgrade."""
_HEAD_SIZE: Final = len(_FORMAT) + _KEY_ID_SIZE


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSession:
    """A session as it was found, and when its person was last active (milliseconds are kept)."""

    session: Session = field(repr=False)
    last_active_at: datetime


class KeyRing:
    """Server keys of 32 bytes: the first one seals, all of them open. A key that has been dropped opens nothing any more."""

    __slots__ = ("_by_id", "_keys")

    def __init__(self, keys: tuple[bytes, ...]) -> None:
        if not keys or any(len(key) != _KEY_SIZE for key in keys):
            raise ValueError("a key ring needs keys of 32 bytes, at least one")
        self._keys = keys
        self._by_id = {hashlib.sha256(key).digest()[:_KEY_ID_SIZE]: key for key in keys}
        if len(self._by_id) != len(keys):
            raise ValueError("the same key is twice in the key ring")

    @property
    def sealing(self) -> tuple[bytes, bytes]:
        """Identifier and key with which new records are sealed."""
        return next(iter(self._by_id.items()))

    def opening(self, key_id: bytes) -> bytes | None:
        return self._by_id.get(key_id)

    def subject_names(self, issuer: Issuer, subject: Subject) -> tuple[str, ...]:
        """Names of the index of a person's sessions, one for each key; new sessions go under the first.

        Keyed, because a bare hash of a subject could be looked up in a list of hashed login names.
        """
        person = f"{issuer}\0{subject}".encode()
        return tuple(_text(hmac.digest(_derived(key, b"authproxy subject index"), person, "sha256")) for key in self._keys)


def seal_record(plaintext: bytes, *, ring: KeyRing, ticket: SessionTicket, nonce: bytes) -> bytes:
    return _seal(plaintext, ring, lambda key: _record_key(key, ticket.secret), ticket.session_id, nonce)


def open_record(sealed: bytes, *, ring: KeyRing, ticket: SessionTicket) -> bytes | None:
    return _open(sealed, ring, lambda key: _record_key(key, ticket.secret), ticket.session_id)


def seal_summary(plaintext: bytes, *, ring: KeyRing, session_id: SessionId, nonce: bytes) -> bytes:
    return _seal(plaintext, ring, _summary_key, session_id, nonce)


def open_summary(sealed: bytes, *, ring: KeyRing, session_id: SessionId) -> bytes | None:
    return _open(sealed, ring, _summary_key, session_id)


def seal_attempt(plaintext: bytes, *, ring: KeyRing, name: str, nonce: bytes) -> bytes:
    """`name` is the hash under which the attempt is kept."""
    return _seal(plaintext, ring, _attempt_key, name, nonce)


def open_attempt(sealed: bytes, *, ring: KeyRing, name: str) -> bytes | None:
    return _open(sealed, ring, _attempt_key, name)


def _seal(plaintext: bytes, ring: KeyRing, key_for: Callable[[bytes], bytes], name: str, nonce: bytes) -> bytes:
    if len(nonce) != NONCE_SIZE:
        raise ValueError("a nonce has 12 bytes")
    key_id, key = ring.sealing
    head = _FORMAT + key_id
    return head + nonce + AESGCM(key_for(key)).encrypt(nonce, plaintext, head + name.encode())


def _open(sealed: bytes, ring: KeyRing, key_for: Callable[[bytes], bytes], name: str) -> bytes | None:
    head, nonce, ciphertext = sealed[:_HEAD_SIZE], sealed[_HEAD_SIZE : _HEAD_SIZE + NONCE_SIZE], sealed[_HEAD_SIZE + NONCE_SIZE :]
    key = ring.opening(head[len(_FORMAT) :])
    if not head.startswith(_FORMAT) or key is None or len(nonce) != NONCE_SIZE:
        return None
    try:
        # The name is authenticated too: a record moved to another session's key in the store does not open there.
        return AESGCM(key_for(key)).decrypt(nonce, ciphertext, head + name.encode())
    except InvalidTag:
        return None


def _record_key(server_key: bytes, secret: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=_KEY_SIZE, salt=server_key, info=b"authproxy session record").derive(secret)


def _summary_key(server_key: bytes) -> bytes:
    return _derived(server_key, b"authproxy session summary")


def _attempt_key(server_key: bytes) -> bytes:
    return _derived(server_key, b"authproxy sign-in attempt")


def _derived(server_key: bytes, info: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=_KEY_SIZE, salt=None, info=info).derive(server_key)


def _text(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")
