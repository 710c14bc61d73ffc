"""PURE: an attempt to sign in, or to step up by a proof from elsewhere: from the click until the browser
comes back with the proof. An attempt with `step_up_of` never starts a session; one without it never steps a
session up.

Attempts travel with the browser, sealed. The store learns of an attempt only when the browser comes back.
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
    """What the gateway knew when the browser left, and checks when it comes back."""

    portal: str
    return_to: str
    """Path and query on the portal where the person wanted to go."""
    browser: str = field(repr=False)
    """The value of the flow cookie of the browser that began. The response must come from the same
    browser."""
    secret: str = field(repr=False)
    """32 random bytes as text."""
    opened_at: datetime
    method: SignInMethod = "rekono"
    """The callback that may complete this attempt; another method's callback is refused."""
    step_up_of: SessionId | None = None
    """For a step-up: the session that will get the proof."""
    route: str = ""
    """For a step-up: the name of the route that demands the proof."""
    held: str | None = field(default=None, repr=False)
    """The name of the held request that waits for the proof or the sign-in."""
    binding: str | None = field(default=None, repr=False)
    """The one request that the proof is for (`access.bound_proof`); None if the proof is for the session."""

    @property
    def nonce(self) -> str:
        """The ID token must repeat it (OpenID Connect Core §3.1.2.1). The provider and the browser see the
        nonce; it is a hash, so the secret cannot be computed from it."""
        return _derived("nonce", self.secret)

    @property
    def code_verifier(self) -> str:
        """For PKCE: RFC 7636 §4.1 allows 43 to 128 characters, this has 43."""
        return _derived("code verifier", self.secret)


@dataclass(frozen=True, slots=True, kw_only=True)
class Showing:
    """A valid certificate was shown for an attempt."""

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
