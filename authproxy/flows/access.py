"""The decision on a request: at once from the near cache if possible, otherwise after asking the store.

"Not found" is AuthenticationRequired, and on a public route a request of nobody. "Cannot ask" is Unavailable,
which lets nobody in and sends nobody to sign in again.
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
from authproxy.access.routes import Activity, Portal, Route
from authproxy.access.sender import Sender
from authproxy.access.target import RequestTarget
from authproxy.access.unavailable import CannotAsk
from authproxy.assertions.signer import AssertionSigner
from authproxy.flows import identity_headers
from authproxy.flows.machines import Machines
from authproxy.flows.stores import RememberedSession, SessionCache, SessionStore, UsedProofs
from authproxy.flows.visit import stored_session
from authproxy.identity import ticket as tickets
from authproxy.identity.session import NoSession, Session, SessionId, SessionSummary, StoredSession
from authproxy.identity.ticket import SessionTicket


class _Finished:
    """The header block of one cached session and its allow-decisions. They are dropped when the assertion in
    the block reaches half its lifetime, or comes to lie in the future because the clock was set back."""

    __slots__ = ("allowed", "block", "good_until", "made_at")

    def __init__(self, block: bytes, made_at: datetime, good_until: datetime) -> None:
        self.block = block
        self.made_at = made_at
        self.good_until = good_until
        # By the `id` of the route, because routes of one path for different methods share a name. No other
        # route can have that `id`, because the decision keeps its route. A route whose demand varies is never
        # in it: the decision would outlive a proof, or hold for other addresses.
        self.allowed: dict[int, Allowed] = {}


_FINISHED: Final = "finished"
_TOUCH_DUE_AT: Final = "touch_due_at"
_TOUCHES_PER_IDLE: Final = 10
"""Activity is written back once in every tenth of the idle time."""
_TOUCHES_AHEAD: Final = 10_000
_MOST_ALLOWED: Final = 256
Then = Callable[[Decision | None], None]


class Access:
    """`hits` and `misses` count what the near cache could answer, for metrics."""

    def __init__(  # noqa: PLR0913  (each is a part of the gateway)
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
        machines: Machines | None = None,
    ) -> None:
        """`look_at_account` is called with active sessions, about as often as activity is written back.
        Without `used_proofs` no proof for one request lets anybody in, because nobody can say whether it was
        used already. Without `machines` no program comes in."""
        self._machines = machines
        self._look_at_account = look_at_account
        self._sessions = sessions
        self._near_cache = near_cache
        self._signer = signer
        self._assertion_good_for = assertion_lifetime / 2
        self._header_names = header_names
        self._headers_of_nobody = {
            portal_id: identity_headers.of_nobody(names) for portal_id, names in header_names.items()
        }
        self._spawn = spawn
        self._used_proofs = used_proofs
        self._touches_ahead: dict[SessionId, datetime] = {}
        """When the next touch is due, for sessions whose last activity lies in the future by our clock."""
        self.hits = self.misses = 0
        self.kept_open = 0
        """How often a WebSocket or a long transfer went on because the store could not be asked, for
        metrics."""

    def decide_now(
        self, portal: Portal, target: RequestTarget, sender: Sender, now: datetime
    ) -> Decision | None:
        """The decision, if it needs no question to the store; None if it does."""
        return self.decide_soon(portal, target, sender, now, None)

    def decide_soon(
        self, portal: Portal, target: RequestTarget, sender: Sender, now: datetime, then: Then | None
    ) -> Decision | None:
        """The decision, if it needs no question to the store. Otherwise None, and `then` is called once: with
        the decision when the store has answered, or with None if only `decide` can make it. `then` must not
        raise."""
        route = policy.route_of(portal, target)
        if route is None:
            return Denied(reason=Reason.TARGET_AMBIGUOUS, portal=portal)
        if portal.machines is not None and self._machines is not None:
            credential = self._machines.credential_in(portal, route, sender)
            if credential is not None:
                decision = self._machines.decide_now(portal, route, target, sender, credential, now)
                if decision is None and then is not None:
                    then(None)
                return decision
        ticket = sender.ticket
        if ticket is None:
            return self._decide_on_nobody(portal, route, sender, Reason.NO_SESSION)
        cached = None if route.strict else self._near_cache.lookup(ticket, now)
        if cached is None:
            self.misses += 1
            if then is not None:
                self._ask(portal, route, target, sender, ticket, now, then)
            return None
        self.hits += 1
        finished = cached.extras.get(_FINISHED)
        if isinstance(finished, _Finished) and finished.made_at <= now < finished.good_until:
            # Nearly every request ends here: this session and route were decided a few seconds ago, and there
            # is no activity to write back.
            allowed = finished.allowed.get(id(route))
            due = cached.extras.get(_TOUCH_DUE_AT)
            if allowed is not None and isinstance(due, datetime) and now < due:
                return allowed
        return self._decide(portal, route, cached, target, sender, ticket, now)

    async def decide(self, portal: Portal, target: RequestTarget, sender: Sender, now: datetime) -> Decision:
        """The decision, after asking the store. Never raises CannotAsk."""
        route = policy.route_of(portal, target)
        if route is None:
            return Denied(reason=Reason.TARGET_AMBIGUOUS, portal=portal)
        if portal.machines is not None and self._machines is not None:
            credential = self._machines.credential_in(portal, route, sender)
            if credential is not None:
                return await self._machines.decide(portal, route, target, sender, credential, now)
        ticket = sender.ticket
        parsed = tickets.parse(ticket)
        if ticket is None or parsed is None:
            return self._decide_on_nobody(portal, route, sender, Reason.NO_SESSION)
        try:
            cached = await self._read(parsed, now)
        except CannotAsk as refused:
            return self._decide_without_answer(portal, route, sender, ticket, now, refused)
        if cached is None:
            return self._decide_on_nobody(portal, route, sender, Reason.SESSION_ENDED)
        return self._decide(portal, route, cached, target, sender, ticket, now)

    def _ask(
        self,
        portal: Portal,
        route: Route,
        target: RequestTarget,
        sender: Sender,
        ticket: str,
        now: datetime,
        then: Then,
    ) -> None:
        """Decides after a question to the store, without a task, if the ticket has opened a session before
        and that has not changed."""
        near_cache = self._near_cache
        read, before = near_cache.begin_read(), near_cache.remembered(ticket)
        if before is None:
            then(None)
            return

        def told(answer: StoredSession | NoSession | CannotAsk | None) -> None:
            decision: Decision | None = None
            try:
                if isinstance(answer, StoredSession):
                    cached = near_cache.remember(ticket, answer, now, read=read)
                    decision = self._decide(portal, route, cached, target, sender, ticket, now)
                elif isinstance(answer, NoSession):
                    near_cache.drop(ticket)
                    decision = self._decide_on_nobody(portal, route, sender, Reason.SESSION_ENDED)
                elif answer is not None:
                    decision = self._decide_without_answer(portal, route, sender, ticket, now, answer)
            except Exception:  # noqa: BLE001  (`decide` fails in the same way, and there it is reported)
                decision = None
            then(decision)

        self._sessions.reread(before, now=now, told=told)

    def _decide_without_answer(
        self, portal: Portal, route: Route, sender: Sender, ticket: str, now: datetime, refused: CannotAsk
    ) -> Decision:
        """The decision if the store cannot be asked about the ticket."""
        barred = policy.barred(route, sender)
        if barred is not None:
            return Denied(reason=barred, portal=portal, route=route)
        parsed = tickets.parse(ticket)
        if parsed is not None and route.access != "public" and "requests" in portal.activity:
            # If this is a session's ticket, its person is active and must not become idle because the store
            # is away.
            self._sessions.note_missed(parsed, now=now)
        # Also on a public route: a portal that is told that nobody is there may end what it knows of the
        # person, or show them a page for strangers.
        return Unavailable(reason=refused.reason, portal=portal)

    def _decide_on_nobody(self, portal: Portal, route: Route, sender: Sender, reason: Reason) -> Decision:
        """The decision on a request without a session of this portal. `reason` says why there is none."""
        barred = policy.barred(route, sender)
        if barred is not None:
            return Denied(reason=barred, portal=portal, route=route)
        if route.access == "public":
            return Allowed(
                portal=portal,
                route=route,
                session=None,
                identity_headers=self._headers_of_nobody[portal.portal_id],
            )
        return AuthenticationRequired(reason=reason, portal=portal)

    def still_allowed_now(
        self,
        allowed: Allowed,
        sender: Sender,
        now: datetime,
        *,
        activity: Activity | None = None,
        is_finite: bool = False,
    ) -> bool | None:
        """As `still_allowed`, if that needs no question to the store; None if it does."""
        if allowed.machine is not None:
            machines = self._machines
            return machines is not None and machines.still_allowed_now(allowed, sender, now)
        if allowed.session is None:
            return True
        ticket = sender.ticket
        if ticket is None:
            return False
        known = self._near_cache.lookup(ticket, now)
        if known is None:
            return None
        return self._goes_on(allowed, known, sender, ticket, now, activity, is_finite=is_finite)

    async def still_allowed(
        self,
        allowed: Allowed,
        sender: Sender,
        now: datetime,
        *,
        activity: Activity | None = None,
        is_finite: bool = False,
    ) -> bool:
        """Whether what was allowed, and is still open, may go on: its session lives and still meets every
        demand of the route. What is finite, such as a download, was let in by its proof. It does not end
        because that has aged, nor because its session got a new ticket by another proof. What was opened
        without a session has none to end with.

        Nothing of this counts as activity but what has happened meanwhile, if the portal wants that. If the
        store cannot be asked, the answer is yes."""
        if allowed.machine is not None:
            machines = self._machines
            return machines is not None and await machines.still_allowed(
                allowed, sender, now, is_finite=is_finite
            )
        session, ticket = allowed.session, sender.ticket
        if session is None:
            return True
        parsed = tickets.parse(ticket)
        if ticket is None or parsed is None:
            return False
        try:
            known = self._near_cache.lookup(ticket, now) or await self._read(parsed, now)
            if known is None:
                return is_finite and await self._has_new_ticket(session, now)
        except CannotAsk:
            self.kept_open += 1
            return True
        return self._goes_on(allowed, known, sender, ticket, now, activity, is_finite=is_finite)

    def _goes_on(
        self,
        allowed: Allowed,
        known: RememberedSession,
        sender: Sender,
        ticket: str,
        now: datetime,
        activity: Activity | None,
        *,
        is_finite: bool,
    ) -> bool:
        portal, route = allowed.portal, allowed.route
        reason = policy.unmet(known.session, portal, route, sender, now)
        # On a route with a proof for each request, the proof is used up now.
        if reason is Reason.STEP_UP_REQUIRED and (is_finite or route.requirement.is_per_request):
            reason = None
        if reason is None and activity is not None:
            self._note_activity(activity, portal, route, known, ticket, now)
        return reason is None

    async def _has_new_ticket(self, session: Session, now: datetime) -> bool:
        """Whether the session goes on under another ticket, which only its browser knows. A proof moves
        neither start nor end. Raises CannotAsk."""
        return any(
            other.portal == session.portal
            and other.started_at == session.started_at
            and other.expires_at == session.expires_at
            for other in await self._sessions.of_person(session.person, now=now)
        )

    async def admit_once(
        self, required: StepUpRequired, target: RequestTarget, binding: str, now: datetime
    ) -> PerRequestDecision:
        """Allows one request, once, if its person has given a proof for it. Returns `required` unchanged if
        there is no such proof, or it was used. The portal sees the proof as a step-up, on this request only.
        Never raises CannotAsk."""
        used_proofs, session = self._used_proofs, required.session
        if used_proofs is None:
            return PerRequestDecision(decision=required)
        bound_to = (
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
                # Signed first, because a request that cannot be sent must not use up the proof.
                block = self.identity(
                    required.portal, replace(session, events=events), now, bound_to=bound_to
                )
                if await used_proofs.use(name):
                    allowed = Allowed(
                        portal=required.portal,
                        route=required.route,
                        session=session,
                        identity_headers=block,
                        cookie_owner=_cookie_owner(required.portal, session),
                    )
                    return PerRequestDecision(decision=allowed, proof=name)
        except CannotAsk as refused:
            return PerRequestDecision(decision=Unavailable(reason=refused.reason, portal=required.portal))
        return PerRequestDecision(decision=required)

    async def give_back(self, proof: str) -> None:
        """Makes a proof usable again, because its request was not sent. If the store is away, the person has
        to give another proof."""
        if self._used_proofs is not None and proof:
            with contextlib.suppress(CannotAsk):
                await self._used_proofs.give_back(proof)

    async def _read(self, ticket: SessionTicket, now: datetime) -> RememberedSession | None:
        near_cache, text = self._near_cache, ticket.text
        read = near_cache.begin_read()
        stored = await self._sessions.load(ticket, now=now, before=near_cache.remembered(text))
        if stored is None:
            near_cache.drop(text)
            return None
        return near_cache.remember(text, stored, now, read=read)

    def _decide(
        self,
        portal: Portal,
        route: Route,
        cached: RememberedSession,
        target: RequestTarget,
        sender: Sender,
        ticket: str,
        now: datetime,
    ) -> Decision:
        finished = cached.extras.get(_FINISHED)
        if isinstance(finished, _Finished) and finished.made_at <= now < finished.good_until:
            allowed = finished.allowed.get(id(route))
            if allowed is not None:
                self._note_activity("requests", portal, route, cached, ticket, now)
                return allowed
        session = cached.session
        reason = policy.unmet(session, portal, route, sender, now)
        if reason is Reason.SESSION_OF_ANOTHER_PORTAL or (
            reason is Reason.NOT_A_MEMBER and route.access == "public"
        ):
            return self._decide_on_nobody(portal, route, sender, reason)
        self._note_activity("requests", portal, route, cached, ticket, now)
        if reason is Reason.STEP_UP_REQUIRED:
            return StepUpRequired(portal=portal, route=route, session=session)
        if reason is not None:
            return Denied(reason=reason, portal=portal, route=route, session=session)
        try:
            if portal.binds_assertion:
                block = self.identity(
                    portal, session, now, bound_to=(target.method, portal.origin + target.path)
                )
                return Allowed(
                    portal=portal,
                    route=route,
                    session=session,
                    identity_headers=block,
                    cookie_owner=_cookie_owner(portal, session),
                )
            return self._allow(portal, route, cached, now)
        except CannotAsk as refused:
            return Unavailable(reason=refused.reason, portal=portal)

    def _allow(self, portal: Portal, route: Route, cached: RememberedSession, now: datetime) -> Allowed:
        finished = cached.extras.get(_FINISHED)
        if not isinstance(finished, _Finished) or not finished.made_at <= now < finished.good_until:
            finished = cached.extras[_FINISHED] = _Finished(
                self.identity(portal, cached.session, now), now, now + self._assertion_good_for
            )
        allowed = Allowed(
            portal=portal,
            route=route,
            session=cached.session,
            identity_headers=finished.block,
            cookie_owner=_cookie_owner(portal, cached.session),
        )
        if not route.requirement.varies:
            if len(finished.allowed) >= _MOST_ALLOWED:
                # Routes are combined as requests need it, so there may be any number of them.
                finished.allowed.clear()
            finished.allowed[id(route)] = allowed
        return allowed

    def identity(
        self, portal: Portal, session: Session, now: datetime, bound_to: tuple[str, str] | None = None
    ) -> bytes:
        """The identity headers of a session, with an assertion for this one method and URL if they are given.
        Raises CannotAsk."""
        assertion = self._signer.mint(session, portal_id=portal.portal_id, now=now, bound_to=bound_to)
        return identity_headers.lines(session, self._header_names[portal.portal_id], assertion=assertion)

    # The idle clock.

    def _note_activity(
        self,
        activity: Activity,
        portal: Portal,
        route: Route,
        cached: RememberedSession,
        ticket: str,
        now: datetime,
    ) -> None:
        """The one rule of what keeps a session from being idle: what the portal lists, where a session is
        demanded."""
        if activity not in portal.activity or route.access == "public":
            # A page that asks for open parts by itself would keep a session alive whose person has left.
            return
        due = cached.extras.get(_TOUCH_DUE_AT)
        if isinstance(due, datetime) and now < due:
            return
        # It is not due if the session has meanwhile been active elsewhere.
        pause = cached.session.idle_for / _TOUCHES_PER_IDLE
        due = cached.extras[_TOUCH_DUE_AT] = self._touch_due(cached, pause, now)
        if now >= due:
            cached.extras[_TOUCH_DUE_AT] = now + pause
            parsed = tickets.parse(ticket)
            if parsed is not None:
                self._spawn(self._touch(parsed, now))
            if self._look_at_account is not None and cached.session.grant is not None:
                self._spawn(self._look_at_account(cached.session, now))

    def _touch_due(self, cached: RememberedSession, pause: timedelta, now: datetime) -> datetime:
        due = cached.stored.last_active_at + pause
        if due <= now + pause:
            return due
        # The last activity lies in the future: another clock was ahead, or ours was set back. Without a touch
        # the record would expire before our clock reaches that moment.
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
            return  # the request was allowed already, and the next question will notice the store

    # What the session page asks.

    async def current(
        self, *, portal_id: str, ticket_text: str | None, now: datetime
    ) -> StoredSession | None:
        """The session behind a ticket at this portal. Asking is no activity. Raises CannotAsk."""
        return await stored_session(self._sessions, ticket_text, portal_id=portal_id, now=now)

    async def extend(self, *, portal_id: str, ticket_text: str | None, now: datetime) -> StoredSession | None:
        """The session behind a ticket at this portal, after noting activity of its person. Raises
        CannotAsk."""
        current = await self.current(portal_id=portal_id, ticket_text=ticket_text, now=now)
        parsed = tickets.parse(ticket_text)
        if current is None or parsed is None:
            return None
        await self._sessions.touch(parsed, now=now)
        # Asked again: it may have ended in between, and the page must show what is true.
        return await self.current(portal_id=portal_id, ticket_text=ticket_text, now=now)

    async def discard(self, session: Session) -> None:
        """Ends a session whose ticket was given to nobody. Raises CannotAsk."""
        await self._sessions.revoke(session.session_id)

    async def others(self, session: Session, *, now: datetime) -> tuple[SessionSummary, ...]:
        """The same person's other sessions, at every portal. Raises CannotAsk."""
        summaries = await self._sessions.of_person(session.person, now=now)
        return tuple(summary for summary in summaries if summary.session_id != session.session_id)

    async def end_other(self, session: Session, session_id: SessionId, *, now: datetime) -> bool:
        """Ends another session of the same person; False if it is not theirs. Raises CannotAsk."""
        if not any(summary.session_id == session_id for summary in await self.others(session, now=now)):
            return False
        return await self._sessions.revoke(session_id)


def _cookie_owner(portal: Portal, session: Session) -> bytes:
    cookies = portal.personal_cookies
    return b"" if cookies is None else cookies.owner(session.person)
