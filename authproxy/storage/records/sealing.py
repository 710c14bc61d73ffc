"""PURE: how records lie in the store: sealed with AES-256-GCM (NIST SP 800-38D) under keys made by
HKDF-SHA256 (RFC 5869).

A session's record opens only with the ticket's secret *and* a server key; everything else opens with a server
key alone. Sealed form: format (1 byte) | key id (4) | nonce (12) | ciphertext and tag. What cannot be opened
is None, whatever the reason.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from authproxy.identity.member import RegisterKey
from authproxy.identity.person import Issuer, Subject
from authproxy.identity.session import Session, SessionId
from authproxy.identity.ticket import SessionTicket

NONCE_SIZE: Final = 12
_KEY_SIZE: Final = 32
_KEY_ID_SIZE: Final = 4
_FORMAT: Final = b"\x01"
"""Changes only when an older reader could not make sense of the record. New optional fields do not change it:
readers ignore what they do not know and put the default where something is missing, so that versions can run
side by side during an upgrade."""
_ACTS: Final = "acts"
_REFUSALS: Final = "refusals"
_GRANT: Final = "grant"
_HEAD_SIZE: Final = len(_FORMAT) + _KEY_ID_SIZE
SEAL_SIZE: Final = _HEAD_SIZE + NONCE_SIZE + 16
"""Bytes by which a sealed record is longer than what is in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSession:
    """A session as it was found, and when its person was last active (milliseconds are kept). `forgiven` is
    how much of the time since then does not count as idleness."""

    session: Session = field(repr=False)
    last_active_at: datetime
    forgiven: timedelta = timedelta()


class KeyRing:
    """Server keys of 32 bytes: the first one seals, all of them open. A key that has been dropped opens
    nothing any more."""

    __slots__ = ("_by_id", "_keys", "_register_keys")

    def __init__(self, keys: tuple[bytes, ...]) -> None:
        if not keys or any(len(key) != _KEY_SIZE for key in keys):
            raise ValueError("a key ring needs keys of 32 bytes, at least one")
        self._keys = keys
        self._by_id = {hashlib.sha256(key).digest()[:_KEY_ID_SIZE]: key for key in keys}
        if len(self._by_id) != len(keys):
            raise ValueError("the same key is twice in the key ring")
        # Kept, because an import makes tens of thousands of names.
        self._register_keys = {
            key_id: _derived(key, b"authproxy register index") for key_id, key in self._by_id.items()
        }

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
        return self._names(b"authproxy subject index", issuer, subject)

    def provider_session_names(self, issuer: Issuer, provider_session: str) -> tuple[str, ...]:
        """Names of the index of the sessions that one session at the provider has begun, as
        `subject_names`."""
        return self._names(b"authproxy provider session index", issuer, provider_session)

    def person_names(self, kind: Literal["member", "tax number"], value: str) -> tuple[str, ...]:
        """Names of the index of the sessions of somebody in the register, or with a tax number by which they
        may get there."""
        return self._names(b"authproxy person index", kind, value)

    def owner_names(
        self, kind: Literal["enrolments", "push", "notices", "number"], owner: tuple[str, ...]
    ) -> tuple[str, ...]:
        """Names of what belongs to a person (`enrolment.owner_of`), as `subject_names`."""
        return self._names(f"authproxy {kind} of an owner".encode(), *owner)

    def limit_names(self, kind: Literal["answers", "messages"], name: str) -> tuple[str, ...]:
        """Names of what is counted for a person or an address, as `subject_names`."""
        return self._names(f"authproxy limit of {kind}".encode(), name)

    @property
    def key_ids(self) -> tuple[bytes, ...]:
        return tuple(self._by_id)

    def register_names(self, wanted: Iterable[RegisterKey], key_id: bytes) -> list[str]:
        """Under which names the register keeps what is looked up, made with one of the keys. Raises KeyError
        for one that is not there."""
        key = self._register_keys[key_id]
        return [_text(hmac.digest(key, f"{each.kind}\0{each.value}".encode(), "sha256")) for each in wanted]

    def _names(self, kind: bytes, *parts: str) -> tuple[str, ...]:
        named = "\0".join(parts).encode()
        return tuple(_text(hmac.digest(_derived(key, kind), named, "sha256")) for key in self._keys)


