"""PURE: the PIN that locks the app: 4 to 6 digits, stored as scrypt (RFC 7914). The hash is slow on purpose:
call it in a thread."""

from __future__ import annotations

import hashlib
import hmac

TRIES = 5
_UPWARDS, _DOWNWARDS = "01234567890", "09876543210"


def is_pin(text: str) -> bool:
    return text.isascii() and text.isdigit() and 4 <= len(text) <= 6


def is_guessed_first(pin: str) -> bool:
    """Whether all digits are the same or in a row: these are guessed first."""
    return len(set(pin)) == 1 or pin in _UPWARDS or pin in _DOWNWARDS


def hashed(pin: str, salt: bytes) -> str:
    """The text to store: salt and hash in hexadecimal."""
    return f"{salt.hex()}:{_digest(pin, salt).hex()}"


def fits(pin: str, stored: str) -> bool:
    salt, _, digest = stored.partition(":")
    return hmac.compare_digest(_digest(pin, bytes.fromhex(salt)), bytes.fromhex(digest))


def _digest(pin: str, salt: bytes) -> bytes:
    return hashlib.scrypt(pin.encode("utf-8", "surrogatepass"), salt=salt, n=2**14, r=8, p=1, dklen=32)
