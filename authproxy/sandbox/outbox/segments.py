"""PURE: how many text messages a text needs (3GPP TS 23.038 §6). Gateways bill each of them, and a single `č`
makes all of them shorter."""

from __future__ import annotations

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED = frozenset("^{}\\[~]|€\f")


def segments(text: str) -> int:
    """At least 1. A character outside the GSM alphabet, such as č, makes the whole text UCS-2."""
    if all(character in _BASIC or character in _EXTENDED for character in text):
        units, alone, joined = len(text) + sum(character in _EXTENDED for character in text), 160, 153
    else:
        units, alone, joined = len(text.encode("utf-16-be", "surrogatepass")) // 2, 70, 67
    return 1 if units <= alone else -(-units // joined)
