"""PURE: reads JSON (RFC 8259), base64url (RFC 7515 §2) and short texts from a provider strictly.

Everything that two readers could understand in two ways is refused: duplicate members, `NaN`, padding,
leftover bits, invisible characters.
"""

from __future__ import annotations

import base64
import json
import math
import re
import unicodedata
from collections.abc import Mapping
from typing import Any, NoReturn
from urllib.parse import quote, unquote_plus, urlencode

_BASE64URL = re.compile(r"[A-Za-z0-9_-]*", re.ASCII)
# Control and format characters (a bidirectional override makes one name look like another), lone surrogates,
# line and paragraph separators.
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


class Unreadable(ValueError):  # noqa: N818
    """The bytes cannot be read. The message never quotes them."""


class Ambiguous(Unreadable):
    """The bytes are JSON that two readers may understand in two ways."""


def json_object(octets: bytes) -> dict[str, Any]:
    """The JSON object in `octets`. Raises Unreadable if there is none, and Ambiguous if a member occurs twice
    at any depth (RFC 8259 §4 leaves its meaning open)."""
    try:
        value = json.loads(
            octets.decode("utf-8"),
            object_pairs_hook=_members,
            parse_constant=_no_constant,
            parse_float=_finite,
        )
    except Ambiguous:
        raise
    except (
        ValueError,
        RecursionError,
    ):  # also undecodable octets, and integers that Python refuses for their length
        raise Unreadable("not JSON in UTF-8") from None
    if not isinstance(value, dict):
        raise Unreadable("JSON, but not an object")
    return value


def base64url(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).decode("ascii").rstrip("=")


def octets_of(text: str) -> bytes:
    """Decodes base64url. Raises Unreadable for padding, other characters, and a second spelling of the same
    bytes."""
    if not _BASE64URL.fullmatch(text) or len(text) % 4 == 1:
        raise Unreadable("not base64url")
    octets = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if base64url(octets) != text:
        raise Unreadable("base64url with bits left over")
    return octets


def with_parameters(endpoint: str, parameters: Mapping[str, str]) -> str:
    """The endpoint's URL with these parameters. Each occurs once, even if the URL has it in its query
    already."""
    endpoint, _, query = endpoint.partition("?")
    others = [
        piece
        for piece in query.split("&")
        if piece and unquote_plus(piece.partition("=")[0]) not in parameters
    ]
    return f"{endpoint}?{'&'.join([*others, urlencode(parameters, quote_via=quote)])}"


def is_visible(text: str) -> bool:
    """Whether every character of the text, except spaces, is visible."""
    return not any(unicodedata.category(character) in _INVISIBLE for character in text)


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise Ambiguous("a JSON member occurs twice")
    return members


def _no_constant(_: str) -> NoReturn:
    raise Unreadable("not JSON: NaN or Infinity")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise Unreadable("a number beyond all bounds")
    return number