def seal_record(plaintext: bytes, *, ring: KeyRing, ticket: SessionTicket, nonce: bytes) -> bytes:
    return _seal(plaintext, ring, lambda key: _record_key(key, ticket.secret), ticket.session_id, nonce)


def open_record(sealed: bytes, *, ring: KeyRing, ticket: SessionTicket) -> bytes | None:
    return _open(sealed, ring, lambda key: _record_key(key, ticket.secret), ticket.session_id)


def seal_grant(plaintext: bytes, *, ring: KeyRing, secret: str, nonce: bytes) -> bytes:
    """`secret` is the one in the session's record."""
    return _seal(plaintext, ring, lambda key: _grant_key(key, secret), _GRANT, nonce)


def open_grant(sealed: bytes, *, ring: KeyRing, secret: str) -> bytes | None:
    return _open(sealed, ring, lambda key: _grant_key(key, secret), _GRANT)


def seal_summary(plaintext: bytes, *, ring: KeyRing, session_id: SessionId, nonce: bytes) -> bytes:
    return _seal(plaintext, ring, _summary_key, session_id, nonce)


def open_summary(sealed: bytes, *, ring: KeyRing, session_id: SessionId) -> bytes | None:
    return _open(sealed, ring, _summary_key, session_id)


def seal_attempt(plaintext: bytes, *, ring: KeyRing, name: str, nonce: bytes) -> bytes:
    """`name` says for which way the attempt is sealed."""
    return _seal(plaintext, ring, _attempt_key, name, nonce)


def open_attempt(sealed: bytes, *, ring: KeyRing, name: str) -> bytes | None:
    return _open(sealed, ring, _attempt_key, name)


def seal_refusal(plaintext: bytes, *, ring: KeyRing, nonce: bytes) -> bytes:
    return _seal(plaintext, ring, _refusal_key, _REFUSALS, nonce)


def open_refusal(sealed: bytes, *, ring: KeyRing) -> bytes | None:
    return _open(sealed, ring, _refusal_key, _REFUSALS)


def seal_member(plaintext: bytes, *, ring: KeyRing, name: str, nonce: bytes) -> bytes:
    """`name` is the one under which the register keeps the person."""
    return _seal(plaintext, ring, _member_key, name, nonce)


def open_member(sealed: bytes, *, ring: KeyRing, name: str) -> bytes | None:
    return _open(sealed, ring, _member_key, name)


def seal_blocked_account(plaintext: bytes, *, ring: KeyRing, name: str, nonce: bytes) -> bytes:
    """`name` is the one under which the register keeps the account."""
    return _seal(plaintext, ring, _blocked_account_key, name, nonce)


def open_blocked_account(sealed: bytes, *, ring: KeyRing, name: str) -> bytes | None:
    return _open(sealed, ring, _blocked_account_key, name)


def seal_kept(plaintext: bytes, *, ring: KeyRing, name: str, nonce: bytes) -> bytes:
    """`name` is the hash under which the octets are kept."""
    return _seal(plaintext, ring, _kept_key, name, nonce)


def open_kept(sealed: bytes, *, ring: KeyRing, name: str) -> bytes | None:
    return _open(sealed, ring, _kept_key, name)


def seal_challenge(plaintext: bytes, *, ring: KeyRing, name: str, nonce: bytes) -> bytes:
    """`name` is the hash under which the challenge is kept."""
    return _seal(plaintext, ring, _challenge_key, name, nonce)


def open_challenge(sealed: bytes, *, ring: KeyRing, name: str) -> bytes | None:
    return _open(sealed, ring, _challenge_key, name)


def seal_enrolment(plaintext: bytes, *, ring: KeyRing, name: str, nonce: bytes) -> bytes:
    """`name` is the owner's, and under which name it is kept there."""
    return _seal(plaintext, ring, _enrolment_key, name, nonce)


def open_enrolment(sealed: bytes, *, ring: KeyRing, name: str) -> bytes | None:
    return _open(sealed, ring, _enrolment_key, name)


