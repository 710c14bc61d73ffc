"""PURE: the decision on a request as a value, and the one list of reason codes.

Every refusal that a person, a script, a log line or an audit event shows carries one of these reasons.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from authproxy.access import bearer
from authproxy.access.routes import Portal, Route
from authproxy.identity.machine_client import MachineClient
from authproxy.identity.session import Session


class Reason(StrEnum):
    """Why a request was not passed on. The value is the wire form (`snake_case`) and is never renamed once
    released."""

    # 401: signing in helps
    NO_SESSION = "no_session"
    SESSION_ENDED = "session_ended"
    ACCOUNT_WITHDRAWN = "account_withdrawn"
    SESSION_OF_ANOTHER_PORTAL = "session_of_another_portal"
    NOT_SENT = "not_sent"

    # 401: a fresh proof helps
    STEP_UP_REQUIRED = "step_up_required"

    # 401: a program needs another credential
    MACHINE_TOKEN_INVALID = "machine_token_invalid"  # noqa: S105  (a reason, no password)

    # 403: signing in again as the same person does not help
    UNKNOWN_HOST = "unknown_host"
    LEVEL_TOO_LOW = "level_too_low"
    METHOD_NOT_ALLOWED_HERE = "method_not_allowed_here"
    TAX_NUMBER_MISSING = "tax_number_missing"
    TAX_NUMBER_INVALID = "tax_number_invalid"
    TAX_NUMBER_INCOMPLETE = "tax_number_incomplete"
    PERSONAL_DATA_MISSING = "personal_data_missing"
    CLAIMS_CONTRADICT = "claims_contradict"
    ESSENTIAL_CLAIM_MISSING = "essential_claim_missing"
    NOT_A_MEMBER = "not_a_member"
    ROLE_MISSING = "role_missing"
    NETWORK_NOT_ALLOWED = "network_not_allowed"
    ACCESS_DENIED_HERE = "access_denied_here"
    MACHINE_NOT_ALLOWED_HERE = "machine_not_allowed_here"
    UNTRUSTED_PEER = "untrusted_peer"
    SUBREQUEST_UNREADABLE = "subrequest_unreadable"
    FOREIGN_ORIGIN = "foreign_origin"

    # a failed sign-in
    ATTEMPT_UNKNOWN = "attempt_unknown"
    ATTEMPT_USED = "attempt_used"
    ATTEMPT_TOO_OLD = "attempt_too_old"
    ATTEMPT_OF_ANOTHER_BROWSER = "attempt_of_another_browser"
    COOKIES_OFF = "cookies_off"
    CONSENT_REFUSED = "consent_refused"
    PROVIDER_REFUSED = "provider_refused"
    PROVIDER_ANSWER_INVALID = "provider_answer_invalid"
    SIGN_IN_LOOP = "sign_in_loop"
    CERTIFICATE_MISSING = "certificate_missing"
    CERTIFICATE_UNREADABLE = "certificate_unreadable"
    CERTIFICATE_EXPIRED = "certificate_expired"
    CERTIFICATE_NOT_YET_VALID = "certificate_not_yet_valid"
    CERTIFICATE_UNTRUSTED = "certificate_untrusted"
    CERTIFICATE_NOT_FOR_SIGNING_IN = "certificate_not_for_signing_in"
    CERTIFICATE_IS_A_SEAL = "certificate_is_a_seal"
    CERTIFICATE_WEAK = "certificate_weak"
    CERTIFICATE_REVOKED = "certificate_revoked"
    CERTIFICATE_SUNSET = "certificate_sunset"
    CERTIFICATE_UNKNOWN = "certificate_unknown"

    # a failed step-up
    CODE_WRONG = "code_wrong"
    CHALLENGE_OVER = "challenge_over"
    PUSH_REFUSED = "push_refused"
    STEP_UP_BLOCKED = "step_up_blocked"
    STEP_UP_TOO_OFTEN = "step_up_too_often"
    STEP_UP_IMPOSSIBLE = "step_up_impossible"
    STEP_UP_BY_ANOTHER = "step_up_by_another"
    PROOF_TOO_OLD = "proof_too_old"
    PROOF_TOO_WEAK = "proof_too_weak"
    HELD_REQUEST_GONE = "held_request_gone"
    REQUEST_CANNOT_BE_BOUND = "request_cannot_be_bound"

    # 503: a service that must be asked cannot be asked
    STORE_UNAVAILABLE = "store_unavailable"
    PROVIDER_UNAVAILABLE = "provider_unavailable"
    SIGNER_UNAVAILABLE = "signer_unavailable"
    REVOCATION_UNAVAILABLE = "revocation_unavailable"
    SENDER_UNAVAILABLE = "sender_unavailable"
    AUDIT_UNAVAILABLE = "audit_unavailable"

    # 4xx: the request itself
    REQUEST_UNREADABLE = "request_unreadable"
    TARGET_AMBIGUOUS = "target_ambiguous"
    METHOD_UNSUPPORTED = "method_unsupported"
    NOT_FOUND = "not_found"
    HEAD_TOO_LARGE = "head_too_large"
    TARGET_TOO_LONG = "target_too_long"
    BODY_TOO_LARGE = "body_too_large"
    REQUEST_TIMEOUT = "request_timeout"
    TOO_MANY_REQUESTS = "too_many_requests"

    # 503: too many requests of the same address or session are under way
    TOO_MANY_CONNECTIONS = "too_many_connections"

    # 502/504: the portal
    PORTAL_UNREACHABLE = "portal_unreachable"
    PORTAL_ANSWER_INVALID = "portal_answer_invalid"
    PORTAL_TIMEOUT = "portal_timeout"

    # 508: the request has come back to the gateway
    LOOP_DETECTED = "loop_detected"

    # 500
    UNEXPECTED = "unexpected"


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """Pass the request on. `identity_headers` is the finished block of header lines, each ended by CRLF. All
    requests of the session get the same block until the assertion in it is renewed."""

    portal: Portal
    route: Route
    session: Session | None
    """Whose request it is; None for a program, and on a public route for a request of nobody whom the gateway
    knows."""
    identity_headers: bytes
    cookie_owner: bytes = field(default=b"", repr=False)
    """The key of the person's cookies at a portal that has some of its own (`access.personal_cookies`)."""
    machine: MachineClient | None = None
    """The program that has sent the request. Its credential does not go to the portal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthenticationRequired:
    """Nobody is signed in. Signing in would help."""

    reason: Reason
    portal: Portal


@dataclass(frozen=True, slots=True, kw_only=True)
class StepUpRequired:
    """The signed-in person may enter after a fresh proof. The route's requirement says which proof."""

    portal: Portal
    route: Route
    session: Session
    reason: Reason = Reason.STEP_UP_REQUIRED

    @property
    def is_per_request(self) -> bool:
        """Whether the proof counts for this one request only."""
        return self.route.requirement.is_per_request


@dataclass(frozen=True, slots=True, kw_only=True)
class Denied:
    """Signing in again as the same person would not help, or the request names something that does not
    exist."""

    reason: Reason
    portal: Portal | None = None
    route: Route | None = None
    session: Session | None = None
    machine: MachineClient | None = None
    """The program whose request is denied, if its credential is genuine."""
    bearer_error: bearer.Error | None = None
    """What the challenge says; None for a denial without a challenge."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unavailable:
    """A service that must be asked cannot be asked. This never lets anybody in and never asks for a new
    sign-in."""

    reason: Reason
    portal: Portal | None = None


Decision = Allowed | AuthenticationRequired | StepUpRequired | Denied | Unavailable
Refusal = AuthenticationRequired | StepUpRequired | Denied | Unavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class PerRequestDecision:
    """The decision on a request that needs a proof of its own. `proof` names the proof that was used up for
    it, and is empty if none was."""

    decision: Decision
    proof: str = ""
