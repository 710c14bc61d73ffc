"""Attempts, and reasons why one was refused, as text that travels with the browser. Nothing is stored for a
sign-in that nobody has completed. The text is compact, encrypted and authenticated with the server keys:
neither the provider nor somebody who reads a log can open or make one.

Format: base64url without padding of a sealed record (`sealing`). The record holds three parts, each after its
length in two bytes: the fields (JSON), the path to return to (deflate), and for a certificate, what was shown
(JSON). Zeros follow, up to a multiple of 32 bytes.
"""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from typing import Final

from authproxy.identity.attempt import Attempt, Showing
from authproxy.storage.records import sessions as records
from authproxy.storage.records.sealing import SEAL_SIZE, KeyRing, Purpose

LONGEST: Final = 1400
"""Characters of a sealed attempt. MITREid Connect stores `state` in a column of 2,048 characters. Front
proxies with default settings read the head of an answer into a buffer of 4 KiB, in which the provider's
address with all parameters must fit beside our other headers."""
_LARGEST: Final = LONGEST // 4 * 3 - SEAL_SIZE
_TEXT: Final = re.compile(r"[A-Za-z0-9_-]{64,4096}", re.ASCII)
_BLOCK: Final = 32
"""The length of a text shows the length of the path only roughly, to this many bytes."""
_LENGTH_SIZE: Final = 2
_LONGEST_PATH: Final = 4096
_OTHER_FIELDS: Final = 256
"""Room for the other fields of a sign-in's attempt."""
# A text for one direction does not open as one for the other, because it is bound to a name of the direction.
_THERE: Final = "on the way to the proof"
_BACK: Final = "on the way back with a certificate"
_REFUSALS: Final = "refusals"


class Seals:
    """Nothing here asks the store. A text that does not open is None, whatever the reason."""

    def __init__(self, keys: KeyRing) -> None:
        self._keys = keys

    def attempt_sealed(self, attempt: Attempt) -> str:
        """At most `LONGEST` characters. If the address to return to is too long, its query is left out. If
        its path alone is too long, the person returns to the portal's first page."""
        return self._sealed(_fitting(records.attempt_octets(attempt), attempt.return_to), _THERE)

    @staticmethod
    def return_to_fits(return_to: str) -> bool:
        """Whether the attempt of a sign-in has room for the whole address to return to."""
        return len(_packed(bytes(_OTHER_FIELDS), return_to)) <= _LARGEST

    def attempt_in(self, text: str) -> Attempt | None:
        read = self._opened(text, _THERE)
        return None if read is None else read[0]

    def showing_sealed(self, showing: Showing) -> str:
        """At most 200 characters longer than the sealed attempt was."""
        attempt = showing.attempt
        return self._sealed(
            _packed(records.attempt_octets(attempt), attempt.return_to, records.showing_octets(showing)),
            _BACK,
        )

    def showing_in(self, text: str) -> Showing | None:
        read = self._opened(text, _BACK)
        return None if read is None else records.showing_in(read[1], read[0])

    def refusal_sealed(self, fields: bytes, return_to: str) -> str:
        """Why a sign-in was refused, and where the person wanted to go. With at most 900 bytes of fields it
        is no longer than an attempt."""
        return _text(self._keys.seal(Purpose.REFUSAL, _fitting(fields, return_to), bound_to=_REFUSALS))

    def refusal_in(self, text: str) -> tuple[bytes, str] | None:
        sealed = _octets(text)
        octets = None if sealed is None else self._keys.open(Purpose.REFUSAL, sealed, bound_to=_REFUSALS)
        read = None if octets is None else _unpacked(octets)
        return None if read is None else (read[0], read[1])

    def _sealed(self, octets: bytes, way: str) -> str:
        return _text(self._keys.seal(Purpose.ATTEMPT, octets, bound_to=way))

    def _opened(self, text: str, way: str) -> tuple[Attempt, bytes] | None:
        sealed = _octets(text)
        octets = None if sealed is None else self._keys.open(Purpose.ATTEMPT, sealed, bound_to=way)
        read = None if octets is None else _unpacked(octets)
        if read is None:
            return None
        fields, return_to, shown = read
        attempt = records.attempt_in(fields, return_to)
        return None if attempt is None else (attempt, shown)


def _text(sealed: bytes) -> str:
    return base64.urlsafe_b64encode(sealed).decode().rstrip("=")


def _octets(text: str) -> bytes | None:
    if not _TEXT.fullmatch(text):
        return None
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error:
        return None


def _fitting(fields: bytes, return_to: str) -> bytes:
    """With as much of the path and query as fits."""
    octets = _packed(fields, return_to)
    if len(octets) > _LARGEST:
        octets = _packed(fields, return_to.partition("?")[0])
    return octets if len(octets) <= _LARGEST else _packed(fields, "/")


def _packed(fields: bytes, return_to: str, shown: bytes = b"") -> bytes:
    # Only the path is compressed. If secret fields were compressed with text that others choose, the length
    # would reveal them (CRIME, CVE-2012-4929).
    deflate = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    path = deflate.compress(return_to.encode()) + deflate.flush()
    octets = b"".join(len(part).to_bytes(_LENGTH_SIZE, "big") + part for part in (fields, path, shown))
    return octets + bytes(-len(octets) % _BLOCK)


def _unpacked(octets: bytes) -> tuple[bytes, str, bytes] | None:
    parts = []
    for _ in range(3):
        size = int.from_bytes(octets[:_LENGTH_SIZE], "big")
        parts.append(octets[_LENGTH_SIZE : _LENGTH_SIZE + size])
        octets = octets[_LENGTH_SIZE + size :]
    fields, path, shown = parts
    try:
        return_to = zlib.decompressobj(wbits=-zlib.MAX_WBITS).decompress(path, _LONGEST_PATH).decode()
    except (zlib.error, UnicodeDecodeError):
        return None
    return fields, return_to, shown
