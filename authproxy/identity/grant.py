"""PURE: what the provider has given the gateway so that it may ask, later and without the person, whether
their account still stands."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """One of the two tokens (RFC 6749 §1.4, §1.5). `ends_at` is when the access token is over by itself,
    after which nothing follows from its being so; None if the provider has not said."""

    refresh_token: str | None = field(default=None, repr=False)
    access_token: str | None = field(default=None, repr=False)
    ends_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantTurn:
    """Leave to ask with a grant. `is_doubtful`: the last question has had no answer that is known here. The
    provider may have replaced the refresh token then, so that its refusing this one says nothing about the
    account."""

    grant: Grant
    is_doubtful: bool
