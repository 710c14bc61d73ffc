"""PURE: how records are sealed: AES-256-GCM (NIST SP 800-38D) under keys derived by HKDF-SHA256 (RFC 5869).

Sealed form: format (1 byte) | id of the server key (4) | nonce (12) | ciphertext and tag. What cannot be
opened is None, whatever the reason.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Iterable
from enum import Enum
from typing import Final, Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from authproxy.identity.member import RegisterKey
from authproxy.identity.person import Issuer, Subject

_NONCE_SIZE: Final = 12
_TAG_SIZE: Final = 16
_KEY_SIZE: Final = 32
_KEY_ID_SIZE: Final = 4
FORMAT: Final = 1
"""Changes only when an older reader could not make sense of a record, or would misread it. Then older
gateways refuse the store (`redis.formats`). New optional fields do not change it: readers keep fields that
they do not know, and put the default where one is missing, so that two versions can run side by side."""
_FORMAT: Final = bytes([FORMAT])
_HEAD_SIZE: Final = len(_FORMAT) + _KEY_ID_SIZE
SEAL_SIZE: Final = _HEAD_SIZE + _NONCE_SIZE + _TAG_SIZE
"""A sealed record is longer than its content by this many bytes."""


class Purpose(Enum):
    """What a record is for. Each purpose has a key of its own, so that no record opens as one of another
    kind.

    The value, after the word `authproxy`, is the label of that key (`info` of HKDF, RFC 5869 section 3.2). It
    must never change: records that were sealed before would not open any more. A record is also bound to a
    name, which is authenticated with it (the associated data of GCM). It does not open under another name, so
    a record that somebody has moved within the store is not believed there.
    """

    SESSION = "session record"
    """Bound to the session's id. Opens only with the secret of the ticket as well."""
    ENDED_SESSION = "ended session"
    """Whose a session was. Bound to the session's id. Opens only with the secret of the ticket as well."""
    GRANT = "session grant"
    """The provider's tokens. Bound to `grant`. Opens only with a secret from the session's record as well."""
    SUMMARY = "session summary"
    """Bound to the session's id."""
    OPEN_SESSION = "open session"
    """Bound to the session's id."""
    ATTEMPT = "sign-in attempt"
    """Bound to the direction in which it travels."""
    REFUSAL = "refused sign-in"
    """Bound to `refusals`."""
    CHALLENGE = "challenge"
    """Bound to its name in the store."""
    ENROLMENT = "enrolment"
    """Bound to its owner's name, and to its own name there."""
    NOTICE = "notice"
    """Bound to its owner's name."""
    MEMBER = "register person"
    """Bound to the person's name in the register."""
    BLOCKED_ACCOUNT = "blocked account"
    """Bound to the account's name in the register."""
    SHARED_OCTETS = "kept octets"
    """Bound to their name in the store."""
    AUDIT_ENTRY = "operator's act"
    """Bound to `acts`."""
    MACHINE_KEY = "machine key"
    """Bound to the public name of the API key."""
    BACKUP = "people backup"
    """Bound to the first line of its file."""


