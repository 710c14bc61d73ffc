from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_network
from random import Random

import pytest

from authproxy.access.decision import (
    Allowed,
    AuthenticationRequired,
    Denied,
    Reason,
    StepUpRequired,
    Unavailable,
)
from authproxy.access.header_names import HeaderNames
from authproxy.access.personal_cookies import PersonalCookies
from authproxy.access.routes import Portal, Requirement, Route, StepUp
from authproxy.access.sender import Sender
from authproxy.access.target import RequestTarget
from authproxy.access.unavailable import CannotAsk
from authproxy.flows.access import Access
from authproxy.identity.assurance import AuthenticationEvent, Level
from authproxy.storage.memory import MemorySessions, MemoryUsedProofs
from authproxy.storage.near_cache import NearCache
from authproxy.storage.outages import Outage, Outages
from tests.support.session_builders import NOW, new_ticket, session_for

HIGH = Requirement(level=Level.HIGH)
FRESH_FOR = timedelta(minutes=5)
ROUTES = (
    Route(name="acq/strict", path="/strict", requirement=Requirement(), strict=True),
    Route(name="acq/high", path="/high", requirement=HIGH),
    Route(name="acq/orders", path="/orders", methods=("POST",), requirement=HIGH),
    Route(name="acq/orders", path="/orders", requirement=Requirement()),
    Route(name="acq/acnlb", path="/acnlb", requirement=Requirement(methods=("acnlb",))),
    Route(
        name="acq/payments",
        path="/payments",
        requirement=Requirement(step_up=StepUp(methods=("push",), max_age=FRESH_FOR)),
    ),
    Route(name="acq/once", path="/once", requirement=Requirement(step_up=StepUp(methods=("push",)))),
    Route(
        name="acq/each",
        path="/each",
        requirement=Requirement(step_up=StepUp(methods=("push",), max_age=timedelta())),
    ),
    Route(
        name="acq/inside",
        path="/inside",
        requirement=Requirement(networks=(frozenset({ip_network("10.0.0.0/8")}),)),
    ),
    Route(name="acq/closed", path="/closed", access="deny", requirement=Requirement()),
    Route(name="acq/open", path="/open", access="public", requirement=Requirement()),
    Route(
        name="acq/open-inside",
        path="/open-inside",
        access="public",
        requirement=Requirement(networks=(frozenset({ip_network("10.0.0.0/8")}),)),
    ),
    Route(name="acq", path="/", requirement=Requirement()),
)
ACQ = Portal(portal_id="acq", origin="http://acq.example", host="acq.example", routes=ROUTES)
B2B = Portal(
    portal_id="b2b",
    origin="http://b2b.example",
    host="b2b.example",
    routes=(Route(name="b2b", path="/", requirement=Requirement()),),
)
HOME, OFFICE = "203.0.113.9", "10.1.2.3"
SOMEBODY = session_for(new_ticket())
LIFETIME = timedelta(seconds=60)
SECOND = timedelta(seconds=1)


class Signer:
    """Signs by counting; refuses while its key is away."""

    def __init__(self):
        self.minted = 0
        self.bound_to = None
        self.is_away = False

    def mint(self, session, *, portal_id, now, bound_to=None):
        if self.is_away:
            raise CannotAsk(Reason.SIGNER_UNAVAILABLE, "the key is away")
        self.minted += 1
        self.bound_to = bound_to
        return f"{portal_id}.{self.minted}"


class Sessions(MemorySessions):
    """The store in memory; it counts the questions and can be made unavailable. What `overtaken_by` does comes
    after the store has answered and before anybody has the answer."""

    def __init__(self, near_cache):
        self.overtaken_by = None
        self.outages = Outages(forgives=timedelta(minutes=10))
        super().__init__(near_cache, outages=self.outages)
        self.missed = []
        self.loads = self.rereads = self.touches = 0
        self.is_away = False

    def _answer(self):
        if self.is_away:
            raise CannotAsk(Reason.STORE_UNAVAILABLE, "the store is away")

    async def load(self, ticket, *, now, before=None):
        self._answer()
        self.loads += 1
        answer = await super().load(ticket, now=now, before=before)
        if self.overtaken_by is not None:
            self.overtaken_by()
        return answer

    def reread(self, before, *, now, told):
        if self.is_away:
            told(CannotAsk(Reason.STORE_UNAVAILABLE, "the store is away"))
        else:
            self.rereads += 1
            answers = []
            super().reread(before, now=now, told=answers.append)
            if self.overtaken_by is not None:
                self.overtaken_by()
            told(*answers)

    def note_missed(self, ticket, *, now):
        self.missed.append((ticket, now))

    async def touch(self, ticket, *, now):
        self._answer()
        self.touches += 1
        await super().touch(ticket, now=now)


class UsedProofs(MemoryUsedProofs):
    is_away = False

    def _answer(self):
        if self.is_away:
            raise CannotAsk(Reason.STORE_UNAVAILABLE, "the store is away")

    async def use(self, proof):
        self._answer()
        return await super().use(proof)

    async def give_back(self, proof):
        self._answer()
        await super().give_back(proof)


