"""PURE: short codes that people read and type: how they are made, what is kept of them, and how a typed one
is read.

Of a code a keyed hash is kept, under a key that the store does not have: six digits have no secret of their
own to hide behind. That key is derived from a server key by HKDF-SHA256 (RFC 5869).
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
"""Without what people confuse: 31 signs, so that ten of them have 49 bits."""
_RECOVERY_LENGTH = 10
_RECOVERY_GROUP = 5


def digits(count: int, below: Callable[[int], int]) -> str:
    """A code of so many digits. `below(n)` is a random number under n."""
    return f"{below(10**count):0{count}d}"


def recovery_code(below: Callable[[int], int]) -> str:
    """A code to be kept on paper: `7mpq2-x9fhk`."""
    signs = "".join(_RECOVERY_ALPHABET[below(len(_RECOVERY_ALPHABET))] for _ in range(_RECOVERY_LENGTH))
    return f"{signs[:_RECOVERY_GROUP]}-{signs[_RECOVERY_GROUP:]}"


def as_typed(text: str) -> str:
    """What somebody has typed or pasted, without what stands between the signs, in small letters and plain
    digits. What is too long to be a code is none."""
    if len(text) > _LONGEST_TYPED:
        return ""
    return _BETWEEN.sub("", unicodedata.normalize("NFKC", text)).lower()


class CodeHashes:
    """Keyed hashes of codes. The first key makes them, all of them recognise: instances may have the keys in
    different order."""

    def __init__(self, keys: tuple[bytes, ...]) -> None:
        self._keys = tuple(
            HKDF(algorithm=SHA256(), length=_KEY_SIZE, salt=None, info=_LABEL).derive(key) for key in keys
        )

    def of(self, name: str, code: str) -> str:
        """The hash that is kept of a code. `name` is whose or what for: the same code elsewhere has
        another."""
        return self.every(name, code)[0]

    def every(self, name: str, code: str) -> tuple[str, ...]:
        """The hashes that may have been kept of a code, one for each key."""
        said = f"{name}\0{as_typed(code)}".encode(errors="surrogatepass")
        return tuple(hmac.new(key, said, hashlib.sha256).hexdigest() for key in self._keys)

    def fits(self, name: str, typed: str, kept: str) -> bool:
        """Whether what was typed is the code. Takes the same time for every wrong one."""
        return any(hmac.compare_digest(made, kept) for made in self.every(name, typed))