class KeyRing:
    """Server keys of 32 bytes. The first one seals, all of them open. What was sealed with a key that has
    been dropped does not open any more."""

    __slots__ = ("_by_id", "_keys", "_register_keys", "random_bytes")

    def __init__(self, keys: tuple[bytes, ...], *, random_bytes: Callable[[int], bytes]) -> None:
        """`random_bytes` makes nonces, and ids of records that the stores create."""
        if not keys or any(len(key) != _KEY_SIZE for key in keys):
            raise ValueError("a key ring needs keys of 32 bytes, at least one")
        self.random_bytes = random_bytes
        self._keys = keys
        self._by_id = {hashlib.sha256(key).digest()[:_KEY_ID_SIZE]: key for key in keys}
        if len(self._by_id) != len(keys):
            raise ValueError("the same key is twice in the key ring")
        # Derived once, because an import makes tens of thousands of names.
        self._register_keys = {key_id: _derived(key, "register index") for key_id, key in self._by_id.items()}

    @property
    def key_ids(self) -> tuple[bytes, ...]:
        """The id of the key that seals comes first."""
        return tuple(self._by_id)

    def seal(
        self, purpose: Purpose, plaintext: bytes, *, bound_to: str, secret: bytes | None = None
    ) -> bytes:
        """With `secret`, only somebody who has both that and a server key can open the record."""
        nonce = self.random_bytes(_NONCE_SIZE)
        if len(nonce) != _NONCE_SIZE:
            raise ValueError("a nonce has 12 bytes")
        head = _FORMAT + self.key_ids[0]
        cipher = AESGCM(_derived(self._keys[0], purpose.value, secret))
        return head + nonce + cipher.encrypt(nonce, plaintext, head + bound_to.encode())

    def open(
        self, purpose: Purpose, sealed: bytes, *, bound_to: str, secret: bytes | None = None
    ) -> bytes | None:
        head, nonce = sealed[:_HEAD_SIZE], sealed[_HEAD_SIZE : _HEAD_SIZE + _NONCE_SIZE]
        key = self._by_id.get(head[len(_FORMAT) :])
        if not head.startswith(_FORMAT) or key is None or len(nonce) != _NONCE_SIZE:
            return None
        cipher = AESGCM(_derived(key, purpose.value, secret))
        try:
            return cipher.decrypt(nonce, sealed[_HEAD_SIZE + _NONCE_SIZE :], head + bound_to.encode())
        except InvalidTag:
            return None

    def is_under_first_key(self, sealed: bytes) -> bool:
        """Whether the record opens without the other keys of the ring."""
        return self.key_id_of(sealed) == self.key_ids[0]

    @staticmethod
    def key_id_of(sealed: bytes) -> bytes:
        """The id of the key under which the record was sealed, whether it is in the ring or not."""
        return sealed[len(_FORMAT) : _HEAD_SIZE]

    def subject_names(self, issuer: Issuer, subject: Subject) -> tuple[str, ...]:
        """The names of the index of a person's sessions, one for each key. New sessions go under the first.

        The names are keyed hashes: somebody who reads the store could look a bare hash of a subject up in a
        list of hashed login names.
        """
        return self._names("subject index", issuer, subject)

    def provider_session_names(self, issuer: Issuer, provider_session: str) -> tuple[str, ...]:
        """As `subject_names`, for the sessions that were begun from one session at the provider."""
        return self._names("provider session index", issuer, provider_session)

    def person_names(self, kind: Literal["member", "tax number"], value: str) -> tuple[str, ...]:
        """As `subject_names`, for the sessions of a person of the register, or of somebody who may be found
        in the register by this tax number."""
        return self._names("person index", kind, value)

    def owner_names(
        self, kind: Literal["enrolments", "push", "notices", "number"], owner: tuple[str, ...]
    ) -> tuple[str, ...]:
        """As `subject_names`, for what belongs to a person (`challenges.enrolment.owner_of`)."""
        return self._names(f"{kind} of an owner", *owner)

    def limit_names(self, kind: Literal["answers", "messages"], name: str) -> tuple[str, ...]:
        """As `subject_names`, for what is counted for a person or an address."""
        return self._names(f"limit of {kind}", name)

    def register_names(self, wanted: Iterable[RegisterKey], key_id: bytes) -> list[str]:
        """The names under which the register has these keys, made with one of the server keys. Raises
        KeyError if that server key is not in the ring."""
        server_key = self._register_keys[key_id]
        return [_hashed(server_key, f"{key.kind}\0{key.value}") for key in wanted]

    def _names(self, label: str, *parts: str) -> tuple[str, ...]:
        return tuple(_hashed(_derived(key, label), "\0".join(parts)) for key in self._keys)


def _derived(server_key: bytes, label: str, secret: bytes | None = None) -> bytes:
    info = f"authproxy {label}".encode()
    if secret is None:
        return HKDF(algorithm=SHA256(), length=_KEY_SIZE, salt=None, info=info).derive(server_key)
    return HKDF(algorithm=SHA256(), length=_KEY_SIZE, salt=server_key, info=info).derive(secret)


def _hashed(key: bytes, text: str) -> str:
    return base64.urlsafe_b64encode(hmac.digest(key, text.encode(), "sha256")).decode().rstrip("=")