class AccessFixture:
    def __init__(self, *, keeps_for=timedelta(seconds=5)):
        self.near_cache = NearCache(near_cache_for=keeps_for, silence=None)
        self.sessions = Sessions(self.near_cache)
        self.signer = Signer()
        self.begun = []
        self.accounts_seen = []
        self.used_proofs = UsedProofs(clock=lambda: NOW)
        self.access = Access(
            sessions=self.sessions,
            near_cache=self.near_cache,
            signer=self.signer,
            assertion_lifetime=LIFETIME,
            header_names={"acq": HeaderNames(), "b2b": HeaderNames()},
            spawn=self.begun.append,
            look_at_account=self.look_at_account,
            used_proofs=self.used_proofs,
        )
        self.ticket = new_ticket()

    async def look_at_account(self, session, now):
        self.accounts_seen.append((session.session_id, now))

    async def signed_in(self, ticket=None, **changes):
        ticket = ticket or self.ticket
        session = session_for(ticket, **changes)
        await self.sessions.create(ticket, session, browser="Firefox, Linux", now=NOW)
        return session

    async def background(self):
        begun, self.begun[:] = self.begun[:], []
        for work in begun:
            await work

    def now(self, path="/", at=NOW, *, method="GET", portal=ACQ, ticket=None, address=HOME):
        sender = Sender(ticket or self.ticket.text, address=address)
        return self.access.decide_now(portal, target(path, method, portal), sender, at)

    async def later(self, path="/", at=NOW, *, method="GET", portal=ACQ, ticket=None, address=HOME):
        sender = Sender(ticket or self.ticket.text, address=address)
        return await self.access.decide(portal, target(path, method, portal), sender, at)

    async def soon(self, path="/", at=NOW, *, method="GET", portal=ACQ, ticket=None, address=HOME):
        """As the edge asks. The store in memory answers at once."""
        asked = portal, target(path, method, portal), Sender(ticket or self.ticket.text, address=address), at
        told = []
        decision = self.access.decide_soon(*asked, told.append)
        if decision is not None:
            assert told == []
            return decision
        [decision] = told
        return decision or await self.access.decide(*asked)

    async def goes_on(
        self, path="/", at=NOW, *, portal=ACQ, ticket=None, opened_by=SOMEBODY, address=HOME, **what
    ):
        """Whether a tunnel that was opened by this session, or by nobody, may stay open."""
        sender = Sender(ticket or self.ticket.text, address=address)
        return await self.access.still_allowed(let_in(path, portal, opened_by), sender, at, **what)


def let_in(path="/", portal=ACQ, opened_by=SOMEBODY):
    """What is open."""
    route = portal.route(path, "GET")
    return Allowed(portal=portal, route=route, session=opened_by, identity_headers=b"")


def target(path, method="GET", portal=ACQ):
    return RequestTarget(method, portal.host, path, None)


@pytest.fixture
def house():
    made = AccessFixture()
    yield made
    for work in made.begun:
        work.close()


async def test_the_first_request_asks_the_store_and_the_next_ones_do_not(house):
    await house.signed_in()
    assert house.now() is None
    allowed = await house.later()
    assert isinstance(allowed, Allowed)
    assert b"X-Auth-Assertion: acq.1\r\n" in allowed.identity_headers
    assert house.now() is allowed
    assert (house.sessions.loads, house.access.hits, house.access.misses) == (1, 1, 1)


@pytest.mark.parametrize("is_strict", [False, True])
async def test_after_the_clock_was_set_back_activity_is_noted_at_once_and_then_every_tenth_of_the_idle_time(
    house, is_strict
):
    session = await house.signed_in()
    pause, back = session.idle_for / 10, NOW - timedelta(hours=1)
    path = "/strict" if is_strict else "/"
    for at, touches in (
        (back, 1),
        (back + pause / 2, 1),
        (back + pause, 2),
        (back + pause * 1.5, 2),
        (back - pause * 4, 3),
        (back - pause * 3.5, 3),
    ):
        assert isinstance(house.now(path, at) or await house.later(path, at), Allowed)
        await house.background()
        assert house.sessions.touches == touches, at


async def test_activity_is_noted_no_more_often_after_the_clock_was_set_back_where_nothing_may_be_remembered():
    """While no invalidations arrive, every request asks the store, and finds activity in the future each
    time."""
    house = AccessFixture(keeps_for=timedelta())
    session = await house.signed_in()
    pause, back = session.idle_for / 10, NOW - timedelta(hours=1)
    for at, touches in ((back, 1), (back + pause / 2, 1), (back + pause, 2), (back + pause * 1.5, 2)):
        assert isinstance(await house.later(at=at), Allowed)
        await house.background()
        assert house.sessions.touches == touches, at


async def test_the_account_behind_a_session_is_looked_at_beside_its_activity_and_before_no_answer(house):
    session = await house.signed_in(grant="secret")
    pause = session.idle_for / 10
    for at, looked_at in (
        (NOW, 0),
        (NOW + pause / 2, 0),
        (NOW + pause, 1),
        (NOW + pause, 1),
        (NOW + pause * 2, 2),
    ):
        assert isinstance(house.now(at=at) or await house.later(at=at), Allowed)
        await house.background()
        assert len(house.accounts_seen) == looked_at, at
    assert house.accounts_seen[0] == (session.session_id, NOW + pause)


async def test_a_session_without_the_providers_tokens_is_not_looked_at(house):
    session = await house.signed_in()
    await house.later(at=NOW + session.idle_for / 2)
    await house.background()
    assert (house.sessions.touches, house.accounts_seen) == (1, [])


async def test_whoever_asks_while_the_store_is_away_is_noted_as_active(house):
    await house.signed_in()
    house.sessions.is_away = True
    assert (await house.later(at=NOW + SECOND)).reason is Reason.STORE_UNAVAILABLE
    assert house.sessions.missed == [(house.ticket, NOW + SECOND)]


async def test_the_idle_end_that_people_are_shown_leaves_out_time_in_which_the_store_took_no_activity(house):
    session = await house.signed_in()
    house.sessions.outages.learn([Outage(NOW + SECOND, NOW + 61 * SECOND)], NOW)
    current = await house.access.current(
        portal_id="acq", ticket_text=house.ticket.text, now=NOW + timedelta(minutes=5)
    )
    assert current.idle_end == NOW + session.idle_for + 60 * SECOND


