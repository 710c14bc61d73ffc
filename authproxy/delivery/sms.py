"""PURE: splits a text into short messages (3GPP TS 23.038 §6, TS 23.040 §9.2.3.24.1), and writes a number in
the form that a gateway wants.

The alphabet of telephones has no `č`, `š` and `ž`. A text with one of them is sent in UCS-2 as a whole, and a
message holds 70 characters instead of 160. A part never ends within a character, because some telephones show
each part by itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, Literal

RecipientForm = Literal["+", "00", "digits"]
Alphabet = Literal["gsm", "ucs2"]

_BASIC: Final = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\0ÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_ESCAPE: Final = 0x1B
_SEPTETS: Final = {character: bytes([at]) for at, character in enumerate(_BASIC) if at != _ESCAPE} | {
    character: bytes([_ESCAPE, at])
    for character, at in zip(
        "\f^{}\\[~]|€", (0x0A, 0x14, 0x28, 0x29, 0x2F, 0x3C, 0x3D, 0x3E, 0x40, 0x65), strict=True
    )
}
_ALONE: Final[dict[Alphabet, int]] = {"gsm": 160, "ucs2": 140}
_JOINED: Final[dict[Alphabet, int]] = {"gsm": 153, "ucs2": 134}
"""Length of a message. 140 bytes hold 160 characters of seven bits, and six bytes go to the header that joins
parts."""
_MOST_PARTS: Final = 255
_PREFIXES: Final[dict[RecipientForm, str]] = {"+": "+", "00": "00", "digits": ""}
_E164: Final = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)


class Unsendable(ValueError):  # noqa: N818
    """No gateway can send the message. The text says why and never quotes the message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """`octets` has one byte per seven-bit character; the gateway packs them."""

    alphabet: Alphabet
    octets: bytes = field(repr=False)
    parts: tuple[bytes, ...] = field(repr=False)
    """The same, split into parts without headers."""


def encoded(text: str, *, only_ucs2: bool = False) -> Encoded:
    """Raises Unsendable for a text that is empty or needs more than 255 messages."""
    if not only_ucs2 and all(character in _SEPTETS for character in text):
        alphabet: Alphabet = "gsm"
        units = [_SEPTETS[character] for character in text]
    else:
        alphabet = "ucs2"
        # A lone surrogate is not a character and becomes a visible replacement.
        units = [character.encode("utf-16-be", "replace") for character in text]
    parts = _parts(units, alphabet)
    if not text or len(parts) > _MOST_PARTS:
        raise Unsendable("the text is empty" if not text else "the text is too long")
    return Encoded(alphabet=alphabet, octets=b"".join(units), parts=tuple(parts))


def joined(parts: tuple[bytes, ...], reference: int) -> tuple[bytes, ...]:
    """The parts, each with the header by which telephones join them (TS 23.040 §9.2.3.24.1). A single part
    stays unchanged."""
    if len(parts) == 1:
        return parts
    return tuple(
        bytes([5, 0, 3, reference % 256, len(parts), at]) + part for at, part in enumerate(parts, start=1)
    )


def written(recipient: str, form: RecipientForm) -> str:
    """The number in the gateway's form: `+386…`, `00386…` or `386…`. Raises Unsendable if it is not E.164."""
    if not _E164.fullmatch(recipient):
        raise Unsendable("the number is not in international form")
    return _PREFIXES[form] + recipient[1:]


def _parts(units: list[bytes], alphabet: Alphabet) -> list[bytes]:
    if sum(map(len, units)) <= _ALONE[alphabet]:
        return [b"".join(units)]
    parts = [b""]
    for unit in units:
        if len(parts[-1]) + len(unit) > _JOINED[alphabet]:
            parts.append(b"")
        parts[-1] += unit
    return parts
