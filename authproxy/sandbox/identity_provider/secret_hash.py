"""PURE: the stored form of passwords and PUK codes: scrypt (RFC 7914), each with its salt. The hash is slow
on purpose: call it in a thread."""

from __future__ import annotations

import base64
import hashlib
import hmac
import unicodedata

_COST, _BLOCK, _PARALLEL = 2**14, 8, 1
_NOTHING = "scrypt$16384$8$1$AAAAAAAAAAAAAAAAAAAAAA==$" + base64.b64encode(bytes(32)).decode()


def hashed(secret: str, salt: bytes) -> str:
    """The text to store. It contains its cost parameters, so that these can be raised later."""
    digest = _digest(secret, salt, _COST, _BLOCK, _PARALLEL)
    return "$".join(
        (
            "scrypt",
            str(_COST),
            str(_BLOCK),
            str(_PARALLEL),
            base64.b64encode(salt).decode(),
            base64.b64encode(digest).decode(),
        )
    )


def fits(secret: str, stored: str | None) -> bool:
    """Whether `secret` was hashed to `stored`. For None it is False after the same work, so that the time
    does not reveal who has an account."""
    _, cost, block, parallel, salt, digest = (stored or _NOTHING).split("$")
    computed = _digest(secret, base64.b64decode(salt), int(cost), int(block), int(parallel))
    return hmac.compare_digest(computed, base64.b64decode(digest)) and stored is not None


def _digest(secret: str, salt: bytes, cost: int, block: int, parallel: int) -> bytes:
    # Keyboards compose č and š in different ways (RFC 8265 §4.2: NFC).
    text = unicodedata.normalize("NFC", secret)
    return hashlib.scrypt(
        text.encode("utf-8", "surrogatepass"), salt=salt, n=cost, r=block, p=parallel, dklen=32
    )
