"""PURE: short codes that people read and type: how they are made, hashed, and read as typed.

The store keeps a keyed hash, and does not have the key: without one, six digits could be found by trying them
all. The key is derived from a server key by HKDF-SHA256 (RFC 5869).
"""

from __future__ import annotations

import hashlib
import hmac
import re
import unicodedata
from collections.abc import Callable
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_LABEL: Final = b"authproxy one-time code"
_KEY_SIZE: Final = 32
_BETWEEN = re.compile(r"[\s\-\u2010-\u2015\u2212.]")
_LONGEST_TYPED = 64
_RECOVERY_ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"
"""Without characters that people confuse. Ten of these 31 characters have 49 bits."""
_RECOVERY_LENGTH = 10
_RECOVERY_GROUP = 5


def digits(count: int, random_below: Callable[[int], int]) -> str:
    """A code of so many digits. `random_below(n)` is a random number below n."""
    return f"{random_below(10**count):0{count}d}"


def recovery_code(random_below: Callable[[int], int]) -> str:
    """A code to be kept on paper: `7mpq2-x9fhk`."""
    alphabet = _RECOVERY_ALPHABET
    code = "".join(alphabet[random_below(len(alphabet))] for _ in range(_RECOVERY_LENGTH))
    return f"{code[:_RECOVERY_GROUP]}-{code[_RECOVERY_GROUP:]}"


def as_typed(text: str) -> str:
    """A typed or pasted code without blanks, dashes and dots, in lower case and plain digits. Empty if the
    text is too long to be a code."""
    if len(text) > _LONGEST_TYPED:
        return ""
    return _BETWEEN.sub("", unicodedata.normalize("NFKC", text)).lower()


class CodeHashes:
    """Keyed hashes of codes. The first key makes new hashes, and every key recognises old ones: while keys
    are being changed, instances may have them in different order."""

    def __init__(self, keys: tuple[bytes, ...]) -> None:
        self._keys = tuple(
            HKDF(algorithm=SHA256(), length=_KEY_SIZE, salt=None, info=_LABEL).derive(key) for key in keys
        )

    def of(self, name: str, code: str) -> str:
        """The hash to store. `name` says whose code it is or what it is for, so that equal codes have
        different hashes."""
        return self.under_each_key(name, code)[0]

    def under_each_key(self, name: str, code: str) -> tuple[str, ...]:
        """Every hash that may have been stored for this code, one for each key."""
        octets = f"{name}\0{as_typed(code)}".encode(errors="surrogatepass")
        return tuple(hmac.new(key, octets, hashlib.sha256).hexdigest() for key in self._keys)

    def matches(self, name: str, typed: str, stored_hash: str) -> bool:
        """Whether the typed text is the code. Takes the same time for every wrong one."""
        return any(hmac.compare_digest(made, stored_hash) for made in self.under_each_key(name, typed))
