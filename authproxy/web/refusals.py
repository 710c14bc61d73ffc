"""Refusals: one table from reason to page and status.

People get a page. Scripts get `application/problem+json` (RFC 9457) with the same members as from the edge.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from urllib.parse import unquote

from aiohttp import web

from authproxy.access import problems
from authproxy.access.decision import Reason
from authproxy.access.problems import RETRY_AFTER
from authproxy.challenges.method import Offer
from authproxy.web.pages import FORMS, PREFIX, Pages
from authproxy.web.request_context import RequestContext
from authproxy.web.request_keys import CONTEXT

PAGES: Mapping[Reason, tuple[str, int]] = {
    Reason.NO_SESSION: ("sign_in_again", 401),
    Reason.SESSION_ENDED: ("sign_in_again", 401),
    Reason.ACCOUNT_WITHDRAWN: ("sign_in_again", 401),
    Reason.SESSION_OF_ANOTHER_PORTAL: ("sign_in_again", 401),
    Reason.NOT_SENT: ("sign_in_again", 401),
    Reason.UNKNOWN_HOST: ("unknown_host", 403),
    Reason.LEVEL_TOO_LOW: ("level_too_low", 403),
    Reason.METHOD_NOT_ALLOWED_HERE: ("method_not_allowed_here", 403),
    Reason.TAX_NUMBER_MISSING: ("tax_number_missing", 403),
    Reason.TAX_NUMBER_INVALID: ("tax_number_invalid", 403),
    Reason.TAX_NUMBER_INCOMPLETE: ("tax_number_incomplete", 403),
    Reason.PERSONAL_DATA_MISSING: ("personal_data_missing", 403),
    Reason.CLAIMS_CONTRADICT: ("claims_contradict", 403),
    Reason.ESSENTIAL_CLAIM_MISSING: ("essential_claim_missing", 403),
    Reason.NOT_A_MEMBER: ("not_a_member", 403),
    Reason.ROLE_MISSING: ("role_missing", 403),
    Reason.NETWORK_NOT_ALLOWED: ("network_not_allowed", 403),
    Reason.ACCESS_DENIED_HERE: ("access_denied_here", 403),
    Reason.UNTRUSTED_PEER: ("set_up_wrong", 403),
    Reason.SUBREQUEST_UNREADABLE: ("set_up_wrong", 403),
    Reason.FOREIGN_ORIGIN: ("foreign_origin", 403),
    Reason.ATTEMPT_UNKNOWN: ("attempt_unknown", 400),
    Reason.ATTEMPT_USED: ("attempt_used", 400),
    Reason.ATTEMPT_TOO_OLD: ("attempt_too_old", 400),
    Reason.ATTEMPT_OF_ANOTHER_BROWSER: ("attempt_of_another_browser", 400),
    Reason.COOKIES_OFF: ("cookies_off", 400),
    Reason.CONSENT_REFUSED: ("consent_refused", 403),
    Reason.PROVIDER_REFUSED: ("provider_refused", 403),
    Reason.PROVIDER_ANSWER_INVALID: ("provider_answer_invalid", 502),
    Reason.SIGN_IN_LOOP: ("sign_in_loop", 429),
    Reason.CERTIFICATE_MISSING: ("certificate_missing", 403),
    Reason.CERTIFICATE_UNREADABLE: ("certificate_unreadable", 403),
    Reason.CERTIFICATE_EXPIRED: ("certificate_expired", 403),
    Reason.CERTIFICATE_NOT_YET_VALID: ("certificate_not_yet_valid", 403),
    Reason.CERTIFICATE_UNTRUSTED: ("certificate_untrusted", 403),
    Reason.CERTIFICATE_NOT_FOR_SIGNING_IN: ("certificate_not_for_signing_in", 403),
    Reason.CERTIFICATE_IS_A_SEAL: ("certificate_is_a_seal", 403),
    Reason.CERTIFICATE_WEAK: ("certificate_weak", 403),
    Reason.CERTIFICATE_REVOKED: ("certificate_revoked", 403),
    Reason.CERTIFICATE_SUNSET: ("certificate_sunset", 403),
    Reason.CERTIFICATE_UNKNOWN: ("certificate_unknown", 403),
    Reason.MACHINE_TOKEN_INVALID: ("machine_refused", 401),
    Reason.MACHINE_NOT_ALLOWED_HERE: ("machine_refused", 403),
    Reason.STEP_UP_REQUIRED: ("step_up_required", 401),
    Reason.CODE_WRONG: ("code_wrong", 403),
    Reason.CHALLENGE_OVER: ("challenge_over", 403),
    Reason.PUSH_REFUSED: ("push_refused", 403),
    Reason.STEP_UP_BLOCKED: ("step_up_blocked", 429),
    Reason.STEP_UP_TOO_OFTEN: ("step_up_too_often", 429),
    Reason.STEP_UP_IMPOSSIBLE: ("step_up_impossible", 403),
    Reason.STEP_UP_BY_ANOTHER: ("step_up_by_another", 403),
    Reason.PROOF_TOO_OLD: ("proof_too_old", 403),
    Reason.PROOF_TOO_WEAK: ("proof_too_weak", 403),
    Reason.HELD_REQUEST_GONE: ("held_request_gone", 410),
    Reason.REQUEST_CANNOT_BE_BOUND: ("request_cannot_be_bound", 403),
    Reason.STORE_UNAVAILABLE: ("unavailable", 503),
    Reason.PROVIDER_UNAVAILABLE: ("provider_unavailable", 503),
    Reason.SIGNER_UNAVAILABLE: ("unavailable", 503),
    Reason.REVOCATION_UNAVAILABLE: ("revocation_unavailable", 503),
    Reason.SENDER_UNAVAILABLE: ("sender_unavailable", 503),
    Reason.AUDIT_UNAVAILABLE: ("unavailable", 503),
    Reason.REQUEST_UNREADABLE: ("request_unreadable", 400),
    Reason.TARGET_AMBIGUOUS: ("request_unreadable", 400),
    Reason.METHOD_UNSUPPORTED: ("request_unreadable", 405),
    Reason.NOT_FOUND: ("not_found", 404),
    Reason.HEAD_TOO_LARGE: ("request_too_large", 431),
    Reason.TARGET_TOO_LONG: ("request_too_large", 414),
    Reason.BODY_TOO_LARGE: ("request_too_large", 413),
    Reason.REQUEST_TIMEOUT: ("request_unreadable", 408),
    Reason.TOO_MANY_REQUESTS: ("too_many_requests", 429),
    Reason.TOO_MANY_CONNECTIONS: ("too_many_connections", 503),
    Reason.PORTAL_UNREACHABLE: ("portal_silent", 502),
    Reason.PORTAL_ANSWER_INVALID: ("portal_silent", 502),
    Reason.PORTAL_TIMEOUT: ("portal_silent", 504),
    Reason.LOOP_DETECTED: ("set_up_wrong", 508),
    Reason.UNEXPECTED: ("unexpected", 500),
}


RETURN_TO = web.RequestKey("return_to", str)
"""Where the person wanted to go. A handler sets it as soon as it knows, so that the page of a failure leads
there, too."""
HELD = web.RequestKey("held", str)
"""The name of a held request that waits, so that the page of a failure leads to it. Set in the same way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Particulars:
    """What a refusal says beyond its reason. `lacking` and `withheld` are as in `Demand`."""

    missing: tuple[str, ...] = ()
    level: int | None = None
    level_needed: int | None = None
    who: str | None = field(default=None, repr=False)
    """The person's name, for their own page only."""
    cookie_found: str | None = None
    """What was found of the session cookie (`CookieReading.found`)."""
    wait: int | None = None
    """Seconds until another request may succeed."""
    step_up: Mapping[str, str] | None = field(default=None, repr=False)
    """The query of the page where another proof can be chosen."""
    lacking: tuple[str, ...] = ()
    withheld: tuple[str, ...] = ()
    needs_own: bool = False
    """Whether a factor of the person's own must be proved."""
    ways: tuple[Offer, ...] = ()
    """Methods that are still open while others are blocked."""
    provider_error: str | None = None
    """The provider's error code, for the help desk."""
    held: str | None = field(default=None, repr=False)
    """The held request that waits for a sign-in."""


