"""Adds a proof to a session, under a new ticket. Nothing else about the session changes.

Level, start, absolute end and idle time stay those of the sign-in. Other gateways had flaws here: a level
that rose when a session was refreshed, and an end that moved with every proof.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from typing import Final

from authproxy.access.bound_proof import GOOD_FOR, MOST
from authproxy.access.decision import Reason
from authproxy.flows.register.membership import Membership
from authproxy.flows.step_up.outcomes import NotProved
from authproxy.flows.stores import SessionStore
from authproxy.identity import ticket as tickets
from authproxy.identity.assurance import AuthenticationEvent, SignInMethod, StepUpMethod
from authproxy.identity.attempt import Attempt
from authproxy.identity.session import Session
from authproxy.identity.ticket import IDENTIFIER_SIZE, SECRET_SIZE, SessionTicket

_PROOF_ID_BYTES: Final = 16
"""Random bytes that make two proofs for one request different."""
PROVES: Final[dict[SignInMethod, StepUpMethod]] = {"rekono": "rekono", "acnlb": "certificate"}
"""The step-up method that a sign-in by each method proves."""


Recorder = Callable[[Session, AuthenticationEvent], Awaitable[None]]
"""Records in the audit trail that the session gets the proof. Raises CannotAsk if it cannot, and must."""


async def _unrecorded(_session: Session, _event: AuthenticationEvent) -> None:
    return


async def _unannounced(_ticket_text: str) -> None:
    return


class Elevations:
    """Each proof is recorded before it counts: later it could be taken back only by signing the person out.
    The register is asked for each proof, so that a blocked person gains nothing with a session that is
    left."""

    def __init__(
        self,
        *,
        sessions: SessionStore,
        random_bytes: Callable[[int], bytes],
        membership: Membership | None = None,
        record: Recorder = _unrecorded,
    ) -> None:
        self._sessions = sessions
        self._random_bytes = random_bytes
        self._membership = membership
        self._record = record

    async def add(
        self,
        ticket_text: str,
        session: Session,
        event: AuthenticationEvent,
        *,
        now: datetime,
        binding: str | None = None,
        announce: Callable[[str], Awaitable[None]] = _unannounced,
    ) -> tuple[str, Session] | None:
        """Returns the new ticket and the session with the proof. The old ticket opens nothing from then on.
        With a `binding`, the proof is for that one request; with `asked_for`, it is for a change of methods.
        `announce` is told the new ticket just before the old one ends.

        None if the old ticket opens nothing any more: the session has ended, or it got another proof at the
        same moment, or its person is blocked and it ends now. Raises CannotAsk."""
        if binding is not None:
            event = replace(
                event, is_step_up=False, bound_to=f"{binding}.{self._random_bytes(_PROOF_ID_BYTES).hex()}"
            )
        if event.asked_for is not None:
            # For a change of methods, more methods are accepted than the person's level of trust allows on
            # routes.
            event = replace(event, is_step_up=False)
        old = tickets.parse(ticket_text)
        if old is None or old.session_id != session.session_id:
            return None
        if self._membership is not None and await self._membership.is_blocked(session.person):
            await self._sessions.revoke(session.session_id)
            return None
        new = SessionTicket(self._random_bytes(IDENTIFIER_SIZE), self._random_bytes(SECRET_SIZE))
        stronger = replace(session, session_id=new.session_id, events=with_proof(session.events, event))
        await self._record(stronger, event)
        await announce(new.text)
        if not await self._sessions.rotate(old, new, stronger, browser=None, now=now):
            return None
        return new.text, stronger


def with_proof(
    events: tuple[AuthenticationEvent, ...], proof: AuthenticationEvent
) -> tuple[AuthenticationEvent, ...]:
    """The session's events with the new proof. The record must not grow with every step-up. So of proofs by
    the same method and source for the same purpose only the newest stays, and of proofs that are bound to one
    request only the last few that are still good."""
    sign_in, *proofs = events
    bound = [event for event in proofs if event.bound_to is not None and proof.at - event.at <= GOOD_FOR]
    unbound = [event for event in proofs if event.bound_to is None]
    if proof.bound_to is not None:
        return sign_in, *unbound, *bound[-(MOST - 1) :], proof
    newest = {(event.method, event.source, event.asked_for): event for event in unbound}
    same_kind = newest.pop((proof.method, proof.source, proof.asked_for), None)
    if same_kind is not None and same_kind.at > proof.at:
        proof = same_kind
    return sign_in, *newest.values(), proof, *bound


def not_proved(
    attempt: Attempt, reason: Reason, *, detail: str = "", session: Session | None = None
) -> NotProved:
    """The outcome of an attempt that should have brought a proof and did not. It leads back to where the
    person wanted to go."""
    return NotProved(
        reason=reason,
        return_to=attempt.return_to,
        held=attempt.held,
        session=session,
        method=PROVES[attempt.method],
        detail=detail,
        route=attempt.route,
    )