def seal_notice(plaintext: bytes, *, ring: KeyRing, name: str, nonce: bytes) -> bytes:
    """`name` is the owner's."""
    return _seal(plaintext, ring, _notice_key, name, nonce)


def open_notice(sealed: bytes, *, ring: KeyRing, name: str) -> bytes | None:
    return _open(sealed, ring, _notice_key, name)


def seal_act(plaintext: bytes, *, ring: KeyRing, nonce: bytes) -> bytes:
    return _seal(plaintext, ring, _act_key, _ACTS, nonce)


def open_act(sealed: bytes, *, ring: KeyRing) -> bytes | None:
    return _open(sealed, ring, _act_key, _ACTS)


def seal_open_session(plaintext: bytes, *, ring: KeyRing, session_id: SessionId, nonce: bytes) -> bytes:
    return _seal(plaintext, ring, _open_session_key, session_id, nonce)


def open_open_session(sealed: bytes, *, ring: KeyRing, session_id: SessionId) -> bytes | None:
    return _open(sealed, ring, _open_session_key, session_id)


def _seal(
    plaintext: bytes, ring: KeyRing, key_for: Callable[[bytes], bytes], name: str, nonce: bytes
) -> bytes:
    if len(nonce) != NONCE_SIZE:
        raise ValueError("a nonce has 12 bytes")
    key_id, key = ring.sealing
    head = _FORMAT + key_id
    return head + nonce + AESGCM(key_for(key)).encrypt(nonce, plaintext, head + name.encode())


def _open(sealed: bytes, ring: KeyRing, key_for: Callable[[bytes], bytes], name: str) -> bytes | None:
    head, nonce, ciphertext = (
        sealed[:_HEAD_SIZE],
        sealed[_HEAD_SIZE : _HEAD_SIZE + NONCE_SIZE],
        sealed[_HEAD_SIZE + NONCE_SIZE :],
    )
    key = ring.opening(head[len(_FORMAT) :])
    if not head.startswith(_FORMAT) or key is None or len(nonce) != NONCE_SIZE:
        return None
    try:
        # The name is authenticated too: a record moved to another session's key in the store does not open
        # there.
        return AESGCM(key_for(key)).decrypt(nonce, ciphertext, head + name.encode())
    except InvalidTag:
        return None


def _record_key(server_key: bytes, secret: bytes) -> bytes:
    return HKDF(
        algorithm=SHA256(), length=_KEY_SIZE, salt=server_key, info=b"authproxy session record"
    ).derive(secret)


def _grant_key(server_key: bytes, secret: str) -> bytes:
    return HKDF(
        algorithm=SHA256(), length=_KEY_SIZE, salt=server_key, info=b"authproxy session grant"
    ).derive(secret.encode())


def _summary_key(server_key: bytes) -> bytes:
    return _derived(server_key, b"authproxy session summary")


def _attempt_key(server_key: bytes) -> bytes:
    return _derived(server_key, b"authproxy sign-in attempt")


def _refusal_key(server_key: bytes) -> bytes:
    return _derived(server_key, b"authproxy refused sign-in")


def _member_key(server_key: bytes) -> bytes:
    return _derived(server_key, b"authproxy register person")


def _blocked_account_key(server_key: bytes) -> bytes:
    return _derived(server_key, b"authproxy blocked account")


def _kept_key(server_key: bytes) -> bytes:
    return _derived(server_key, b"authproxy kept octets")


def _challenge_key(server_key: bytes) -> bytes:
    return _derived(server_key, b"authproxy challenge")


def _enrolment_key(server_key: bytes) -> bytes:
    return _derived(server_key, b"authproxy enrolment")


def _notice_key(server_key: bytes) -> bytes:
    return _derived(server_key, b"authproxy notice")


def _open_session_key(server_key: bytes) -> bytes:
    return _derived(server_key, b"authproxy open session")


def _act_key(server_key: bytes) -> bytes:
    return _derived(server_key, b"authproxy operator's act")


def _derived(server_key: bytes, info: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=_KEY_SIZE, salt=None, info=info).derive(server_key)


def _text(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")
