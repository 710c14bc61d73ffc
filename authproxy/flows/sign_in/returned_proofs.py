"""A fresh proof that was made elsewhere, at the provider or where certificates are shown, and comes back:
what both have in common.

The attempt is bound to one session. It gains a proof only if the browser comes back with that session, and
whoever has proved themselves is its person; in every other case it stays as it was, and nobody is signed in.
"""

from __future__ import annotations

from datetime import datetime

from authproxy.access.decision import Reason
from authproxy.flows.sign_in.attempts import SignIns
from authproxy.flows.step_up.elevation import PROVES, Elevations, not_proved
from authproxy.flows.step_up.outcomes import NotProved, SteppedUp
from authproxy.identity.assurance import AuthenticationEvent
from authproxy.identity.attempt import Attempt
from authproxy.identity.session import Session


class ReturnedProofs:
    """Every method raises CannotAsk."""

    def __init__(self, *, sign_ins: SignIns, elevations: Elevations) -> None:
        self._sign_ins = sign_ins
        self._elevations = elevations

    async def session_of(
        self, attempt: Attempt, ticket_text: str | None, *, now: datetime
    ) -> Session | NotProved:
        """The session that is to gain the proof, if it is still the one that the browser has."""
        session = await self._sign_ins.current(ticket_text, portal_id=attempt.portal, now=now)
        if session is None or session.session_id != attempt.step_up_of:
            return not_proved(
                attempt,
                Reason.SESSION_ENDED,
                found="the browser has no session, or another one than it began with",
            )
        return session

    async def end(
        self,
        attempt: Attempt,
        ticket_text: str | None,
        session: Session,
        event: AuthenticationEvent,
        *,
        now: datetime,
    ) -> SteppedUp | NotProved:
        """The session with the proof; whatever ended it meanwhile has the last word."""
        added = (
            None
            if ticket_text is None
            else await self._elevations.add(ticket_text, session, event, now=now, binding=attempt.binding)
        )
        if added is None:
            return not_proved(attempt, Reason.SESSION_ENDED, found="the session has ended during the proof")
        ticket, stronger = added
        return SteppedUp(ticket, stronger, PROVES[attempt.method], attempt.return_to, attempt.held)
