"""PURE: the question that a phone gets, and the exact bytes that it signs (the OnePass contract in
delivery/README.md). The signature is ECDSA over P-256 with SHA-256, in the form of RFC 7518 §3.4, so that
neither the service that carries notifications nor the network can approve anything.

The signed text contains everything that the person saw, so that an answer fits no other question. Normally
that is the portal, the path, the browser and the address. Where a route demands one proof for each request
(`max_age: 0`) and names fields to show, it also contains the values of the held request, and the proof is for
that request alone.
"""

from __future__ import annotations

import base64
import binascii
import unicodedata
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum, auto
from typing import Final, TypeGuard

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
    load_pem_public_key,
)

_COORDINATE: Final = 32
_LONGEST: Final = 200
_TIME: Final = "%Y-%m-%dT%H:%M:%SZ"
_VERSIONS: Final = ("onepass-answer-v1", "onepass-answer-v2")


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """One question to one phone. Times are in whole seconds, and texts are on one line."""

    push_id: str
    device_id: str
    portal: str
    place: str = field(repr=False)
    """The path; `place` is its name in the contract."""
    browser: str = field(repr=False)
    address: str = field(repr=False)
    issued_at: datetime
    expires_at: datetime
    number: str = field(repr=False)
    choices: tuple[str, ...] = field(repr=False)
    shows: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """Names and values of the held request that is to be confirmed."""

    @property
    def question(self) -> str:
        """The signed text without the answer. A phone that does not know `shows` signs a text of version 1,
        which is then not accepted: its person has not seen the values."""
        return (
            lines(
                _VERSIONS[bool(self.shows)],
                push=self.push_id,
                device=self.device_id,
                portal=self.portal,
                place=self.place,
            )
            + shown_lines(self.shows)
            + lines(
                browser=self.browser,
                address=self.address,
                issued=time_text(self.issued_at),
                expires=time_text(self.expires_at),
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneAnswer:
    """A phone's answer, as the service reports it. Only the signature proves any of it."""

    action: str
    number: str = field(repr=False)
    signature: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolledPhone:
    """The phone that an activation code was typed into, as the service reports it. `proof` is a signature; it
    and the key are in base64url."""

    device_id: str
    device_name: str = field(repr=False)
    public_key: str = field(repr=False)
    proof: str = field(repr=False)


class Unanswered(Enum):
    PENDING = auto()
    GONE = auto()
    """No answer will come: the service does not know the notification, or has withdrawn it."""


class Sent(Enum):
    ACCEPTED = auto()
    UNKNOWN_DEVICE = auto()


def answer_statement(question: str, *, action: str, number: str) -> bytes:
    """The octets that a phone signs to answer. `number` is the one that the person chose; it is empty in a
    refusal."""
    return (question + lines(action=action, number=number or "-")).encode()


def enrolment_statement(
    *, enrolment_id: str, relying_party: str, secret: str, device_id: str, device_name: str, public_key: str
) -> bytes:
    """The octets that a phone signs to be enrolled. `secret` is the half of the activation code that the
    service never learns: the person typed it into the phone. Without it, the service cannot enrol a key of
    its own. Raises ValueError for a text that no phone would have sent."""
    return lines(
        "onepass-enrolment-v1",
        enrolment=enrolment_id,
        relying_party=relying_party,
        secret=secret,
        device=device_id,
        name=device_name,
        key=public_key,
    ).encode()


def lines(*heads: str, **fields: str) -> str:
    """One line for each field, `name: value`, with a line feed at its end. Raises ValueError for a value with
    a control character: it could hold a line feed, and two different lists of fields would give the same
    text."""
    if any(unicodedata.category(sign) == "Cc" for value in fields.values() for sign in value):
        raise ValueError("a value with a control character cannot be signed")
    return "".join(f"{line}\n" for line in (*heads, *(f"{name}: {value}" for name, value in fields.items())))


def shown_lines(shows: tuple[tuple[str, str], ...]) -> str:
    """The lines for the shown fields of a held request: their number, then two lines for each. Empty if there
    are none."""
    if not shows:
        return ""
    return lines(shows=str(len(shows))) + "".join(lines(name=name, value=value) for name, value in shows)


def on_one_line(text: str, *, longest: int = _LONGEST) -> str:
    """The text as a phone can show it: printable, on one line, and cut with an ellipsis."""
    line = printable_line(text)
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def printable_line(text: str) -> str:
    """The printable characters of the text on one line, with single blanks."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


def time_text(at: datetime) -> str:
    return at.astimezone(UTC).strftime(_TIME)


def is_signed(statement: bytes, signature: str, public_key: str) -> bool:
    """Whether the holder of the key (PEM) has signed exactly this text. The signature is r and s, 32 octets
    each, in base64url (RFC 7518 §3.4)."""
    octets = _octets(signature)
    try:
        key = load_pem_public_key(public_key.encode())
    except (ValueError, UnsupportedAlgorithm):
        return False
    if octets is None or len(octets) != 2 * _COORDINATE or not _is_p256(key):
        return False
    encoded = encode_dss_signature(int.from_bytes(octets[:_COORDINATE]), int.from_bytes(octets[_COORDINATE:]))
    try:
        key.verify(encoded, statement, ec.ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True


def public_key_pem(text: str) -> str | None:
    """The PEM of a public key that a phone has sent (SubjectPublicKeyInfo in DER, base64url). None for
    another kind of key, and for a second encoding of the same key."""
    octets = _octets(text)
    try:
        key = load_der_public_key(octets or b"")
    except (ValueError, UnsupportedAlgorithm):
        return None
    if not _is_p256(key) or key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) != octets:
        return None
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def _is_p256(key: object) -> TypeGuard[ec.EllipticCurvePublicKey]:
    return isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1)


def _octets(text: str) -> bytes | None:
    """None unless the text is base64url without padding and without unused bits set."""
    try:
        octets = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    return octets if base64.urlsafe_b64encode(octets).decode().rstrip("=") == text else None