_NOTHING_MORE = Particulars()


@dataclass(frozen=True, slots=True, kw_only=True)
class AnsweredRefusal:
    """The refusal that a request was answered with."""

    reason: Reason
    status: int
    return_to: str = field(repr=False)
    about: Particulars


ANSWERED_REFUSAL = web.RequestKey("answered_refusal", AnsweredRefusal)


class Refused(Exception):  # noqa: N818
    """Ends a request with the refusal for `reason`."""

    def __init__(
        self, reason: Reason, *, status: int | None = None, return_to: str = "/", wait: int | None = None
    ) -> None:
        """`wait` is as in `Particulars`."""
        super().__init__(reason.value)
        self.wait = wait
        self.reason = reason
        self.status = status
        self.return_to = return_to


class Refusals:
    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    def answer(
        self,
        request: web.Request,
        reason: Reason,
        *,
        status: int | None = None,
        return_to: str = "/",
        retry: str | None = None,
        about: Particulars = _NOTHING_MORE,
        whole: str | None = None,
    ) -> web.Response:
        """The page or the problem for a reason, never with a cookie.

        `return_to` is where the person wanted to go; a new sign-in leads there. `retry` is the address of the
        page's "try again"; without one it is the sign-in.
        With `whole` the page is for a frame: all it has is the reason, and a link that opens this address in
        the whole window.
        """
        name, usual_status = PAGES[reason]
        context = request[CONTEXT]
        status = usual_status if status is None else status
        if about.held is None and HELD in request:
            about = replace(about, held=request[HELD])
        request[ANSWERED_REFUSAL] = AnsweredRefusal(
            reason=reason, status=status, return_to=return_to, about=about
        )
        if context.is_page_load:
            template = f"refusals/{name}.html"
            answer = self._pages.answer(
                request,
                template,
                status=status,
                reason=reason.value,
                code=code_of(reason, context),
                return_to=return_to,
                retry=retry,
                about=about,
                whole=whole,
            )
            if template in FORMS and whole is None:
                # The page's form must be sent with an `Origin`, which `no-referrer` would suppress. Its path
                # may be one of the portal's and is still withheld.
                answer.headers["Referrer-Policy"] = "strict-origin"
        else:
            answer = problem(status, reason, context, about)
        if status in RETRY_AFTER:
            answer.headers["Retry-After"] = str(RETRY_AFTER[status] if about.wait is None else about.wait)
        return answer


