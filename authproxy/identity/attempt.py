"""PURE: a sign-in attempt at an OpenID provider, remembered between the authorization request and its response."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What must still be true when the browser comes back. It is found by the state and can be taken once."""

    portal: str
    return_to: str
    """Path and query on the portal where the person wanted to go. Kept here so that no URL travels through the provider."""
    browser: str = field(repr=False)
    """The value of the flow cookie of the browser that began: the response must come from the same one."""
    nonce: str = field(repr=False)
    code_verifier: str = field(repr=False)
    opened_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenAttempt:
    """The attempt, and whether it had been taken before (then it signs nobody in, but still knows where the person wanted to go)."""

    attempt: Attempt
    already_used: bool
