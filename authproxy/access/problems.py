"""PURE: what a refusal tells a script, whoever refuses: the members of `application/problem+json` (RFC 9457),
the challenge of a 401 (RFC 6750 §3, RFC 9470 §3), and after how long it makes sense to ask again."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from authproxy.access.decision import Reason

MEDIA_TYPE: Final = "application/problem+json"
RETRY_AFTER: Final[dict[int, int]] = {429: 60, 503: 5}
"""Seconds, by status, where nothing better is known: an outage is worth another try soon."""

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
    Reason.PROVIDER_ANSWER_INVALID: "The OpenID provider's answer is invalid",
}


def code_of(reason: Reason, request_id: str) -> str:
    """What a person reads out to the operator, and what the operator finds in the log by its second half."""
    return f"{reason.value}-{request_id}"


def members(
    status: int, reason: Reason, request_id: str, *, levels: tuple[int | None, int] | None = None
) -> dict[str, object]:
    """What every problem tells. `levels` are the level that the session has and the one that is needed, for a
    refusal because of the level."""
    title = _TITLES_BY_REASON.get(reason) or _TITLES.get(status) or HTTPStatus(status).phrase
    told: dict[str, object] = {
        "type": "about:blank",
        "title": title,
        "status": status,
        "reason": reason.value,
        "request_id": request_id,
        "code": code_of(reason, request_id),
    }
    if levels is not None:
        told["level"], told["level_needed"] = levels
    return told


def challenge(portal_id: str, reason: Reason, *, max_age: int | None = None) -> str:
    """The value of WWW-Authenticate. It has no `acr_values`: the methods of a fresh proof are not
    authentication contexts of the provider, and a script has no request in which it could ask for one.
    `max_age` is in seconds."""
    value = f'Bearer realm="{portal_id}"'
    if reason is not Reason.STEP_UP_REQUIRED:
        return value
    value += ', error="insufficient_user_authentication", error_description="a fresh proof is required"'
    return value if max_age is None else f'{value}, max_age="{max_age}"'
