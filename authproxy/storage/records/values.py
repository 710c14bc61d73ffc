"""PURE: how single values are written in records and in arguments of scripts: JSON, times and spans."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
UNREADABLE: Final = (ValueError, TypeError, KeyError, AttributeError, OverflowError)
"""What reading raises when authenticated JSON has another shape than expected."""


def octets_of(fields: dict[str, Any]) -> bytes:
    # ASCII with escapes and not UTF-8: a claim of the provider may hold a lone surrogate, which cannot be
    # encoded in UTF-8. Escaped, it comes back as it was.
    return json.dumps(fields, separators=(",", ":")).encode()


def newer_in(fields: dict[str, Any], known: frozenset[str]) -> str:
    """The fields that this version does not know, as JSON; empty if there are none. A newer version has
    written them. They are written again with the record."""
    unknown = fields.keys() - known
    return json.dumps({name: fields[name] for name in sorted(unknown)}) if unknown else ""


def with_newer(fields: dict[str, Any], newer: str) -> dict[str, Any]:
    """The fields, and beside them those of `newer_in`."""
    return json.loads(newer) | fields if newer else fields


def time_text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()


def time_in(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def optional_time_text(at: datetime | None) -> str | None:
    return None if at is None else time_text(at)


def optional_time_in(text: str | None) -> datetime | None:
    return None if text is None else time_in(text)


def milliseconds(at: datetime) -> int:
    """Milliseconds since 1970, rounded down. Scripts in the store compare moments in this form."""
    return (at - _EPOCH) // _MILLISECOND


def span_in_milliseconds(span: timedelta) -> int:
    return span // _MILLISECOND


def moment_at(milliseconds_since_1970: int) -> datetime:
    return _EPOCH + milliseconds_since_1970 * _MILLISECOND


def moment(octets: bytes | None) -> datetime | None:
    """The moment in a stored number of milliseconds; None if there is none or it is not a number."""
    try:
        return None if octets is None else moment_at(int(octets))
    except UNREADABLE:
        return None
