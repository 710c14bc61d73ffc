"""What fresh proofs have in common that are made elsewhere, at the provider or at the certificate host.

The attempt is bound to one session. That session gains the proof only if the browser comes back with it, and
if its own person has given the proof. In every other case it stays as it was, and nobody is signed in.
"""

from __future__ import annotations

from datetime import datetime

from authproxy.access.decision import Reason
from authproxy.flows.sign_in.attempts import SignIns
from authproxy.flows.step_up.elevation import PROVES, Elevations, not_proved
from authproxy.flows.step_up.outcomes import NotProved, SteppedUp
from authproxy.flows.visit import Visit
from authproxy.identity.assurance import AuthenticationEvent
from authproxy.identity.attempt import Attempt
from authproxy.identity.session import Session


class ReturnedProofs:
    """Every method raises CannotAsk."""

    def __init__(self, *, sign_ins: SignIns, elevations: Elevations) -> None:
        self._sign_ins = sign_ins
        self._elevations = elevations

    async def session_of(self, attempt: Attempt, visit: Visit) -> Session | NotProved:
        """The session that is to gain the proof, if the browser still has it."""
        session = await self._sign_ins.session_of(visit)
        if session is None or session.session_id != attempt.step_up_of:
            return not_proved(
                attempt,
                Reason.SESSION_ENDED,
                detail="the browser has no session, or another one than it began with",
            )
        return session

    async def step_up(
        self, attempt: Attempt, visit: Visit, session: Session, event: AuthenticationEvent, *, now: datetime
    ) -> SteppedUp | NotProved:
        """The session with the proof; NotProved if something has ended it meanwhile."""
        added = None
        if visit.ticket_text is not None:
            added = await self._elevations.add(
                visit.ticket_text, session, event, now=now, binding=attempt.binding
            )
        if added is None:
            return not_proved(attempt, Reason.SESSION_ENDED, detail="the session has ended during the proof")
        ticket_text, stronger = added
        return SteppedUp(ticket_text, stronger, PROVES[attempt.method], attempt.return_to, attempt.held)
