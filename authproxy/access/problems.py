"""PURE: what a refusal tells a script: the members of `application/problem+json` (RFC 9457), the challenge of
a 401 (RFC 6750 §3, RFC 9470 §3), and when to ask again. The edge and the pages share it."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from authproxy.access.decision import Reason

MEDIA_TYPE: Final = "application/problem+json"
RETRY_AFTER: Final[dict[int, int]] = {429: 60, 503: 5}
"""Seconds, by status. A refusal that knows better states its own. An outage may be over soon."""

_TITLES: Final[dict[int, str]] = {
    401: "Sign-in required",
    403: "Not allowed",
    410: "The form is not kept any more",
    502: "The portal does not answer",
    503: "Temporarily unavailable",
    504: "The portal does not answer in time",
}
_TITLES_BY_REASON: Final[dict[Reason, str]] = {
    Reason.STEP_UP_REQUIRED: "Step-up required",
    Reason.MACHINE_TOKEN_INVALID: "The token or key is not accepted",
    Reason.PROVIDER_ANSWER_INVALID: "The OpenID provider's answer is invalid",
}


def code_of(reason: Reason, request_id: str) -> str:
    """The code that a person reads out to the operator. Its second half finds the request in the log."""
    return f"{reason.value}-{request_id}"


def members(
    status: int, reason: Reason, request_id: str, *, levels: tuple[int | None, int] | None = None
) -> dict[str, object]:
    """The members of every problem. `levels` are the session's level and the needed one, for a refusal
    because of the level."""
    title = _TITLES_BY_REASON.get(reason) or _TITLES.get(status) or HTTPStatus(status).phrase
    problem: dict[str, object] = {
        "type": "about:blank",
        "title": title,
        "status": status,
        "reason": reason.value,
        "request_id": request_id,
        "code": code_of(reason, request_id),
    }
    if levels is not None:
        problem["level"], problem["level_needed"] = levels
    return problem


def challenge(portal_id: str, reason: Reason, *, max_age: int | None = None) -> str:
    """The value of WWW-Authenticate. It has no `acr_values` (RFC 9470 §3): our step-up methods are not the
    provider's authentication contexts, and a script could not request them. `max_age` is in seconds."""
    value = f'Bearer realm="{portal_id}"'
    if reason is not Reason.STEP_UP_REQUIRED:
        return value
    value += ', error="insufficient_user_authentication", error_description="a fresh proof is required"'
    return value if max_age is None else f'{value}, max_age="{max_age}"'
