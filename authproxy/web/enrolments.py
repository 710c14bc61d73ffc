"""Adding and removing step-up methods on the session page. `flows/step_up/enrolling.py` decides what that
needs.

A secret is only in the answer to a POST and has no address, so that neither the history nor the back button
shows it again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Final, assert_never

import segno
from aiohttp import web

from authproxy.access.decision import Reason
from authproxy.flows.step_up.enrolling import (
    Enrolled,
    Enrolling,
    NotEnrolled,
    PhoneAwaited,
    ProofNeeded,
    PushBegun,
    RecoveryMade,
    Removed,
    TotpBegun,
)
from authproxy.telemetry.audit import Audit, Event
from authproxy.web import return_to
from authproxy.web.forms import submitted
from authproxy.web.pages import Pages, see
from authproxy.web.refusals import Refused
from authproxy.web.request_keys import CONTEXT
from authproxy.web.step_up_answers import sign_in_first
from authproxy.web.visits import visit_of

_GROUP: Final = 4
"""A secret is shown in groups of so many characters, because people type it."""
_MESSAGES: Final = {Reason.CHALLENGE_OVER: "method-expired", Reason.STEP_UP_TOO_OFTEN: "method-too-many"}


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolmentPages:
    enrolling: Enrolling
    pages: Pages
    audit: Audit
    clock: Callable[[], datetime]

    async def begin(self, request: web.Request) -> web.StreamResponse:
        """POST session/methods: begins to add a `method` with the name `label`. Without the fresh proof that
        this needs, the browser goes to the step-up page."""
        fields = await submitted(request, self.audit)
        visit = visit_of(request, fields, now=self.clock())
        outcome = await self.enrolling.begin(visit, fields.get("method", ""), fields.get("label", ""))
        match outcome:
            case None:
                return sign_in_first(request, return_to.SESSION_PAGE)
            case TotpBegun():
                return self._secret(request, outcome, is_wrong=False)
            case PushBegun():
                return self._activation(request, outcome, is_waiting=False)
            case RecoveryMade():
                self.audit.record(Event.METHOD_ENROLLED, session=outcome.session, method="recovery")
                return self.pages.answer(request, "method_recovery.html", codes=outcome.codes)
            case ProofNeeded():
                return _prove_first(request, outcome)
            case NotEnrolled():
                return self._not_enrolled(request, outcome)
            case _:
                assert_never(outcome)

    async def finish(self, request: web.Request) -> web.StreamResponse:
        """POST session/methods/finish: finishes it, with the first `code` of an application, or without one
        for a phone."""
        fields = await submitted(request, self.audit)
        visit = visit_of(request, fields, now=self.clock())
        outcome = await self.enrolling.finish(visit, fields.get("name", ""), fields.get("code", ""))
        match outcome:
            case None:
                return sign_in_first(request, return_to.SESSION_PAGE)
            case Enrolled():
                self.audit.record(
                    Event.METHOD_ENROLLED, session=outcome.session, method=outcome.enrolment.method
                )
                return see(request, "session", {"said": "method-added"})
            case PhoneAwaited():
                return self._activation(request, outcome.begun, is_waiting=True)
            case NotEnrolled():
                if outcome.method is not None:
                    self.audit.record(
                        Event.CHALLENGE_REFUSED,
                        session=outcome.session,
                        method=outcome.method,
                        reason=outcome.reason,
                    )
                if outcome.begun is not None and request[CONTEXT].is_page_load:
                    return self._secret(request, outcome.begun, is_wrong=True)
                return self._not_enrolled(request, outcome)
            case _:
                assert_never(outcome)

    async def ask_removal(self, request: web.Request) -> web.StreamResponse:
        """GET session/methods/remove: asks the person to confirm the removal."""
        visit = visit_of(request, {}, now=self.clock())
        listed = await self.enrolling.listed(visit)
        if listed is None:
            return sign_in_first(request, return_to.SESSION_PAGE)
        enrolment_id = request.query.get("id", "")
        enrolment = next((known for known in listed.enrolments if known.enrolment_id == enrolment_id), None)
        if enrolment is None:
            return see(request, "session", {"said": "method-gone"})
        return self.pages.answer(
            request,
            "method_removal.html",
            here="session/methods/remove",
            keep={"id": enrolment_id},
            enrolment=enrolment,
        )

    async def remove(self, request: web.Request) -> web.StreamResponse:
        """POST session/methods/remove: removes the method with this `id`. Without the fresh proof that this
        needs, the browser goes to the step-up page."""
        fields = await submitted(request, self.audit)
        outcome = await self.enrolling.remove(
            visit_of(request, fields, now=self.clock()), fields.get("id", "")
        )
        match outcome:
            case None:
                return sign_in_first(request, return_to.SESSION_PAGE)
            case Removed():
                self.audit.record(
                    Event.METHOD_REMOVED, session=outcome.session, method=outcome.enrolment.method
                )
                return see(request, "session", {"said": "method-removed"})
            case ProofNeeded():
                return _prove_first(request, outcome)
            case NotEnrolled():
                # It was removed before, by the first click of two or in another tab.
                return see(request, "session", {"said": "method-gone"})
            case _:
                assert_never(outcome)

    def _secret(self, request: web.Request, begun: TotpBegun, *, is_wrong: bool) -> web.Response:
        secret, (side, dark) = begun.secret, _qr_code(begun.uri)
        groups = tuple(secret[at : at + _GROUP] for at in range(0, len(secret), _GROUP))
        return self.pages.answer(
            request, "method_totp.html", begun=begun, groups=groups, side=side, dark=dark, is_wrong=is_wrong
        )

    def _activation(self, request: web.Request, begun: PushBegun, *, is_waiting: bool) -> web.Response:
        return self.pages.answer(request, "method_push.html", begun=begun, is_waiting=is_waiting)

    def _not_enrolled(self, request: web.Request, outcome: NotEnrolled) -> web.Response:
        if not request[CONTEXT].is_page_load:
            raise Refused(outcome.reason)
        message = (
            _MESSAGES.get(outcome.reason, "method-impossible")
            if outcome.until is None
            else "method-too-often"
        )
        return see(request, "session", {"said": message})


def _prove_first(request: web.Request, needed: ProofNeeded) -> web.Response:
    if not request[CONTEXT].is_page_load:
        raise Refused(Reason.STEP_UP_REQUIRED)
    return see(request, "step-up", {"rt": return_to.SESSION_PAGE, "for": needed.route})


def _qr_code(text: str) -> tuple[int, str]:
    """A QR code (ISO/IEC 18004) with its white border: the length of a side in modules, and an SVG path that
    draws the dark modules as lines."""
    code = segno.make(text, error="l", micro=False)
    rows = tuple(code.matrix_iter(border=code.default_border_size))
    return len(rows), "".join(f"M0 {y}.5{_row_path(row)}" for y, row in enumerate(rows) if any(row))


def _row_path(row: Iterable[int]) -> str:
    runs = [(is_dark, len(tuple(modules))) for is_dark, modules in groupby(row)]
    return "".join(f"h{length}" if is_dark else f"m{length} 0" for is_dark, length in runs)