async def test_without_a_ticket_nobody_is_asked(house):
    for decision in (
        house.access.decide_now(ACQ, target("/"), Sender(), NOW),
        await house.access.decide(ACQ, target("/"), Sender(), NOW),
    ):
        assert decision == AuthenticationRequired(reason=Reason.NO_SESSION, portal=ACQ)
    assert (await house.later(ticket="garbage")).reason is Reason.NO_SESSION
    assert house.sessions.loads == 0


async def test_a_ticket_of_no_session_has_ended(house):
    assert await house.later() == AuthenticationRequired(reason=Reason.SESSION_ENDED, portal=ACQ)


async def test_a_path_under_two_rules_needs_what_both_demand(house):
    await house.signed_in()
    for denied in (await house.later("//high"), house.now("//high"), await house.later("/high;jsessionid=A")):
        assert (type(denied), denied.reason) == (Denied, Reason.LEVEL_TOO_LOW)
        assert denied.route.parts == (ACQ.route("/high", "GET"), ACQ.route("/", "GET"))
    allowed = await house.later("/x;jsessionid=A")
    assert (type(allowed), allowed.route) == (Allowed, ACQ.route("/", "GET"))


async def test_a_path_under_rules_that_nobody_can_meet_together_is_denied(house):
    await house.signed_in()
    for path in ("/acnlb;x", "/acnlb%3Bx"):
        assert (
            await house.later(path) == house.now(path) == Denied(reason=Reason.TARGET_AMBIGUOUS, portal=ACQ)
        )


@pytest.mark.parametrize(
    ("path", "reason"), [("/high", Reason.LEVEL_TOO_LOW), ("/acnlb", Reason.METHOD_NOT_ALLOWED_HERE)]
)
async def test_what_a_session_lacks_is_said_with_the_session(house, path, reason):
    session = await house.signed_in()
    denied = await house.later(path)
    assert (type(denied), denied.reason, denied.session, denied.route.path) == (Denied, reason, session, path)
    assert house.now(path) == denied
    assert house.signer.minted == 0


def pushed(at=NOW):
    return AuthenticationEvent(method="push", at=at, source="gateway", is_step_up=True)


async def test_who_lacks_a_fresh_proof_is_asked_for_one_and_that_is_activity(house):
    session = await house.signed_in()
    at = NOW + timedelta(minutes=2)
    required = await house.later("/payments", at=at)
    assert required == StepUpRequired(portal=ACQ, route=required.route, session=session)
    assert (required.route.name, required.reason) == ("acq/payments", Reason.STEP_UP_REQUIRED)
    assert house.now("/payments", at=at) == required
    await house.background()
    assert (house.signer.minted, house.sessions.touches) == (0, 1)


async def test_what_was_allowed_by_a_fresh_proof_ends_with_the_freshness_and_not_with_what_is_remembered(
    house,
):
    await house.signed_in(events=(pushed(at=NOW - FRESH_FOR + timedelta(seconds=2)),))
    assert isinstance(await house.later("/payments"), Allowed)
    for second, kind in ((0, Allowed), (1, Allowed), (2, Allowed), (3, StepUpRequired), (4, StepUpRequired)):
        assert isinstance(house.now("/payments", at=NOW + timedelta(seconds=second)), kind)
        assert isinstance(house.now("/", at=NOW + timedelta(seconds=second)), Allowed)
    assert (house.signer.minted, house.sessions.loads) == (1, 1)


async def test_a_proof_that_does_not_age_is_remembered_like_everything_else(house):
    await house.signed_in(events=(pushed(),))
    allowed = await house.later("/once")
    assert house.now("/once", at=NOW + timedelta(seconds=4)) is allowed


async def test_a_clock_that_jumps_two_minutes_takes_nobodys_proof_and_gives_nobody_one(house):
    await house.signed_in(events=(pushed(),))
    jump = timedelta(minutes=2)
    assert isinstance(await house.later("/payments", at=NOW - jump), Allowed)
    assert isinstance(await house.later("/payments", at=NOW + jump), Allowed)
    assert isinstance(await house.later("/payments", at=NOW + FRESH_FOR + jump), StepUpRequired)


async def test_a_proof_at_one_portal_helps_no_session_at_another(house):
    """One person, two sessions: the proof lives in the session that it was made in, and that session opens
    nothing elsewhere."""
    portal = replace(
        B2B, routes=(Route(name="b2b", path="/", requirement=Requirement(step_up=StepUp(methods=("push",)))),)
    )
    there = new_ticket()
    await house.signed_in(events=(pushed(),))
    await house.signed_in(there, portal="b2b")
    assert isinstance(await house.later("/once"), Allowed)
    assert isinstance(await house.later("/", portal=portal, ticket=there.text), StepUpRequired)
    assert (await house.later("/", portal=portal)).reason is Reason.SESSION_OF_ANOTHER_PORTAL
    assert isinstance(await house.later("/once", ticket=there.text), AuthenticationRequired)


async def test_a_proof_in_one_session_helps_no_other_session_of_the_same_person(house):
    other = new_ticket()
    await house.signed_in(events=(pushed(),))
    await house.signed_in(other)
    assert isinstance(await house.later("/payments"), Allowed)
    assert isinstance(await house.later("/payments", ticket=other.text), StepUpRequired)