def particulars_in(headers: Mapping[str, str]) -> Particulars:
    """What the edge says about its refusal."""
    level, _, level_needed = headers.get("X-Authproxy-Levels", "").partition(" ")
    return Particulars(
        level=int(level) if level_needed else None,
        level_needed=int(level_needed) if level_needed else None,
        who=unquote(headers.get("X-Authproxy-Person", "")) or None,
    )


def code_of(reason: Reason, context: RequestContext) -> str:
    return problems.code_of(reason, context.request_id)


def problem(
    status: int, reason: Reason, context: RequestContext, about: Particulars = _NOTHING_MORE
) -> web.Response:
    """An `application/problem+json` answer. A 401 has the address of the sign-in or the step-up."""
    levels = (about.level, about.level_needed) if about.level_needed is not None else None
    members = problems.members(status, reason, context.request_id, levels=levels)
    if about.missing:
        members["missing"] = about.missing
    if about.provider_error is not None:
        members["provider_error"] = about.provider_error
    answer = web.Response(status=status, content_type=problems.MEDIA_TYPE, charset="utf-8")
    if status == HTTPStatus.UNAUTHORIZED:
        name, path = (
            ("step_up_url", "step-up") if reason is Reason.STEP_UP_REQUIRED else ("login_url", "login")
        )
        members[name] = f"{context.portal.origin}{PREFIX}{path}"
        answer.headers["WWW-Authenticate"] = problems.challenge(context.portal.portal_id, reason)
    answer.text = json.dumps(members) + "\n"
    return answer
