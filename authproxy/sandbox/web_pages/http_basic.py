"""PURE: user name and password of HTTP Basic (RFC 7617, in UTF-8)."""

from __future__ import annotations

import base64
import binascii


def credentials(authorization: str | None) -> tuple[str, str] | None:
    """User name and password in an `Authorization` value; None for another scheme or an unreadable value."""
    scheme, _, encoded = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (user, password) if colon else None