async def test_a_session_of_another_portal_is_none_here(house):
    await house.signed_in()
    await house.later()
    assert house.now(portal=B2B) == AuthenticationRequired(
        reason=Reason.SESSION_OF_ANOTHER_PORTAL, portal=B2B
    )


async def test_being_allowed_one_method_of_a_path_allows_no_other(house):
    """The two routes for /orders have one name. What is remembered for GET must not answer for POST."""
    await house.signed_in()
    assert isinstance(await house.later("/orders"), Allowed)
    assert house.now("/orders", method="POST").reason is Reason.LEVEL_TOO_LOW


async def test_all_routes_share_one_assertion(house):
    await house.signed_in()
    await house.later("/")
    assert isinstance(house.now("/orders"), Allowed)
    assert house.signer.minted == 1


async def test_an_assertion_is_renewed_after_half_its_life(house):
    await house.signed_in()
    await house.later()
    for seconds, minted in ((1, 1), (29, 1), (30, 2), (59, 2), (60, 3)):
        assert isinstance(await house.later(at=NOW + timedelta(seconds=seconds)), Allowed)
        assert house.signer.minted == minted


async def test_an_assertion_is_renewed_also_where_a_session_is_remembered_for_longer_than_it_lives():
    house = AccessFixture(keeps_for=2 * LIFETIME)
    await house.signed_in()
    await house.later()
    for seconds, minted in ((29, 1), (30, 2), (59, 2), (60, 3)):
        assert isinstance(house.now(at=NOW + timedelta(seconds=seconds)), Allowed)
        assert house.signer.minted == minted


async def test_no_portal_gets_an_assertion_from_the_future_after_the_clock_was_set_back_a_little():
    house = AccessFixture(keeps_for=LIFETIME / 2)
    await house.signed_in()
    assert isinstance(await house.later("/high"), Denied)
    for seconds, minted in ((20, 1), (5, 2), (6, 2)):
        assert isinstance(house.now(at=NOW + timedelta(seconds=seconds)), Allowed)
        assert house.signer.minted == minted
    assert house.sessions.loads == 1


async def test_a_session_that_has_ended_lets_nobody_in_by_what_is_remembered_of_it(house):
    await house.signed_in()
    assert isinstance(await house.later("/strict"), Allowed)
    assert isinstance(await house.later(), Allowed)
    await house.sessions.revoke(house.ticket.session_id)
    for path in ("/", "/strict"):
        assert house.now(path) is None
        assert isinstance(await house.later(path), AuthenticationRequired)
    assert house.near_cache.remembered(house.ticket.text) is None


async def test_a_bound_assertion_is_minted_for_every_request_and_names_it(house):
    await house.signed_in()
    bound = replace(ACQ, binds_assertion=True)
    first = await house.later("/a", portal=bound)
    second = house.now("/b", method="POST", portal=bound)
    assert first.identity_headers != second.identity_headers
    assert (house.signer.minted, house.signer.bound_to) == (2, ("POST", "http://acq.example/b"))


async def test_a_strict_route_asks_the_store_every_time(house):
    await house.signed_in()
    for _ in range(2):
        assert house.now("/strict") is None
        assert isinstance(await house.later("/strict"), Allowed)
    assert house.sessions.loads == 2


async def test_a_session_that_has_not_changed_is_asked_for_without_being_loaded_again(house):
    await house.signed_in()
    first = await house.soon("/strict")
    assert isinstance(first, Allowed)
    for count in (1, 2):
        assert await house.soon("/strict") is first
        assert (house.sessions.loads, house.sessions.rereads) == (1, count)
    house.near_cache.forget_all()
    assert isinstance(await house.soon(), Allowed)
    assert (house.sessions.loads, house.sessions.rereads) == (1, 3)
    await house.soon()
    assert (house.access.hits, house.access.misses) == (1, 4)


async def test_activity_elsewhere_and_an_end_are_seen_by_whoever_asks_again(house):
    session = await house.signed_in()
    await house.soon("/strict")
    pause = session.idle_for / 10
    await house.sessions.touch(house.ticket, now=NOW + pause)
    assert isinstance(await house.soon("/strict", NOW + pause * 1.5), Allowed)
    assert house.begun == []
    assert house.sessions.loads == 1
    await house.sessions.revoke(session.session_id)
    asked_before = house.sessions.loads, house.sessions.rereads
    ended = await house.soon("/strict")
    assert ended == AuthenticationRequired(reason=Reason.SESSION_ENDED, portal=ACQ)
    assert house.near_cache.remembered(house.ticket.text) is None
    # One question says so, and no task asks another one.
    assert (house.sessions.loads, house.sessions.rereads) == (asked_before[0], asked_before[1] + 1)
    assert house.begun == []


@pytest.mark.parametrize("is_remembered", [False, True])
async def test_what_changes_while_the_answer_is_on_its_way_is_asked_for_again(house, is_remembered):
    session = await house.signed_in()
    if is_remembered:
        await house.soon()
        house.near_cache.forget_all()
    house.sessions.overtaken_by = lambda: house.near_cache.forget(session.session_id)
    assert isinstance(await house.soon(), Allowed)
    assert (house.sessions.loads, house.sessions.rereads) == (1, int(is_remembered))
    assert house.now() is None


async def test_a_decision_that_fails_after_the_question_fails_where_that_is_reported(house):
    await house.signed_in()
    bound = replace(ACQ, binds_assertion=True)
    assert isinstance(await house.soon("/strict", portal=bound), Allowed)

    def fails(*_, **__):
        raise ValueError("an identifier that cannot be written")

    house.signer.mint = fails
    told = []
    asked = bound, target("/strict"), Sender(house.ticket.text, address=HOME), NOW
    assert house.access.decide_soon(*asked, told.append) is None
    assert told == [None]
    with pytest.raises(ValueError, match="cannot be written"):
        await house.access.decide(*asked)


