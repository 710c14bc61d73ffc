"""PURE: the failures of a sign-in that the provider's answers cause. An outage is not among them; that is
`access.unavailable.CannotAsk`."""

from __future__ import annotations

from authproxy.access.decision import Reason
from authproxy.identity.person import Person


class AuthorizationRefused(Exception):  # noqa: N818  (named after the outcome, as RFC 6749 does)
    """This sign-in signs nobody in. The message is for operators and never quotes the provider, because
    providers put codes and names into their error texts. `error` is the provider's error code if it is a
    registered one."""

    def __init__(self, reason: Reason, message: str, *, error: str | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.error = error


_REGISTERED = frozenset(
    {
        "invalid_request",
        "unauthorized_client",
        "access_denied",
        "unsupported_response_type",
        "invalid_scope",
        "server_error",
        "temporarily_unavailable",  # RFC 6749 §4.1.2.1
        "invalid_client",
        "invalid_grant",
        "unsupported_grant_type",  # RFC 6749 §5.2, RFC 9126 §2.3
        "interaction_required",
        "login_required",
        "account_selection_required",
        "consent_required",
        "invalid_request_uri",
        "invalid_request_object",
        "request_not_supported",
        "request_uri_not_supported",
        "registration_not_supported",  # OpenID Core §3.1.2.6
        # OpenID Connect Core Error Code unmet_authentication_requirements 1.0.
        "unmet_authentication_requirements",
        "invalid_token",
        "insufficient_scope",  # RFC 6750 §3.1
        "unsupported_token_type",  # RFC 7009 §2.2.1
        "invalid_target",  # RFC 8707 §2
        "invalid_authorization_details",  # RFC 9396 §5
        "invalid_dpop_proof",
        "use_dpop_nonce",  # RFC 9449 §12.2
    }
)


def registered(error: object) -> str | None:
    """The error code if it is a registered one (OAuth Extensions Error Registry). Others could contain
    personal data."""
    return error if isinstance(error, str) and error in _REGISTERED else None


class AnswerInvalid(AuthorizationRefused):
    """An answer of the provider, or in its name, that must not be believed."""

    def __init__(self, found: str) -> None:
        super().__init__(Reason.PROVIDER_ANSWER_INVALID, found)


class TokenRefused(AnswerInvalid):
    """A token of the provider failed a check. `found` names the check and, for times, the difference."""


class AuthenticationTooOld(TokenRefused):
    """The token is genuine, but the person authenticated too long ago (`is_dated`), or the provider does not
    say when. In the first case it helps to ask them to authenticate again (`prompt=login`): some providers
    support that but not `max_age`."""

    def __init__(self, found: str, *, is_dated: bool = False) -> None:
        super().__init__(found)
        if is_dated:
            self.reason = Reason.PROOF_TOO_OLD


class ClaimsRefused(AuthorizationRefused):
    """The ID token is genuine, but the claims about the person cannot be used. `person` has those that
    can."""

    def __init__(self, reason: Reason, message: str, *, person: Person) -> None:
        super().__init__(reason, message)
        self.person = person
