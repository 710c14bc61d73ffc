"""PURE: the header lines by which the portal learns of a session.

Every line about a session is always there and never empty; `-` stands for nothing. Otherwise a front proxy
that copies headers would leave the client's own header in place (an advisory against Caddy's `copy_headers`).

Names are for reading. They are written as the portal wants them, and may lose something. Subject, e-mail
address and tax number identify somebody, so different values must stay different: percent-decoding gives
back exactly the value.
"""

from __future__ import annotations

import base64
import re
import unicodedata
from collections.abc import Callable, Mapping
from datetime import UTC
from typing import Final
from urllib.parse import quote

from authproxy.access.header_names import Encoding, HeaderNames
from authproxy.identity.session import Session

NOTHING: Final = b"-"

_VISIBLE_AND_BLANK: Final = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
# Letters in the names of Slovenian bank users that `unicodedata` does not decompose.
_FOLDED: Final = str.maketrans(
    {"đ": "d", "Đ": "D", "ł": "l", "Ł": "L", "ß": "ss", "ø": "o", "Ø": "O", "æ": "ae", "Æ": "AE"}
)


def lines(session: Session, names: HeaderNames, *, assertion: str) -> bytes:
    """The finished block; each line ends with CRLF. No claim can end a line: control characters in names are
    replaced before any encoding, and those in identifiers are percent-encoded. Raises ValueError for an
    identifier that cannot be written in UTF-8, because its owner could not be told from others."""
    person = session.person
    encode = _ENCODERS[names.encoding]
    values = (
        (names.subject, _identifier(person.subject_for_portals)),
        (names.name, _free_text(person.name, encode)),
        (names.email, _identifier(person.email)),
        (names.tax_number, _identifier(person.tax_number)),
        (names.method, session.method),
        (names.level, str(int(session.level))),
        # A role's name cannot contain a separator or anything else that would be encoded.
        (names.roles, names.roles_separator.join(quote(role, safe="") for role in session.roles)),
        (names.step_up, _step_ups(session)),
        (names.assertion, assertion),
    )
    return b"".join(_line(name, value) for name, value in values if name)


def of_nobody(names: HeaderNames) -> bytes:
    """The block for a request on a public route without a session: every value is `-`. The assertion is
    absent, because there is nobody to make a statement about."""
    return _plain_lines(names, {})


def of_machine(client_id: str, names: HeaderNames, *, assertion: str) -> bytes:
    """The block for a request of a program: the client as subject, the method `machine`, and the level 0,
    which no person has."""
    stated = {names.subject: _identifier(client_id), names.method: "machine", names.level: "0"}
    block = _plain_lines(names, stated)
    return block + _line(names.assertion, assertion) if names.assertion else block


def _plain_lines(names: HeaderNames, stated: Mapping[str, str]) -> bytes:
    """Every line but the assertion's, with what is stated under its name."""
    plain = (
        names.subject,
        names.name,
        names.email,
        names.tax_number,
        names.method,
        names.level,
        names.roles,
        names.step_up,
    )
    return b"".join(_line(name, stated.get(name)) for name in plain if name)


def _line(name: str, value: str | bytes | None) -> bytes:
    return b"%s: %s\r\n" % (name.encode("ascii"), _value(value))


def _value(value: str | bytes | None) -> bytes:
    return (value.encode("ascii") if isinstance(value, str) else value or b"") or NOTHING


def _identifier(value: str | None) -> str:
    """The value with everything percent-encoded that a header could lose or change: what is not visible
    ASCII, blanks at the ends, and the percent sign itself. A lone `-` is encoded because it would mean that
    there is no value."""
    if not value:
        return ""
    if value == "-":
        return "%2D"
    text = quote(value, safe=_VISIBLE_AND_BLANK)
    inner = text.strip(" ")
    if len(inner) == len(text):
        return text
    leading = len(text) - len(text.lstrip(" "))
    return "%20" * leading + inner + "%20" * (len(text) - leading - len(inner))


def _free_text(value: str | None, encode: Callable[[str], bytes]) -> bytes:
    """A text for reading, in the encoding that the portal wants. Nothing else in the block is encoded: no
    portal expects base64 around the assertion."""
    # A lone surrogate is valid JSON (`"\ud800"`), and no encoding can write it.
    text = _CONTROL.sub(" ", value or "").encode("utf-8", "replace").decode().strip()
    return encode(text).strip()


def _step_ups(session: Session) -> str:
    return ", ".join(
        f"{event.method};at={event.at.astimezone(UTC).strftime('%Y-%m-%dT%H:%M:%SZ')}"
        for event in session.events
        if event.is_step_up
    )


def _folded(text: str) -> bytes:
    decomposed = unicodedata.normalize("NFKD", text.translate(_FOLDED))
    return b"".join(
        b"" if unicodedata.combining(character) else character.encode("ascii", "replace")
        for character in decomposed
    )


def _base64(text: str) -> bytes:
    return base64.b64encode(text.encode())


# `percent` leaves printable ASCII as it is, except the percent sign, which would otherwise be ambiguous.
_ENCODERS: Final[dict[Encoding, Callable[[str], bytes]]] = {
    "percent": lambda text: quote(text, safe=_VISIBLE_AND_BLANK).encode(),
    "ascii-fold": _folded,
    "latin1": lambda text: unicodedata.normalize("NFC", text).encode("latin-1", "replace"),
    "utf8": lambda text: text.encode(),
    "base64": _base64,
}
