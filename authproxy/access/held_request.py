"""PURE: a form that waits for a fresh proof of its person: what is kept of it, and the one field by which its
person sends it on."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

RELEASE_FIELD: Final = "authproxy-held"
"""The only field of the form on our confirmation page. That form goes to the address of the kept one, so that
no page of ours is in between when the portal answers."""
NAME_SIZE: Final = 43
"""Characters of a kept form's name: 256 random bits, URL-safe."""

_NAME: Final = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldRequest:
    """A POST of a page. `fields` are the header fields, as sent, that speak of the body or of the page that
    it came from; all others are those of the request that releases it."""

    target: str = field(repr=False)
    """In origin-form, byte for byte as it is sent to the portal."""
    content_type: str
    fields: tuple[tuple[str, str], ...] = field(repr=False)
    body: bytes = field(repr=False)


def is_name(text: str) -> bool:
    """Whether the text can be the name of a kept form."""
    return _NAME.fullmatch(text) is not None
