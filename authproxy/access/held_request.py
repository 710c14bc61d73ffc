"""PURE: a held request, that is a form that waits for a fresh proof of its person: what is kept of it, and
the field by which its person sends it on."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

RELEASE_FIELD: Final = "authproxy-held"
"""The only field of the form on our confirmation page. That form posts to the original URL, so the portal's
answer needs no further page of ours."""
NAME_SIZE: Final = 43
"""Characters of a held request's name: 256 random bits, URL-safe."""

_NAME: Final = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldRequest:
    """A form that a page has posted. `fields` are its header fields that describe the body or the page it
    came from, as sent. All other fields are taken from the request that releases it."""

    target: str = field(repr=False)
    """In origin-form, byte for byte as it is sent to the portal."""
    content_type: str
    fields: tuple[tuple[str, str], ...] = field(repr=False)
    body: bytes = field(repr=False)


def is_name(text: str) -> bool:
    """Whether the text can be the name of a held request."""
    return _NAME.fullmatch(text) is not None
