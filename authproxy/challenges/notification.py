"""PURE: what a phone is asked and what it signs, to the byte: the OnePass contract (delivery/README.md).
ECDSA over P-256 with SHA-256 (as RFC 7518 §3.4 has it), so that neither the service that carries a
notification nor the network can approve anything.

The signed text names all that its person saw, and an answer is good for nothing else. By itself that is the
portal, the place there and the browser. Only where a route demands one proof for each request (`max_age: 0`)
and names the fields to show are the values of the form among it, and the proof serves that form alone.
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
    """One question to one phone. Times are whole seconds; texts are on one line (`shown`)."""

    push_id: str
    device_id: str
    portal: str
    place: str = field(repr=False)
    browser: str = field(repr=False)
    address: str = field(repr=False)
    issued_at: datetime
    expires_at: datetime
    number: str = field(repr=False)
    choices: tuple[str, ...] = field(repr=False)
    shows: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """Names and values of the form that is to be confirmed."""

    @property
    def question(self) -> str:
        """What a phone signs, up to its answer. A phone that does not know of `shows` signs the first
        version, which is then worth nothing: its person has not seen them."""
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
    """What the service says that a phone has answered: nothing of it is believed but by the signature."""

    action: str
    number: str = field(repr=False)
    signature: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolledPhone:
    """What the service says of the phone that an activation code was typed into. Key and proof, which is a
    signature, are base64url."""

    device_id: str
    device_name: str = field(repr=False)
    public_key: str = field(repr=False)
    proof: str = field(repr=False)


class Unanswered(Enum):
    PENDING = auto()
    GONE = auto()
    """Nobody will answer: the service has never heard of it, or has put it aside."""


class Sent(Enum):
    ACCEPTED = auto()
    UNKNOWN_DEVICE = auto()


def answer_statement(question: str, *, action: str, number: str) -> bytes:
    """The octets that a phone signs to answer: `number` is the one that its person chose, none to refuse."""
    return (question + lines(action=action, number=number or "-")).encode()


def enrolment_statement(
    *, enrolment_id: str, relying_party: str, secret: str, device_id: str, device_name: str, public_key: str
) -> bytes:
    """The octets that a phone signs to be enrolled. `secret` is the part of the activation code that its
    person carried by hand from our page to the phone: the service in between does not know it, and so cannot
    put a key of its own in. Raises ValueError for a text that no phone would have sent."""
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
    """One line for each, `name: value`, ended by a line feed. No value has a control character, so that no
    two lists of values give one text. Raises ValueError for one that has."""
    if any(unicodedata.category(sign) == "Cc" for value in fields.values() for sign in value):
        raise ValueError("a value with a control character cannot be signed")
    return "".join(f"{line}\n" for line in (*heads, *(f"{name}: {value}" for name, value in fields.items())))


def shown_lines(shows: tuple[tuple[str, str], ...]) -> str:
    """The lines for what is shown of a form: how many pairs, and then each in two lines. Nothing where
    nothing is shown."""
    if not shows:
        return ""
    return lines(shows=str(len(shows))) + "".join(lines(name=name, value=value) for name, value in shows)


def shown(text: str) -> str:
    """A text as a phone can show it: printable, on one line, not endless."""
    tidied = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
    return tidied if len(tidied) <= _LONGEST else f"{tidied[: _LONGEST - 1]}…"


def time_text(at: datetime) -> str:
    return at.astimezone(UTC).strftime(_TIME)


def is_signed(statement: bytes, signature: str, public_key: str) -> bool:
    """Whether the holder of the key (PEM) has signed exactly this. The signature is r and s, 32 octets each,
    in base64url."""
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
    """The PEM of a public key that a phone has sent (SubjectPublicKeyInfo in DER, base64url). None for any
    other key or curve, and for a second spelling of the same key."""
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
    """None for what is not base64url without padding, or leaves bits over."""
    try:
        octets = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    return octets if base64.urlsafe_b64encode(octets).decode().rstrip("=") == text else None
