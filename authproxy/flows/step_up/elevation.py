"""A session that has gained a proof: the evidence grows under a new ticket, and nothing else about the
session moves.

Level, begin, absolute end and idle time are those of the sign-in: a level that grows while a session is
refreshed, and an end that moves with every proof, were flaws of a rival.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from typing import Final, Protocol

from authproxy.access.bound_proof import GOOD_FOR, MOST
from authproxy.access.decision import Reason
from authproxy.flows.step_up.outcomes import NotProved
from authproxy.identity import ticket as tickets
from authproxy.identity.assurance import AuthenticationEvent, SignInMethod, StepUpMethod
from authproxy.identity.attempt import Attempt
from authproxy.identity.person import Person
from authproxy.identity.session import Session, SessionId
from authproxy.identity.ticket import IDENTIFIER_SIZE, SECRET_SIZE, SessionTicket

_UNIQUE: Final = 16
"""Random bytes that tell two proofs for one request apart."""
PROVES: Final[dict[SignInMethod, StepUpMethod]] = {"rekono": "rekono", "acnlb": "certificate"}
"""What a proof is called that is made as a sign-in is."""


class RotatingSessions(Protocol):
    async def rotate(
        self, old: SessionTicket, new: SessionTicket, session: Session, *, browser: str | None, now: datetime
    ) -> bool: ...
    async def revoke(self, session_id: SessionId) -> bool: ...


class Register(Protocol):
    async def is_blocked(self, person: Person) -> bool:
        """Raises CannotAsk."""
        ...


Witness = Callable[[Session, AuthenticationEvent], Awaitable[None]]
"""Writes down that this session gains this proof. Raises CannotAsk where that is demanded and cannot be
done."""


async def _nobody(_session: Session, _event: AuthenticationEvent) -> None:
    return


class Elevations:
    """The witness hears of a proof before it counts: what has been counted could be taken back only by
    signing the person out. The register is asked at each proof, so that a blocked person whose sessions could
    not all be ended gains nothing."""

    def __init__(
        self,
        *,
        sessions: RotatingSessions,
        random_bytes: Callable[[int], bytes],
        register: Register | None = None,
        witness: Witness = _nobody,
    ) -> None:
        self._sessions = sessions
        self._random_bytes = random_bytes
        self._register = register
        self._witness = witness

    async def add(
        self,
        ticket_text: str,
        session: Session,
        event: AuthenticationEvent,
        *,
        now: datetime,
        binding: str | None = None,
    ) -> tuple[str, Session] | None:
        """The new ticket, and the session with the proof; from then on the old ticket opens nothing. With a
        `binding` the proof is for that one request, and one that was `asked_for` where methods are changed is
        for that alone. None if the ticket opens nothing already: the session has ended, or has gained another
        proof at the same moment, or its person is blocked and it ends now. Raises CannotAsk."""
        if binding is not None:
            event = replace(
                event, is_step_up=False, bound_to=f"{binding}.{self._random_bytes(_UNIQUE).hex()}"
            )
        if event.asked_for is not None:
            # More methods are accepted there than the person's level of trust allows on routes.
            event = replace(event, is_step_up=False)
        old = tickets.parse(ticket_text)
        if old is None or old.session_id != session.session_id:
            return None
        if self._register is not None and await self._register.is_blocked(session.person):
            await self._sessions.revoke(session.session_id)
            return None
        new = SessionTicket(self._random_bytes(IDENTIFIER_SIZE), self._random_bytes(SECRET_SIZE))
        stronger = replace(session, session_id=new.session_id, events=with_proof(session.events, event))
        await self._witness(stronger, event)
        if not await self._sessions.rotate(old, new, stronger, browser=None, now=now):
            return None
        return new.text, stronger


def with_proof(
    events: tuple[AuthenticationEvent, ...], proof: AuthenticationEvent
) -> tuple[AuthenticationEvent, ...]:
    """The evidence with a new proof in it: the sign-in, and of later proofs by one method and source, and for
    one purpose, the newest, so that a session may be stepped up as often as its person likes and its record
    does not grow. Proofs that are for one request are kept beside them while they are good, the last few."""
    sign_in, *every = events
    bound = [event for event in every if event.bound_to is not None and proof.at - event.at <= GOOD_FOR]
    later = [event for event in every if event.bound_to is None]
    if proof.bound_to is not None:
        return sign_in, *later, *bound[-(MOST - 1) :], proof
    newest = {(event.method, event.source, event.asked_for): event for event in later}
    known = newest.pop((proof.method, proof.source, proof.asked_for), None)
    return sign_in, *newest.values(), proof if known is None or known.at <= proof.at else known, *bound


def not_proved(
    attempt: Attempt, reason: Reason, *, found: str = "", session: Session | None = None
) -> NotProved:
    """How an attempt ends that was to bring a proof and has brought none: the session is as it was, and the
    way back is known."""
    return NotProved(
        reason=reason,
        return_to=attempt.return_to,
        held=attempt.held,
        session=session,
        method=PROVES[attempt.method],
        found=found,
        route=attempt.route,
    )
