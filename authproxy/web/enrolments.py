"""The methods of fresh proofs on the page about one's session: adding one, taking one away. What that needs,
`flows` decides.

Secrets are in the answer to a POST and at no address: neither the history nor the back button brings them up
again.
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
from authproxy.web.proofs import sign_in_first
from authproxy.web.refusals import Refused
from authproxy.web.request_keys import CONTEXT
from authproxy.web.visits import visit_of

_GROUP: Final = 4
"""Letters of a secret that people type at a time."""
_SAID: Final = {Reason.CHALLENGE_OVER: "method-expired", Reason.STEP_UP_TOO_OFTEN: "method-too-many"}


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolmentPages:
    enrolling: Enrolling
    pages: Pages
    audit: Audit
    clock: Callable[[], datetime]

    async def begin(self, request: web.Request) -> web.StreamResponse:
        """POST session/methods: adds a `method`, under the name `label`. A fresh proof may have to come
        first."""
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
        """POST session/methods/finish: the first `code` of an application, or none where a phone is to be
        activated."""
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
        """GET session/methods/remove: asks whether it is meant."""
        visit = visit_of(request, {}, now=self.clock())
        known = await self.enrolling.listed(visit)
        if known is None:
            return sign_in_first(request, return_to.SESSION_PAGE)
        enrolment_id = request.query.get("id", "")
        enrolment = next((each for each in known.enrolments if each.enrolment_id == enrolment_id), None)
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
        """POST session/methods/remove: takes the method of this `id` away. A fresh proof may have to come
        first."""
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
                # A second click, or another tab: what is to go has gone.
                return see(request, "session", {"said": "method-gone"})
            case _:
                assert_never(outcome)

    def _secret(self, request: web.Request, begun: TotpBegun, *, is_wrong: bool) -> web.Response:
        secret, (side, dark) = begun.secret, _drawn(begun.uri)
        groups = tuple(secret[at : at + _GROUP] for at in range(0, len(secret), _GROUP))
        return self.pages.answer(
            request, "method_totp.html", begun=begun, groups=groups, side=side, dark=dark, is_wrong=is_wrong
        )

    def _activation(self, request: web.Request, begun: PushBegun, *, is_waiting: bool) -> web.Response:
        return self.pages.answer(request, "method_push.html", begun=begun, is_waiting=is_waiting)

    def _not_enrolled(self, request: web.Request, outcome: NotEnrolled) -> web.Response:
        if not request[CONTEXT].is_page_load:
            raise Refused(outcome.reason)
        said = _SAID.get(outcome.reason, "method-impossible") if outcome.until is None else "method-too-often"
        return see(request, "session", {"said": said})


def _prove_first(request: web.Request, needed: ProofNeeded) -> web.Response:
    if not request[CONTEXT].is_page_load:
        raise Refused(Reason.STEP_UP_REQUIRED)
    return see(request, "step-up", {"rt": return_to.SESSION_PAGE, "for": needed.route})


def _drawn(text: str) -> tuple[int, str]:
    """A QR code (ISO/IEC 18004) with its white border: the length of its side in modules, and the lines of
    the dark ones as a path."""
    code = segno.make(text, error="l", micro=False)
    rows = tuple(code.matrix_iter(border=code.default_border_size))
    return len(rows), "".join(f"M0 {y}.5{_line(row)}" for y, row in enumerate(rows) if any(row))


def _line(row: Iterable[int]) -> str:
    runs = [(dark, len(tuple(same))) for dark, same in groupby(row)]
    return "".join(f"h{length}" if dark else f"m{length} 0" for dark, length in runs)
