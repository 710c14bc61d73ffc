"""Attempts as text that travels with the browser: compact, encrypted and authenticated under the server's keys, so that nothing is kept
for a sign-in that nobody has completed. Neither the provider nor whoever reads a log can open such a text or make one.

Format: base64url without padding of what `codec.seal_attempt` makes. Inside stand, each after its length in two bytes: the fields of the
attempt (JSON), the place to return to (deflate), and for a certificate what was shown (JSON); then zeros up to a multiple of 32 bytes.
"""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from authproxy.identity.attempt import Attempt, Showing
from authproxy.storage import codec, records
from authproxy.storage.codec import KeyRing

LONGEST: Final = 1400
"""Characters of a sealed attempt. MITREid Connect keeps `state` in a column of 2,048 characters, and front proxies read the head of an
answer into a buffer of 4 KiB as they are delivered: the address of the provider with all its parameters has to fit there with our other
headers."""
_LARGEST: Final = LONGEST // 4 * 3 - codec.SEAL_SIZE
_TEXT: Final = re.compile(r"[A-Za-z0-9_-]{64,4096}", re.ASCII)
_BLOCK: Final = 32
"""The length of a text tells the length of the place to this many bytes only."""
_LENGTH_SIZE: Final = 2
_LONGEST_PLACE: Final = 4096
# Each way has a name of its own, so that a text for one way does not open as one for the other.
_THERE: Final = "on the way to the proof"
_BACK: Final = "on the way back with a certificate"


class Seals:
    """Everything here is done without a question to the store. What cannot be opened is None, whatever the reason."""

    def __init__(self, keys: KeyRing, *, fresh: Callable[[int], bytes]) -> None:
        """`fresh` makes that many random bytes."""
        self._keys = keys
        self._fresh = fresh

    def attempt_sealed(self, attempt: Attempt) -> str:
        """At most `LONGEST` characters. Where the place to return to is too long for that, its query is left out; where its path alone is,
        too, the person returns to the portal's first page."""
        octets = _packed(attempt, b"")
        if len(octets) > _LARGEST:
            octets = _packed(replace(attempt, return_to=attempt.return_to.partition("?")[0]), b"")
        if len(octets) > _LARGEST:
            octets = _packed(replace(attempt, return_to="/"), b"")
        return self._sealed(octets, _THERE)

    def attempt_in(self, text: str) -> Attempt | None:
        read = self._opened(text, _THERE)
        return None if read is None else read[0]

    def showing_sealed(self, showing: Showing) -> str:
        """Longer than the attempt that was sealed for the way there by at most 200 characters."""
        return self._sealed(_packed(showing.attempt, records.showing_octets(showing)), _BACK)

    def showing_in(self, text: str) -> Showing | None:
        read = self._opened(text, _BACK)
        return None if read is None else records.showing_in(read[1], read[0])

    def _sealed(self, octets: bytes, name: str) -> str:
        sealed = codec.seal_attempt(octets, ring=self._keys, name=name, nonce=self._fresh(codec.NONCE_SIZE))
        return base64.urlsafe_b64encode(sealed).decode().rstrip("=")

    def _opened(self, text: str, name: str) -> tuple[Attempt, bytes] | None:
        if not _TEXT.fullmatch(text):
            return None
        try:
            sealed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        except binascii.Error:
            return None
        octets = codec.open_attempt(sealed, ring=self._keys, name=name)
        return None if octets is None else _unpacked(octets)


def _packed(attempt: Attempt, shown: bytes) -> bytes:
    # The place alone is compressed: what others choose must not share a compression with what is secret.
    deflate = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    place = deflate.compress(attempt.return_to.encode()) + deflate.flush()
    parts = (records.attempt_octets(attempt), place, shown)
    octets = b"".join(len(part).to_bytes(_LENGTH_SIZE, "big") + part for part in parts)
    return octets + bytes(-len(octets) % _BLOCK)


def _unpacked(octets: bytes) -> tuple[Attempt, bytes] | None:
    parts = []
    for _ in range(3):
        size = int.from_bytes(octets[:_LENGTH_SIZE], "big")
        parts.append(octets[_LENGTH_SIZE : _LENGTH_SIZE + size])
        octets = octets[_LENGTH_SIZE + size :]
    fields, place, shown = parts
    try:
        return_to = zlib.decompressobj(wbits=-zlib.MAX_WBITS).decompress(place, _LONGEST_PLACE).decode()
    except (zlib.error, UnicodeDecodeError):
        return None
    attempt = records.attempt_in(fields, return_to)
    return None if attempt is None else (attempt, shown)
