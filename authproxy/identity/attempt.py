"""PURE: a sign-in attempt, remembered from the click on the chooser until the browser comes back with the proof; or an attempt to prove
afresh, elsewhere, who is signed in here. The one never does what the other does."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from authproxy.identity.assurance import SignInMethod
from authproxy.identity.session import SessionId


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What must still be true when the browser comes back. It is found by the state and can be taken once."""

    portal: str
    return_to: str
    """Path and query on the portal where the person wanted to go. Kept here so that no URL travels through the provider."""
    browser: str = field(repr=False)
    """The value of the flow cookie of the browser that began: the response must come from the same one."""
    nonce: str = field(default="", repr=False)
    """For an OpenID provider alone, as is the next."""
    code_verifier: str = field(default="", repr=False)
    opened_at: datetime
    method: SignInMethod = "rekono"
    """What may end it: nothing that is shown elsewhere."""
    step_up_of: SessionId | None = None
    """The session that is to gain a proof. Such an attempt signs nobody in; one without never steps anybody up."""
    route: str = ""
    """The name of the route that demands the proof, for a step-up, as is the next."""
    held: str | None = field(default=None, repr=False)
    """The name of a request that waits for the proof."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenAttempt:
    """The attempt, and whether it had been taken before (then it signs nobody in, but still knows where the person wanted to go)."""

    attempt: Attempt
    already_used: bool