@pytest.mark.parametrize("is_remembered", [False, True])
async def test_a_store_that_cannot_be_asked_is_unavailable_and_not_signed_out(house, is_remembered):
    await house.signed_in()
    if is_remembered:
        await house.later()
        house.near_cache.forget_all()
    house.sessions.is_away = True
    for ask in (house.later, house.soon):
        assert await ask() == Unavailable(reason=Reason.STORE_UNAVAILABLE, portal=ACQ)
    assert house.sessions.missed == [(house.ticket, NOW)] * 2
    assert await house.soon("/closed") == await house.later("/closed")


async def test_a_signer_that_cannot_sign_is_unavailable(house):
    await house.signed_in()
    house.signer.is_away = True
    assert await house.later() == Unavailable(reason=Reason.SIGNER_UNAVAILABLE, portal=ACQ)
    house.signer.is_away = False
    assert isinstance(house.now(), Allowed)


async def test_the_idle_clock_is_told_at_most_every_tenth_of_the_idle_time(house):
    await house.signed_in(idle_for=timedelta(minutes=10))
    for second in range(0, 181, 3):
        at = NOW + timedelta(seconds=second)
        if house.now(at=at) is None:
            await house.later(at=at)
        await house.background()
    assert house.sessions.touches == 3


async def test_a_request_that_is_denied_is_activity_and_one_elsewhere_is_not(house):
    await house.signed_in()
    at = NOW + timedelta(minutes=2)
    await house.later(at=at, portal=B2B)
    assert house.begun == []
    await house.later("/high", at=at)
    await house.background()
    assert house.sessions.touches == 1


async def test_activity_that_cannot_be_noted_refuses_nobody(house):
    await house.signed_in()
    assert isinstance(await house.later(at=NOW + timedelta(minutes=2)), Allowed)
    house.sessions.is_away = True
    await house.background()
    assert house.sessions.touches == 0


async def test_a_tunnel_goes_on_while_its_session_does(house):
    session = await house.signed_in()

    assert await house.goes_on()
    assert not await house.goes_on("/high")
    assert not await house.goes_on(ticket="garbage")
    assert not await house.goes_on(portal=B2B)
    await house.sessions.revoke(session.session_id)
    assert not await house.goes_on()
    assert house.begun == []


async def test_a_tunnel_ends_with_the_freshness_that_its_route_demands(house):
    await house.signed_in(events=(pushed(),))
    for span, goes_on in ((FRESH_FOR, True), (FRESH_FOR + timedelta(seconds=1), False)):
        assert await house.goes_on("/payments", NOW + span) is goes_on


async def test_a_download_does_not_end_because_its_proof_has_aged_or_been_followed_by_another(house):
    session = await house.signed_in(events=(pushed(),))
    later = NOW + FRESH_FOR + SECOND

    async def goes_on(**what):
        return await house.goes_on("/payments", later, opened_by=session, **what)

    assert not await goes_on()
    assert await goes_on(is_finite=True)
    stronger = new_ticket()
    assert await house.sessions.rotate(
        house.ticket, stronger, replace(session, session_id=stronger.session_id), browser=None, now=NOW
    )
    assert not await goes_on()
    assert await goes_on(is_finite=True)
    await house.sessions.revoke(stronger.session_id)
    assert not await goes_on(is_finite=True)


async def test_another_session_of_the_same_person_keeps_no_download_open(house):
    session = await house.signed_in()
    other = new_ticket()
    for changes in (
        {"portal": "b2b"},
        {"started_at": NOW - SECOND},
        {"expires_at": session.expires_at + SECOND},
    ):
        await house.sessions.create(other, replace(session_for(other), **changes), browser="", now=NOW)
        await house.sessions.revoke(session.session_id)
        assert not await house.goes_on(opened_by=session, is_finite=True)


async def test_what_is_open_is_looked_at_without_the_store_while_the_near_cache_knows(house):
    session = await house.signed_in()

    def goes_on(path="/", ticket=house.ticket.text, opened_by=session, **what):
        return house.access.still_allowed_now(let_in(path, ACQ, opened_by), Sender(ticket), NOW, **what)

    assert goes_on() is None
    await house.later()
    loads = house.sessions.loads
    assert goes_on() is True
    assert goes_on("/high") is False
    assert goes_on(ticket=None) is False
    assert goes_on(ticket=None, opened_by=None) is True
    assert goes_on("/each") is goes_on("/each", is_finite=True) is True
    assert goes_on("/payments") is False
    assert house.sessions.loads == loads


@pytest.mark.parametrize(
    ("listed", "happens", "counts"),
    [
        ({"requests"}, "request", True),
        ({"streams", "websocket_messages"}, "request", False),
        ({"requests"}, "streams", False),
        ({"requests", "streams"}, "streams", True),
        ({"requests", "streams"}, "websocket_messages", False),
        ({"websocket_messages"}, "websocket_messages", True),
        ({"requests", "streams", "websocket_messages"}, None, False),
    ],
)
@pytest.mark.parametrize("is_near", [True, False])
async def test_only_what_the_portal_lists_keeps_a_session_from_being_idle(
    house, listed, happens, counts, is_near
):
    session = await house.signed_in(idle_for=timedelta(minutes=10))
    portal = replace(ACQ, activity=frozenset(listed))
    at = NOW + timedelta(minutes=2)
    if is_near:
        await house.later(at=NOW)
    for step in range(2):
        now = at + step * SECOND
        allowed = let_in("/", portal, session)
        if happens == "request":
            await house.later(at=now, portal=portal)
        elif (
            house.access.still_allowed_now(allowed, Sender(house.ticket.text), now, activity=happens) is None
        ):
            await house.access.still_allowed(allowed, Sender(house.ticket.text), now, activity=happens)
        await house.background()
    assert house.sessions.touches == int(counts)


