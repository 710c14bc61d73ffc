"""PURE: the provider's token with which the gateway asks later, without the person, whether their account
still exists."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A refresh token (RFC 6749 §1.5) or an access token (§1.4); only one of them is set. `ends_at` is when
    the access token expires, or None if the provider did not say. A refusal after that says nothing about the
    account."""

    refresh_token: str | None = field(default=None, repr=False)
    access_token: str | None = field(default=None, repr=False)
    ends_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantTurn:
    """The right to ask with a grant now; one caller at a time has it. `is_doubtful`: the answer to the last
    question was lost. The provider may have replaced the refresh token then, so if it refuses this one, that
    says nothing about the account."""

    grant: Grant
    is_doubtful: bool
