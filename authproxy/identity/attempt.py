"""PURE: a sign-in attempt, from the click on the chooser until the browser comes back with the proof; or an
attempt to prove afresh, elsewhere, who is signed in here. An attempt with `step_up_of` never starts a
session; one without never steps a session up.

Attempts travel with the browser, sealed. No store knows of one before the browser has come back.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from authproxy.identity.assurance import SignInMethod
from authproxy.identity.session import SessionId

SECRET_SIZE: Final = 32
"""Random bytes of an attempt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What must still be true when the browser comes back."""

    portal: str
    return_to: str
    """Path and query on the portal where the person wanted to go."""
    browser: str = field(repr=False)
    """The value of the flow cookie of the browser that began: the response must come from the same one."""
    secret: str = field(repr=False)
    """Text of 32 random bytes, which no other attempt has."""
    opened_at: datetime
    method: SignInMethod = "rekono"
    """The callback that may complete this attempt; another method's callback is refused."""
    step_up_of: SessionId | None = None
    """The session that is to gain a proof."""
    route: str = ""
    """The name of the route that demands the proof, for a step-up, as is the next."""
    held: str | None = field(default=None, repr=False)
    """The name of a request that waits for the proof."""
    binding: str | None = field(default=None, repr=False)
    """Which one request the proof is for (`access.bound_proof`); None for one that is for the session."""

    @property
    def nonce(self) -> str:
        """What the ID token must repeat (OpenID Connect Core §3.1.2.1). The provider and the browser learn
        it; the secret does not follow from it."""
        return _derived("nonce", self.secret)

    @property
    def code_verifier(self) -> str:
        """Of 43 characters, for PKCE (RFC 7636 §4.1)."""
        return _derived("code verifier", self.secret)


@dataclass(frozen=True, slots=True, kw_only=True)
class Showing:
    """A certificate that holds was shown on an attempt."""

    attempt: Attempt
    fingerprint: str
    """SHA-256 of the certificate, in hex."""
    shown_at: datetime


def _derived(kind: str, secret: str) -> str:
    return (
        base64.urlsafe_b64encode(hashlib.sha256(f"authproxy {kind}\0{secret}".encode()).digest())
        .decode()
        .rstrip("=")
    )