async def test_the_cookies_of_a_portal_have_the_owner_whom_the_portal_sees(house):
    session = await house.signed_in()
    cookies = PersonalCookies(("JSESSIONID",), portal_id="acq", secret=bytes(32))
    for changes in ({}, {"binds_assertion": True}):
        portal = replace(ACQ, personal_cookies=cookies, routes=ACQ.routes[-1:], **changes)
        allowed = await house.later(portal=portal)
        assert allowed.cookie_owner == cookies.owner(session.person)
    assert (await house.later("/strict")).cookie_owner == b""


async def test_a_store_that_is_away_cuts_no_tunnel(house):
    house.sessions.is_away = True
    assert await house.goes_on()
    assert house.access.kept_open == 1


async def test_the_current_session_is_that_of_this_portal_only(house):
    session = await house.signed_in()
    asked = {"ticket_text": house.ticket.text, "now": NOW + timedelta(minutes=5)}
    current = await house.access.current(portal_id="acq", **asked)
    assert (current.session, current.last_active_at) == (session, NOW)
    assert await house.access.current(portal_id="b2b", **asked) is None
    assert await house.access.current(portal_id="acq", ticket_text=None, now=NOW) is None
    assert await house.access.current(portal_id="acq", ticket_text="garbage", now=NOW) is None
    assert house.sessions.touches == 0


async def test_only_ones_own_other_sessions_can_be_seen_and_ended(house):
    mine, other, stranger = new_ticket(), new_ticket(), new_ticket()
    own = await house.signed_in(mine)
    await house.signed_in(other)
    await house.signed_in(stranger, person=replace(own.person, subject="somebody else"))
    assert [one.session_id for one in await house.access.others(own, now=NOW)] == [other.session_id]
    assert not await house.access.end_other(own, stranger.session_id, now=NOW)
    assert not await house.access.end_other(own, mine.session_id, now=NOW)
    await house.signed_in(third := new_ticket())
    assert await house.access.end_other(own, other.session_id, now=NOW)
    assert await house.access.end_other(own, third.session_id, now=NOW)
    assert await house.access.others(own, now=NOW) == ()
    # Also when the person has no other session.
    assert not await house.access.end_other(own, stranger.session_id, now=NOW)


async def test_a_session_whose_ticket_nobody_has_been_given_is_ended(house):
    session = await house.signed_in()
    await house.access.discard(session)
    assert (await house.later()).reason is Reason.SESSION_ENDED


async def test_extending_slides_the_idle_end_and_never_the_absolute_one(house):
    session = await house.signed_in()
    later = NOW + session.idle_for - timedelta(seconds=1)
    extended = await house.access.extend(portal_id="acq", ticket_text=house.ticket.text, now=later)
    assert (extended.last_active_at, extended.session.expires_at) == (later, session.expires_at)
    at_the_end = session.expires_at
    assert await house.access.extend(portal_id="acq", ticket_text=house.ticket.text, now=at_the_end) is None


async def test_only_a_session_of_this_portal_can_be_extended(house):
    session = await house.signed_in()
    over = NOW + session.idle_for
    assert await house.access.extend(portal_id="acq", ticket_text=house.ticket.text, now=over) is None
    assert await house.access.extend(portal_id="b2b", ticket_text=house.ticket.text, now=NOW) is None
    assert await house.access.extend(portal_id="acq", ticket_text=None, now=NOW) is None
    assert house.sessions.touches == 0
    house.sessions.is_away = True
    with pytest.raises(CannotAsk):
        await house.access.extend(portal_id="acq", ticket_text=house.ticket.text, now=NOW)


# A proof for each request.


def bound(name, at=NOW, **changes):
    return replace(pushed(at), is_step_up=False, bound_to=name, **changes)


async def admitted(house, *events, binding="request", at=NOW, portal=ACQ, path="/each"):
    """The decision on a request for which these proofs were given."""
    if not await house.sessions.load(house.ticket, now=NOW):
        await house.signed_in(events=events)
    required = await house.later(path, at, portal=portal)
    assert isinstance(required, StepUpRequired)
    return await house.access.admit_once(required, target(path, portal=portal), binding, at)


async def test_a_proof_for_one_request_lets_in_that_request_once_and_the_portal_sees_it_there_only(house):
    first = await admitted(house, bound("request.1"))
    assert (type(first.decision), first.proof) == (Allowed, "request.1")
    assert b"X-Auth-Step-Up: push;at=" in first.decision.identity_headers
    assert not any(event.is_step_up for event in first.decision.session.events)
    again = await admitted(house)
    assert (type(again.decision), again.proof) == (StepUpRequired, "")
    assert b"X-Auth-Step-Up: -\r\n" in (await house.later("/")).identity_headers


@pytest.mark.parametrize(
    ("event", "at"),
    [
        (bound("another.1"), NOW),
        (bound("requested.1"), NOW),
        (bound("request.1", method="sms"), NOW),
        (bound("request.1"), NOW + timedelta(minutes=5, seconds=1)),
        (pushed(), NOW),
    ],
    ids=["another request's", "a longer name", "another method", "too old", "the session's"],
)
async def test_no_other_proof_lets_a_request_in(house, event, at):
    told = await admitted(house, event, at=at)
    assert (type(told.decision), told.proof) == (StepUpRequired, "")


