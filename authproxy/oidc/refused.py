"""PURE: the ends of a sign-in that the provider's answers cause. An outage is not among them: that is `access.unavailable.CannotAsk`."""

from __future__ import annotations

from authproxy.access.decision import Reason
from authproxy.identity.person import Person


class AuthorizationRefused(Exception):  # noqa: N818  (named after the outcome, as RFC 6749 does)
    """This sign-in signs nobody in. The message is for operators; nothing that the provider wrote is repeated in it, because providers
    put codes and names into their error texts."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class AnswerInvalid(AuthorizationRefused):
    """The provider, or somebody in its name, answered something that must not be believed."""

    def __init__(self, found: str) -> None:
        super().__init__(Reason.PROVIDER_ANSWER_INVALID, found)


class TokenRefused(AnswerInvalid):
    """A token of the provider failed a check; `found` says which one and, for clocks, by how much."""


class AuthenticationTooOld(TokenRefused):
    """The token is genuine, and the person has not proved who they are as lately as was asked, or nobody says when."""


class ClaimsRefused(AuthorizationRefused):
    """The ID token is genuine, but what is said about the person cannot be used; `person` is what can be."""

    def __init__(self, reason: Reason, message: str, *, person: Person) -> None:
        super().__init__(reason, message)
        self.person = person
