"""The gateway's keys: those that sign assertions, those that seal records in the store, and the one behind
people's names in the audit trail."""

from __future__ import annotations

import secrets
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from authproxy.assertions.keys import KeyFiles, SigningKeyRing, read_ring
from authproxy.assertions.signer import AssertionSigner
from authproxy.settings.schema import AssertionSettings, ServerSettings, SessionSettings, Settings
from authproxy.settings.values import key_of
from authproxy.telemetry.audit import Audit, Event


def key_files(settings: AssertionSettings) -> KeyFiles:
    return KeyFiles(
        current=Path(settings.current_key_file),
        upcoming=Path(settings.next_key_file) if settings.next_key_file is not None else None,
        retiring=Path(settings.retiring_key_file) if settings.retiring_key_file is not None else None,
    )


def signing_keys(settings: AssertionSettings) -> SigningKeyRing:
    """Raises KeyRefused for a file that is missing or cannot be used."""
    return read_ring(key_files(settings), settings.algorithm)


def assertion_signer(settings: AssertionSettings, audit: Audit) -> AssertionSigner:
    """Raises KeyRefused as above."""
    ring = signing_keys(settings)
    for role, key in (("current", ring.current), ("next", ring.upcoming), ("retiring", ring.retiring)):
        if key is not None:
            audit.record(Event.KEY_LOADED, detail=f"{role} {key.key_id}")
    return AssertionSigner(
        ring, issuer=settings.issuer, lifetime=settings.lifetime, random_text=secrets.token_urlsafe
    )


def record_keys(settings: SessionSettings) -> tuple[bytes, ...]:
    """The first one seals, and all of them open."""
    return tuple(key_of(key.get_secret_value()) for key in settings.keys)


def question_keys(settings: ServerSettings) -> tuple[bytes, ...]:
    """By which front proxies prove that a question is theirs."""
    return tuple(key_of(key.get_secret_value()) for key in settings.subrequest_key)


def person_key(settings: Settings) -> bytes:
    """The key from which people's names in the audit trail are derived."""
    if settings.telemetry.audit_key is not None:
        return key_of(settings.telemetry.audit_key.get_secret_value())
    # The oldest key, so that a person's name in the trail stays the same until that key is dropped.
    oldest = record_keys(settings.sessions)[-1]
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=b"authproxy audit person").derive(oldest)


def cookie_key(settings: SessionSettings) -> bytes:
    """The key behind the marks of portals' cookies (`access.personal_cookies`). It comes from the oldest
    session key. When that is dropped, portals ask people once more who they are."""
    oldest = record_keys(settings)[-1]
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=b"authproxy portal cookies").derive(oldest)


def consent_keys(settings: SessionSettings) -> tuple[bytes, ...]:
    """The keys of consents to `authproxy doctor`, one from each session key: the first one makes them."""
    return tuple(
        HKDF(algorithm=SHA256(), length=32, salt=None, info=b"authproxy doctor consent").derive(key)
        for key in record_keys(settings)
    )