async def test_of_several_proofs_for_one_request_each_is_used_once_the_newest_first(house):
    proofs = (bound("request.1"), bound("request.2", at=NOW + SECOND))
    told = [await admitted(house, *proofs, at=NOW + SECOND) for _ in range(3)]
    assert [each.proof for each in told] == ["request.2", "request.1", ""]
    assert [each.decision.identity_headers.count(b"push;at=") for each in told[:2]] == [1, 1]


async def test_a_bound_assertion_names_the_request_that_was_proved(house):
    told = await admitted(house, bound("request.1"), portal=replace(ACQ, binds_assertion=True))
    assert (type(told.decision), house.signer.bound_to) == (Allowed, ("GET", "http://acq.example/each"))
    house.signer.bound_to = None
    await house.access.give_back(told.proof)
    assert isinstance((await admitted(house)).decision, Allowed)
    assert house.signer.bound_to is None


async def test_while_nobody_can_say_whether_a_proof_was_used_it_lets_nobody_in(house):
    house.used_proofs.is_away = True
    told = await admitted(house, bound("request.1"))
    assert told.decision == Unavailable(reason=Reason.STORE_UNAVAILABLE, portal=ACQ)
    await house.access.give_back("request.1")  # nor does it fail what has failed already
    house.access = Access(
        sessions=house.sessions,
        near_cache=house.near_cache,
        signer=house.signer,
        assertion_lifetime=LIFETIME,
        header_names={"acq": HeaderNames()},
        spawn=house.begun.append,
    )
    assert isinstance((await admitted(house)).decision, StepUpRequired)


async def test_a_proof_is_not_used_up_while_the_signer_is_away(house):
    house.signer.is_away = True
    assert (await admitted(house, bound("request.1"))).decision == Unavailable(
        reason=Reason.SIGNER_UNAVAILABLE, portal=ACQ
    )
    house.signer.is_away = False
    assert isinstance((await admitted(house)).decision, Allowed)


async def test_a_proof_whose_request_was_not_sent_is_good_for_it_still(house):
    told = await admitted(house, bound("request.1"))
    await house.access.give_back(told.proof)
    assert (await admitted(house)).proof == "request.1"


async def test_a_tunnel_that_was_let_in_by_a_proof_of_its_own_goes_on_while_its_session_does(house):
    session = await house.signed_in()
    assert await house.goes_on("/each")
    assert not await house.goes_on("/payments")
    await house.sessions.revoke(session.session_id)
    assert not await house.goes_on("/each")


async def test_a_public_route_lets_everybody_in_as_nobody_and_asks_no_store_about_them(house):
    for decision in (
        house.access.decide_now(ACQ, target("/open/logo.svg"), Sender(), NOW),
        await house.access.decide(ACQ, target("/open/logo.svg"), Sender(), NOW),
        await house.later("/open/logo.svg", ticket="garbage"),
    ):
        assert isinstance(decision, Allowed)
        assert (decision.session, decision.route.name) == (None, "acq/open")
        lines = decision.identity_headers.split(b"\r\n")
        assert len(lines) == 9
        assert all(line.endswith(b": -") for line in lines[:-1])
        assert b"Assertion" not in decision.identity_headers
    assert (house.sessions.loads, house.signer.minted) == (0, 0)


@pytest.mark.parametrize("why", ["no such session", "another portal", "no member of the register"])
async def test_somebody_without_a_session_that_counts_here_is_nobody_on_a_public_route(house, why):
    portal = replace(ACQ, members="register") if why == "no member of the register" else ACQ
    if why != "no such session":
        await house.signed_in(portal="b2b" if why == "another portal" else "acq")
    allowed = await house.later("/open", portal=portal)
    assert (type(allowed), allowed.session) == (Allowed, None)
    assert isinstance(await house.later("/", portal=portal), AuthenticationRequired | Denied)


async def test_a_public_route_tells_the_portal_who_is_signed_in_and_of_which_level_they_are(house):
    session = await house.signed_in(level=Level.LOW)
    allowed = await house.later("/open")
    assert allowed.session == session
    assert b"X-Auth-Level: 10\r\n" in allowed.identity_headers
    assert b"X-Auth-Assertion: acq.1\r\n" in allowed.identity_headers
    assert house.now("/open") == allowed


async def test_requests_for_public_parts_keep_no_session_alive(house):
    session = await house.signed_in()
    for minutes in (2, 4, 6, 14):
        at = NOW + timedelta(minutes=minutes)
        assert isinstance(house.now("/open", at=at) or await house.later("/open", at=at), Allowed)
    house.sessions.is_away = True
    assert isinstance(await house.later("/open", at=NOW + timedelta(minutes=14, seconds=30)), Unavailable)
    assert (house.begun, house.sessions.missed) == ([], [])
    house.sessions.is_away = False
    ended = await house.later("/open", at=NOW + session.idle_for)
    assert ended.session is None
    assert isinstance(await house.later("/", at=NOW + session.idle_for), AuthenticationRequired)


async def test_an_outage_makes_nobody_of_somebody_on_a_public_route(house):
    await house.signed_in()
    house.sessions.is_away = True
    assert await house.later("/open") == Unavailable(reason=Reason.STORE_UNAVAILABLE, portal=ACQ)
    assert isinstance(house.access.decide_now(ACQ, target("/open"), Sender(), NOW), Allowed)
    house.sessions.is_away = False
    house.signer.is_away = True
    assert (await house.later("/open")).reason is Reason.SIGNER_UNAVAILABLE


