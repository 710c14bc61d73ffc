"""Who may do what: the decision on a request, made at once from the near cache where possible, otherwise
after asking the store.

"Not found" is AuthenticationRequired; "cannot ask" is Unavailable: never an allow, and never an invitation to
sign in again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from authproxy.access import bound_proof, policy
from authproxy.access.decision import (
    Allowed,
    AuthenticationRequired,
    Decision,
    Denied,
    PerRequestDecision,
    Reason,
    StepUpRequired,
    Unavailable,
)
from authproxy.access.header_names import HeaderNames
from authproxy.access.routes import Portal, Route
from authproxy.access.target import RequestTarget
from authproxy.access.unavailable import CannotAsk
from authproxy.assertions.signer import AssertionSigner
from authproxy.flows import identity_headers
from authproxy.flows.stores import RememberedSession, SessionCache, SessionStore, UsedProofs
from authproxy.flows.visit import stored_session
from authproxy.identity import ticket as tickets
from authproxy.identity.session import Session, SessionId, SessionSummary, StoredSession
from authproxy.identity.ticket import SessionTicket


class _Pass:
    """What is finished for one cached session at its portal, good until the assertion in it is half over: the
    header block, and the decisions by route."""

    __slots__ = ("allowed", "block", "good_until")

    def __init__(self, block: bytes, good_until: datetime) -> None:
        self.block = block
        self.good_until = good_until
        # By the route itself, not by its name: two routes of one path for different methods share that. A
        # route that demands a fresh proof is never in it: the decision must not outlive the freshness.
        self.allowed: dict[int, Allowed] = {}


_FINISHED: Final = "finished"
_TOUCH_DUE_AT: Final = "touch_due_at"
_TOUCHES_PER_IDLE: Final = 10
_TOUCHES_AHEAD: Final = 10_000


class Access:
    """`lookups` counts what the near cache answered, for metrics."""

    def __init__(
        self,
        *,
        sessions: SessionStore,
        near_cache: SessionCache,
        signer: AssertionSigner,
        assertion_lifetime: timedelta,
        header_names: Mapping[str, HeaderNames],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        look_at_account: Callable[[Session, datetime], Coroutine[Any, Any, None]] | None = None,
        used_proofs: UsedProofs | None = None,
    ) -> None:
        """`look_at_account` is told of active sessions, about as often as activity is written back. Without
        `used_proofs` nobody can say whether a proof for one request was used already, and none lets anybody
        in."""
        self._look_at_account = look_at_account
        self._sessions = sessions
        self._near_cache = near_cache
        self._signer = signer
        self._assertion_good_for = assertion_lifetime / 2
        self._header_names = header_names
        self._spawn = spawn
        self._used_proofs = used_proofs
        self._touches_ahead: dict[SessionId, datetime] = {}
        """When the next touch is due for sessions whose last activity lies in the future by this clock."""
        self.hits = self.misses = 0
        self.let_go_on = 0
        """How often an open tunnel went on because the store could not be asked, for metrics."""

    def decide_now(
        self, portal: Portal, target: RequestTarget, ticket: str | None, now: datetime
    ) -> Decision | None:
        """The decision, if no question to the store is needed for it."""
        route = policy.route_of(portal, target)
        if route is None:
            return Denied(reason=Reason.TARGET_AMBIGUOUS, portal=portal)
        if ticket is None:
            return AuthenticationRequired(reason=Reason.NO_SESSION, portal=portal)
        cached = None if route.strict else self._near_cache.lookup(ticket, now)
        if cached is None:
            self.misses += 1
            return None
        self.hits += 1
        kept = cached.extras.get(_FINISHED)
        if isinstance(kept, _Pass) and now < kept.good_until:
            # The way of nearly every request: what was decided for this session and route a few seconds ago,
            # and no activity to note.
            allowed = kept.allowed.get(id(route))
            due = cached.extras.get(_TOUCH_DUE_AT)
            if allowed is not None and isinstance(due, datetime) and now < due:
                return allowed
        return self._decide(portal, route, cached, target, ticket, now)

    async def decide(
        self, portal: Portal, target: RequestTarget, ticket: str | None, now: datetime
    ) -> Decision:
        """The decision, after asking the store. Never raises for what the store or the signer does."""
        route = policy.route_of(portal, target)
        if route is None:
            return Denied(reason=Reason.TARGET_AMBIGUOUS, portal=portal)
        parsed = tickets.parse(ticket)
        if ticket is None or parsed is None:
            return AuthenticationRequired(reason=Reason.NO_SESSION, portal=portal)
        try:
            cached = await self._read(parsed, now)
        except CannotAsk as refused:
            # If this is the ticket of a session, its person is active, and must not become idle because the
            # store is away.
            self._sessions.note_missed(parsed, now=now)
            return Unavailable(reason=refused.reason, portal=portal)
        if cached is None:
            return AuthenticationRequired(reason=Reason.SESSION_ENDED, portal=portal)
        return self._decide(portal, route, cached, target, ticket, now)

    async def still_allowed(
        self, portal: Portal, target: RequestTarget, ticket: str | None, now: datetime
    ) -> bool:
        """Whether an open tunnel may go on: its session lives and still meets every demand of the route, also
        for a fresh proof. Not activity; a store that cannot be asked ends no tunnel before the session's own
        end."""
        route = policy.route_of(portal, target)
        parsed = tickets.parse(ticket)
        if route is None or ticket is None or parsed is None:
            return False
        try:
            known = self._near_cache.lookup(ticket, now) or await self._read(parsed, now)
        except CannotAsk:
            self.let_go_on += 1
            return True
        reason = Reason.SESSION_ENDED if known is None else policy.unmet(known.session, portal, route, now)
        # What needs a proof for each request was let in by one, which is used up.
        return reason is None or (reason is Reason.STEP_UP_REQUIRED and route.requirement.is_per_request)

    async def admit_once(
        self, required: StepUpRequired, target: RequestTarget, binding: str, now: datetime
    ) -> PerRequestDecision:
        """Lets in one request for which its person has given a proof, once; `required` as it was if there is
        no such proof, or it has been used. The portal sees the proof as a step-up, on this request only.
        Never raises for what the store or the signer does."""
        used, session = self._used_proofs, required.session
        if used is None:
            return PerRequestDecision(decision=required)
        own = (
            (target.method, required.portal.origin + target.path) if required.portal.binds_assertion else None
        )
        try:
            for proof in bound_proof.matching_proofs(
                session.events, binding, required.route.requirement, now
            ):
                name = proof.bound_to or ""
                events = tuple(
                    replace(event, is_step_up=True) if event.bound_to == name else event
                    for event in session.events
                )
                # Signed first: a proof is not used up for a request that cannot be sent.
                block = self._identity(required.portal, replace(session, events=events), now, bound_to=own)
                if await used.use(name):
                    allowed = Allowed(
                        portal=required.portal, route=required.route, session=session, identity_headers=block
                    )
                    return PerRequestDecision(decision=allowed, proof=name)
        except CannotAsk as refused:
            return PerRequestDecision(decision=Unavailable(reason=refused.reason, portal=required.portal))
        return PerRequestDecision(decision=required)

    async def give_back(self, proof: str) -> None:
        """The request that the proof was used for has not been sent, and may come again. A store that is away
        costs another proof."""
        if self._used_proofs is not None and proof:
            with contextlib.suppress(CannotAsk):
                await self._used_proofs.give_back(proof)

    async def _read(self, ticket: SessionTicket, now: datetime) -> RememberedSession | None:
        read = self._near_cache.begin_read()
        stored = await self._sessions.load(ticket, now=now)
        return None if stored is None else self._near_cache.remember(ticket.text, stored, now, read=read)

    def _decide(
        self,
        portal: Portal,
        route: Route,
        cached: RememberedSession,
        target: RequestTarget,
        ticket: str,
        now: datetime,
    ) -> Decision:
        kept = cached.extras.get(_FINISHED)
        if isinstance(kept, _Pass) and now < kept.good_until:
            allowed = kept.allowed.get(id(route))
            if allowed is not None:
                self._note_activity(cached, ticket, now)
                return allowed
        session = cached.session
        reason = policy.unmet(session, portal, route, now)
        if reason is Reason.SESSION_OF_ANOTHER_PORTAL:
            return AuthenticationRequired(reason=reason, portal=portal)
        self._note_activity(cached, ticket, now)
        if reason is Reason.STEP_UP_REQUIRED:
            return StepUpRequired(portal=portal, route=route, session=session)
        if reason is not None:
            return Denied(reason=reason, portal=portal, route=route, session=session)
        try:
            if portal.binds_assertion:
                block = self._identity(
                    portal, session, now, bound_to=(target.method, portal.origin + target.path)
                )
                return Allowed(portal=portal, route=route, session=session, identity_headers=block)
            return self._allow(portal, route, cached, now)
        except CannotAsk as refused:
            return Unavailable(reason=refused.reason, portal=portal)

    def _allow(self, portal: Portal, route: Route, cached: RememberedSession, now: datetime) -> Allowed:
        kept = cached.extras.get(_FINISHED)
        if not isinstance(kept, _Pass) or now >= kept.good_until:
            kept = cached.extras[_FINISHED] = _Pass(
                self._identity(portal, cached.session, now), now + self._assertion_good_for
            )
        allowed = Allowed(portal=portal, route=route, session=cached.session, identity_headers=kept.block)
        if not route.requirement.decays:
            kept.allowed[id(route)] = allowed
        return allowed

    def _identity(
        self, portal: Portal, session: Session, now: datetime, bound_to: tuple[str, str] | None = None
    ) -> bytes:
        assertion = self._signer.mint(session, portal_id=portal.portal_id, now=now, bound_to=bound_to)
        return identity_headers.lines(session, self._header_names[portal.portal_id], assertion=assertion)

    # The idle clock.

    def _note_activity(self, cached: RememberedSession, ticket: str, now: datetime) -> None:
        due = cached.extras.get(_TOUCH_DUE_AT)
        pause = None
        if not isinstance(due, datetime):
            pause = cached.session.idle_for / _TOUCHES_PER_IDLE
            due = cached.extras[_TOUCH_DUE_AT] = self._first_touch_due(cached, pause, now)
        if now >= due:
            cached.extras[_TOUCH_DUE_AT] = now + (pause or cached.session.idle_for / _TOUCHES_PER_IDLE)
            parsed = tickets.parse(ticket)
            if parsed is not None:
                self._spawn(self._touch(parsed, now))
            if self._look_at_account is not None and cached.session.grant is not None:
                self._spawn(self._look_at_account(cached.session, now))

    def _first_touch_due(self, cached: RememberedSession, pause: timedelta, now: datetime) -> datetime:
        due = cached.last_active_at + pause
        if due <= now + pause:
            return due
        # The last activity lies in the future: another clock was ahead, or this one was set back. Without a
        # touch the record would expire before this clock reaches that moment.
        session_id = cached.session.session_id
        due = self._touches_ahead.get(session_id, now)
        if not now < due <= now + pause:
            if len(self._touches_ahead) >= _TOUCHES_AHEAD:
                self._touches_ahead.clear()
            due, self._touches_ahead[session_id] = now, now + pause
        return due

    async def _touch(self, ticket: SessionTicket, now: datetime) -> None:
        try:
            await self._sessions.touch(ticket, now=now)
        except CannotAsk:
            # The request was allowed by what was known; a store that is away will be noticed by the next
            # question to it.
            return

    # What the session page asks.

    async def current(
        self, *, portal_id: str, ticket_text: str | None, now: datetime
    ) -> StoredSession | None:
        """The session behind a ticket at this portal. Not activity. Raises CannotAsk."""
        return await stored_session(self._sessions, ticket_text, portal_id=portal_id, now=now)

    async def extend(self, *, portal_id: str, ticket_text: str | None, now: datetime) -> StoredSession | None:
        """The session behind a ticket at this portal, after noting that its person is there. Raises
        CannotAsk."""
        current = await self.current(portal_id=portal_id, ticket_text=ticket_text, now=now)
        parsed = tickets.parse(ticket_text)
        if current is None or parsed is None:
            return None
        await self._sessions.touch(parsed, now=now)
        # Asked again: it may have ended in between, and what is said then must be true.
        return await self.current(portal_id=portal_id, ticket_text=ticket_text, now=now)

    async def discard(self, session: Session) -> None:
        """Ends a session whose ticket nobody has been given. Raises CannotAsk."""
        await self._sessions.revoke(session.session_id)

    async def others(self, session: Session, *, now: datetime) -> tuple[SessionSummary, ...]:
        """The same person's other sessions, at every portal. Raises CannotAsk."""
        every = await self._sessions.of_person(session.person, now=now)
        return tuple(summary for summary in every if summary.session_id != session.session_id)

    async def end_other(self, session: Session, session_id: SessionId, *, now: datetime) -> bool:
        """Ends another session of the same person; False if it is not theirs. Raises CannotAsk."""
        if not any(summary.session_id == session_id for summary in await self.others(session, now=now)):
            return False
        return await self._sessions.revoke(session_id)