async def test_a_closed_route_lets_nobody_in_and_asks_nobody_to_sign_in(house):
    denied = house.access.decide_now(ACQ, target("/closed"), Sender(), NOW)
    assert (type(denied), denied.reason, denied.session) == (Denied, Reason.ACCESS_DENIED_HERE, None)
    assert (await house.later("/closed", ticket="garbage")).reason is Reason.ACCESS_DENIED_HERE
    house.sessions.is_away = True
    assert (await house.later("/closed")).reason is Reason.ACCESS_DENIED_HERE
    house.sessions.is_away = False
    session = await house.signed_in()
    assert (await house.later("/closed")).session == session


async def test_what_is_allowed_from_one_address_is_not_repeated_for_another(house):
    await house.signed_in()
    assert isinstance(await house.later("/inside", address=OFFICE), Allowed)
    assert isinstance(house.now("/inside", address=OFFICE), Allowed)
    assert house.now("/inside", address=HOME).reason is Reason.NETWORK_NOT_ALLOWED
    assert house.now("/inside", address="").reason is Reason.NETWORK_NOT_ALLOWED
    assert isinstance(house.now("/inside", address=OFFICE), Allowed)


async def test_somebody_from_a_wrong_network_is_not_asked_to_sign_in(house):
    for path in ("/inside", "/open-inside"):
        outside = house.access.decide_now(ACQ, target(path), Sender(address=HOME), NOW)
        assert (type(outside), outside.reason) == (Denied, Reason.NETWORK_NOT_ALLOWED)
        assert (await house.later(path, address=HOME)).reason is Reason.NETWORK_NOT_ALLOWED
    inside = house.access.decide_now(ACQ, target("/inside"), Sender(address=OFFICE), NOW)
    assert isinstance(inside, AuthenticationRequired)
    assert isinstance(
        house.access.decide_now(ACQ, target("/open-inside"), Sender(address=OFFICE), NOW), Allowed
    )


async def test_a_tunnel_of_nobody_goes_on_and_one_of_somebody_ends_with_their_session_on_a_public_route(
    house,
):
    session = await house.signed_in()
    assert await house.goes_on("/open")
    await house.sessions.revoke(session.session_id)
    assert not await house.goes_on("/open")
    assert await house.goes_on("/open", opened_by=None)


@pytest.mark.parametrize("max_age", [timedelta(0), FRESH_FOR])
async def test_nobody_is_asked_for_a_proof_where_address_or_role_keep_them_out(house, max_age):
    await house.signed_in()
    step_up = StepUp(methods=("push",), max_age=max_age)
    here = frozenset({ip_network("10.0.0.0/8")})
    pay = Route(
        name="acq/pay",
        path="/pay",
        requirement=Requirement(step_up=step_up, networks=(here,), roles=(frozenset({"clerk"}),)),
    )
    portal = replace(ACQ, routes=(pay,))
    assert (await house.later("/pay", portal=portal, address=HOME)).reason is Reason.NETWORK_NOT_ALLOWED
    assert (await house.later("/pay", portal=portal, address=OFFICE)).reason is Reason.ROLE_MISSING
    clerk = new_ticket()
    await house.signed_in(clerk, roles=("clerk",))
    asked = {"portal": portal, "ticket": clerk.text}
    assert isinstance(await house.later("/pay", address=OFFICE, **asked), StepUpRequired)
    assert (await house.later("/pay", address=HOME, **asked)).reason is Reason.NETWORK_NOT_ALLOWED


async def test_a_tunnel_ends_when_its_sender_is_barred(house):
    await house.signed_in()
    assert await house.goes_on("/inside", address=OFFICE)
    assert not await house.goes_on("/inside", address=HOME)
    assert not await house.goes_on("/closed")


@pytest.mark.parametrize("seed", range(20))
async def test_what_is_remembered_changes_no_decision(seed):
    """Several people at two portals, by turns, from several addresses, at paths with one or several rules,
    while proofs age and sessions end."""
    chance = Random(seed)
    tickets = [new_ticket() for _ in range(4)]
    nothing = timedelta()
    houses = AccessFixture(), *(AccessFixture(keeps_for=nothing) for _ in range(2)), AccessFixture()
    for house in houses:
        proof = AuthenticationEvent(method="push", at=NOW, source="onepass", is_step_up=True)
        await house.signed_in(tickets[0], events=(proof,))
        await house.signed_in(tickets[1], level=Level.HIGH)
        await house.signed_in(tickets[2], portal="b2b")
    paths = [chance.choice(ROUTES).path + chance.choice(["", "", "/x", ";v=1", "//y"]) for _ in range(3)]
    at = NOW
    for _ in range(60):
        at += chance.choice([0] * 16 + [1, 4, 29, 150]) * SECOND
        ticket, path = chance.choice(tickets[:1] * 3 + tickets), chance.choice(paths)
        asked = {
            "method": chance.choice(["GET", "GET", "POST"]),
            "portal": chance.choice([ACQ, ACQ, ACQ, B2B]),
            "ticket": ticket.text,
            "address": chance.choice([HOME, OFFICE, ""]),
        }
        ends = chance.random() < 0.02
        answers = []
        for house in houses:
            if ends:
                await house.sessions.revoke(ticket.session_id)
            if house in houses[2:]:
                decision = await house.soon(path, at, **asked)
            else:
                decision = house.now(path, at, **asked) or await house.later(path, at, **asked)
            await house.background()
            route, session = getattr(decision, "route", None), getattr(decision, "session", None)
            answers.append(
                (
                    type(decision),
                    getattr(decision, "reason", None),
                    route and (route.name, route.methods),
                    session and (session.session_id, session.portal),
                )
            )
        assert answers == answers[:1] * 4, (path, asked)
    assert houses[0].access.hits
    assert houses[2].sessions.rereads
