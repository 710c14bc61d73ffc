"""Which programs come in, what is remembered of their credentials and for how long, and what ends it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_network

import pytest

from authproxy.access.decision import (
    Allowed,
    AuthenticationRequired,
    Denied,
    Reason,
    Unavailable,
)
from authproxy.access.header_names import HeaderNames
from authproxy.access.personal_cookies import PersonalCookies
from authproxy.access.routes import MachineDemand, Portal, Requirement, Route
from authproxy.access.sender import Sender
from authproxy.access.target import RequestTarget
from authproxy.access.unavailable import CannotAsk
from authproxy.flows import machines as flow
from authproxy.flows.access import Access
from authproxy.flows.machines import MachineIdentity, MachineReports, Machines
from authproxy.identity.machine_client import key_id_of, key_text
from authproxy.oidc.access_token import AccessToken
from authproxy.oidc.refused import TokenRefused
from authproxy.storage.memory import MemoryMachineKeys, MemoryPeople, MemorySessions
from authproxy.storage.near_cache import NearCache
from authproxy.telemetry.audit import Audit
from authproxy.telemetry.metrics import Metrics
from authproxy.web.rates import Rates
from tests.support.machine_builders import KEY_ID, KEY_TEXT, api_key
from tests.support.people_builders import ANA
from tests.support.session_builders import NOW, new_ticket, session_for

BOTH = Requirement(machines=MachineDemand(tokens=True, keys=True))
ROUTES = (
    Route(name="acq/uvoz", path="/uvoz", requirement=BOTH),
    Route(name="acq/keys", path="/keys", requirement=Requirement(machines=MachineDemand(keys=True))),
    Route(name="acq/strict", path="/strict", requirement=BOTH, strict=True),
    Route(name="acq/closed", path="/closed", requirement=BOTH, access="deny"),
    Route(name="acq/open", path="/open", requirement=Requirement(), access="public"),
    Route(name="acq/known", path="/known", requirement=BOTH, access="public"),
    Route(
        name="acq/office",
        path="/office",
        requirement=replace(BOTH, networks=(frozenset({ip_network("203.0.113.0/24")}),)),
    ),
    Route(name="acq", path="/", requirement=Requirement()),
)
ACQ = Portal(
    portal_id="acq",
    origin="https://acq.example",
    host="acq.example",
    routes=ROUTES,
    machines=MachineDemand(tokens=True, keys=True),
)
PLAIN = replace(ACQ, portal_id="b2b", machines=None)
SECOND = timedelta(seconds=1)
KEPT_FOR = 5 * SECOND
TOKEN = "a.programs.token"
REMEMBERED = flow.TOKEN_REMEMBERED_FOR


class Issuer:
    """Believes one token; counts, and can be away."""

    def __init__(self):
        self.asked = 0
        self.is_away = False
        self.ends_at = NOW + timedelta(minutes=10)
        self.now = NOW

    async def verified(self, text):
        self.asked += 1
        if self.is_away:
            raise CannotAsk(Reason.PROVIDER_UNAVAILABLE, "the issuer is away")
        if text != TOKEN or self.now >= self.ends_at:
            raise TokenRefused("access token: the signature is wrong")
        return AccessToken(client_id="batch", scopes=frozenset(), ends_at=self.ends_at)


class Keys(MemoryMachineKeys):
    def __init__(self, near_cache):
        super().__init__(near_cache)
        self.finds = 0
        self.is_away = False
        self.is_overtaken = False

    async def find(self, key_id):
        self.finds += 1
        if self.is_away:
            raise CannotAsk(Reason.STORE_UNAVAILABLE, "the store is away")
        found = await super().find(key_id)
        if self.is_overtaken:
            await self.revoke(key_id)
        return found


class Signer:
    def __init__(self):
        self.minted = 0
        self.bound_to = None
        self.is_away = False

    def mint_for_machine(self, client_id, *, portal_id, now, bound_to=None):
        if self.is_away:
            raise CannotAsk(Reason.SIGNER_UNAVAILABLE, "the key is away")
        self.minted += 1
        self.bound_to = bound_to
        return f"{client_id}.{portal_id}.{self.minted}"

    def mint(self, session, *, portal_id, now, bound_to=None):
        return "of-a-person"


class MachinesFixture:
    def __init__(
        self, *, kept_for=KEPT_FOR, silence=None, limit=0, audit_works=True, has_issuer=True, most=9
    ):
        self.near_cache = NearCache(near_cache_for=KEPT_FOR, silence=silence)
        self.keys, self.issuer, self.signer = Keys(self.near_cache), Issuer(), Signer()
        self.people = MemoryPeople()
        self.lines, self.metrics = [], Metrics(version="1")
        audit = Audit(
            self.lines.append,
            clock=lambda: NOW,
            person_key=b"k" * 32,
            is_required=not audit_works,
            works=lambda: audit_works,
        )
        names = {"acq": HeaderNames(), "b2b": HeaderNames()}
        self.machines = Machines(
            keys=self.keys,
            people=self.people,
            key_changes=self.near_cache,
            keys_remembered_for=kept_for,
            issuer=self.issuer if has_issuer else None,
            limit=Rates({"machines": limit}),
            identity=MachineIdentity(
                signer=self.signer, assertion_lifetime=timedelta(seconds=60), header_names=names
            ),
            reports=MachineReports(audit=audit, metrics=self.metrics, most_told=most),
            most_remembered=most,
        )
        self.sessions = MemorySessions(self.near_cache)
        self.access = Access(
            sessions=self.sessions,
            near_cache=self.near_cache,
            signer=self.signer,
            assertion_lifetime=timedelta(seconds=60),
            header_names=names,
            spawn=lambda work: work.close(),
            machines=self.machines,
        )

    async def add(self, **changes):
        await self.keys.add(api_key(**changes), now=NOW)

    def sender(self, credential, *, ticket=None, address="10.1.2.3", scheme=b"Bearer "):
        authorization = [] if credential is None else [scheme + credential.encode()]
        return Sender(ticket, address=address, authorization=authorization)

    async def ask(self, credential=KEY_TEXT, path="/uvoz", at=NOW, *, portal=ACQ, method="GET", **sent):
        sender, target = self.sender(credential, **sent), RequestTarget(method, portal.host, path, None)
        self.issuer.now = at
        decision = self.access.decide_now(portal, target, sender, at)
        return decision or await self.access.decide(portal, target, sender, at)

    @property
    def events(self):
        return [json.loads(line) for line in self.lines]


@pytest.fixture
async def house():
    made = MachinesFixture()
    await made.add()
    return made


def is_allowed(decision, client="batch"):
    assert isinstance(decision, Allowed), decision
    assert (decision.session, decision.machine.client_id) == (None, client)
    return decision


def is_denied(decision, reason, error=None):
    assert isinstance(decision, Denied), decision
    assert (decision.reason, decision.bearer_error, decision.session) == (reason, error, None)


@pytest.mark.parametrize("credential", [KEY_TEXT, TOKEN])
async def test_a_genuine_credential_lets_the_program_in_as_itself(house, credential):
    allowed = is_allowed(await house.ask(credential))
    assert b"X-Auth-Subject: batch\r\n" in allowed.identity_headers
    assert b"X-Auth-Method: machine\r\nX-Auth-Level: 0\r\n" in allowed.identity_headers
    assert b"X-Auth-Assertion: batch.acq.1\r\n" in allowed.identity_headers


async def test_a_remembered_credential_asks_nobody_and_signs_nothing_for_a_while(house):
    for number in range(50):
        for credential in (KEY_TEXT, TOKEN):
            is_allowed(await house.ask(credential, at=NOW + number * SECOND / 11))
    assert (house.keys.finds, house.issuer.asked, house.signer.minted) == (1, 1, 2)
    is_allowed(await house.ask(at=NOW + KEPT_FOR))
    is_allowed(await house.ask(TOKEN, at=NOW + REMEMBERED - SECOND))
    assert (house.keys.finds, house.issuer.asked) == (2, 1)
    is_allowed(await house.ask(TOKEN, at=NOW + REMEMBERED))
    assert house.issuer.asked == 2


async def test_an_assertion_is_used_for_half_its_lifetime_also_if_the_key_is_read_anew(house):
    for seconds, minted in ((0, 1), (6, 1), (29, 1), (30, 2)):
        is_allowed(await house.ask(at=NOW + seconds * SECOND))
        assert house.signer.minted == minted


async def test_a_revoked_key_is_refused_by_the_next_request(house):
    is_allowed(await house.ask())
    await house.keys.revoke(KEY_ID)
    is_denied(await house.ask(), Reason.MACHINE_TOKEN_INVALID, "invalid_token")


async def test_a_key_that_changed_while_it_was_read_is_not_remembered(house):
    house.keys.is_overtaken = True
    is_allowed(await house.ask())
    is_denied(await house.ask(), Reason.MACHINE_TOKEN_INVALID, "invalid_token")


async def test_while_the_channel_of_changes_is_silent_every_request_asks_the_store():
    house = MachinesFixture(silence=SECOND)
    await house.add()
    for _ in range(3):
        is_allowed(await house.ask())
    assert house.keys.finds == 3
    house.near_cache.heard(NOW)
    for _ in range(3):
        is_allowed(await house.ask())
    assert house.keys.finds == 4
    for _ in range(3):
        is_allowed(await house.ask(at=NOW + 2 * SECOND))
    assert house.keys.finds == 7


async def test_a_clock_that_was_set_back_makes_nothing_look_young(house):
    is_allowed(await house.ask())
    is_allowed(await house.ask(at=NOW - timedelta(hours=1)))
    assert house.keys.finds == 2
    assert house.signer.minted == 2


async def test_a_strict_route_and_a_near_cache_of_no_length_ask_every_time(house):
    for _ in range(2):
        is_allowed(await house.ask(path="/strict"))
    assert house.keys.finds == 2
    never = MachinesFixture(kept_for=timedelta())
    await never.add()
    for _ in range(2):
        is_allowed(await never.ask())
    assert never.keys.finds == 2


@pytest.mark.parametrize("credential", [KEY_TEXT, TOKEN])
async def test_a_credential_ends_to_the_second_also_if_it_is_remembered(house, credential):
    end = NOW + 3 * SECOND
    house.issuer.ends_at = end
    await house.add(ends_at=end)
    is_allowed(await house.ask(credential))
    is_allowed(await house.ask(credential, at=end - SECOND / 10))
    is_denied(await house.ask(credential, at=end), Reason.MACHINE_TOKEN_INVALID, "invalid_token")


async def test_a_portal_that_binds_its_assertions_gets_one_for_each_request(house):
    binding = replace(ACQ, binds_assertion=True)
    for number in (1, 2):
        is_allowed(await house.ask(portal=binding, method="POST"))
        assert (house.signer.minted, house.signer.bound_to) == (number, ("POST", "https://acq.example/uvoz"))


@pytest.mark.parametrize(
    ("authorization", "error"),
    [
        ([b"Bearer " + key_text(bytes(32)).encode()], "invalid_token"),
        ([b"Bearer authproxy_"], "invalid_token"),
        ([b"Bearer " + KEY_TEXT[:-1].encode()], "invalid_token"),
        ([b"Bearer " + KEY_TEXT.upper().encode()], "invalid_token"),
        ([b"Bearer another.token.x"], "invalid_token"),
        ([b"Bearer"], "invalid_request"),
        ([b"Bearer a b"], "invalid_request"),
        ([b"Bearer " + KEY_TEXT.encode()] * 2, "invalid_request"),
        ([b"Bearer " + KEY_TEXT.encode(), b"Basic x"], "invalid_request"),
    ],
)
async def test_a_credential_that_is_not_genuine_or_not_alone_lets_nobody_in(house, authorization, error):
    target = RequestTarget("GET", ACQ.host, "/uvoz", None)
    sender = Sender(authorization=authorization)
    decision = house.access.decide_now(ACQ, target, sender, NOW)
    decision = decision or await house.access.decide(ACQ, target, sender, NOW)
    is_denied(decision, Reason.MACHINE_TOKEN_INVALID, error)


@pytest.mark.parametrize("credential", [KEY_TEXT, TOKEN, "wrong"])
async def test_beside_a_session_cookie_no_credential_counts_and_no_cookie(house, credential):
    ticket = new_ticket()
    await house.sessions.create(ticket, session_for(ticket), browser="", now=NOW)
    for cookie in (ticket.text, "1.made.up"):
        decision = await house.ask(credential, ticket=cookie)
        is_denied(decision, Reason.MACHINE_TOKEN_INVALID, "invalid_request")


async def test_a_person_comes_in_as_before_where_programs_may_and_where_not(house):
    ticket = new_ticket()
    await house.sessions.create(ticket, session_for(ticket), browser="", now=NOW)
    for path, credential in (
        ("/uvoz", None),
        ("/", KEY_TEXT),
        ("/", "of.the.portal"),
        ("/keys", "of.the.portal"),
    ):
        decision = await house.ask(credential, path, ticket=ticket.text)
        assert isinstance(decision, Allowed), path
        assert (decision.machine, decision.session.session_id) == (None, ticket.session_id)


async def test_without_a_credential_a_route_for_programs_asks_to_sign_in(house):
    for sender in ({}, {"scheme": b"Basic "}):
        decision = await house.ask(None if not sender else "YTpi", **sender)
        assert isinstance(decision, AuthenticationRequired)
        assert decision.reason is Reason.NO_SESSION


async def test_elsewhere_a_genuine_credential_is_refused_by_its_name_and_a_wrong_one_is_nobodys(house):
    for credential in (KEY_TEXT, TOKEN):
        is_denied(await house.ask(credential, "/"), Reason.MACHINE_NOT_ALLOWED_HERE, "insufficient_scope")
    for credential in ("wrong", key_text(bytes(32)), ""):
        decision = await house.ask(credential, "/")
        assert isinstance(decision, AuthenticationRequired)
    assert house.events[-1]["reason"] == "machine_not_allowed_here"


async def test_a_portal_without_programs_looks_at_no_credential(house):
    decision = await house.ask(portal=PLAIN)
    assert isinstance(decision, AuthenticationRequired)
    assert (house.keys.finds, house.issuer.asked, house.events) == (0, 0, [])


async def test_closed_parts_and_networks_hold_for_programs_before_their_credential_is_looked_at(house):
    is_denied(await house.ask(path="/closed"), Reason.ACCESS_DENIED_HERE)
    is_denied(await house.ask(path="/office"), Reason.NETWORK_NOT_ALLOWED)
    assert house.keys.finds == 0
    is_allowed(await house.ask(path="/office", address="203.0.113.9"))


async def test_an_open_part_is_for_nobody_in_particular_unless_it_names_programs(house):
    unknown = await house.ask(path="/open")
    assert isinstance(unknown, Allowed)
    assert (unknown.machine, house.keys.finds) == (None, 0)
    is_allowed(await house.ask(path="/known"))
    nobody = await house.ask(None, "/known")
    assert isinstance(nobody, Allowed)
    assert nobody.machine is None


async def test_what_cannot_be_asked_lets_nobody_in_and_blames_nobody(house):
    house.keys.is_away = house.issuer.is_away = True
    for credential, reason in (
        (KEY_TEXT, Reason.STORE_UNAVAILABLE),
        (TOKEN, Reason.PROVIDER_UNAVAILABLE),
    ):
        for path in ("/uvoz", "/"):
            decision = await house.ask(credential, path)
            assert isinstance(decision, Unavailable)
            assert decision.reason is reason
    assert house.events == []
    house.keys.is_away = house.issuer.is_away = False
    house.signer.is_away = True
    assert (await house.ask()).reason is Reason.SIGNER_UNAVAILABLE


async def test_nobody_is_let_in_while_what_must_be_recorded_cannot_be():
    deaf = MachinesFixture(audit_works=False)
    await deaf.add()
    decision = await deaf.ask()
    assert isinstance(decision, Unavailable)
    assert decision.reason is Reason.AUDIT_UNAVAILABLE


async def test_too_many_wrong_credentials_of_one_address_are_told_to_wait_and_right_ones_never():
    house = MachinesFixture(limit=3, kept_for=timedelta())
    await house.add()
    for _ in range(3):
        is_denied(await house.ask("wrong"), Reason.MACHINE_TOKEN_INVALID, "invalid_token")
    told = len(house.lines)
    is_denied(await house.ask("wrong"), Reason.TOO_MANY_REQUESTS)
    assert len(house.lines) == told
    is_allowed(await house.ask())
    is_allowed(await house.ask(TOKEN))
    is_denied(await house.ask("wrong", address="10.9.9.9"), Reason.MACHINE_TOKEN_INVALID, "invalid_token")
    is_denied(await house.ask("wrong", at=NOW + 20 * SECOND), Reason.MACHINE_TOKEN_INVALID, "invalid_token")


async def test_coming_in_is_told_once_an_hour_and_each_refusal_of_an_address_once_a_minute(house):
    for minutes in (0, 1, 59, 60, 61):
        at = NOW + timedelta(minutes=minutes)
        house.issuer.ends_at = at + timedelta(minutes=10)
        for _ in range(3):
            await house.ask(at=at)
            await house.ask("wrong", at=at)
    told = [event["event"] for event in house.events]
    assert (told.count("machine.admitted"), told.count("machine.refused")) == (2, 5)
    assert house.events[0]["detail"] == f"batch, key {KEY_ID}"
    assert house.metrics.machine_requests["acq", "key", ""] == 15
    assert house.metrics.machine_requests["acq", "", "machine_token_invalid"] == 15
    assert {event["detail"] for event in house.events[1:2]} == {"access token: the signature is wrong"}


async def test_what_is_told_and_remembered_does_not_grow_without_end():
    house = MachinesFixture(most=3)
    for number in range(8):
        text = key_text(bytes([number] * 32))
        await house.add(key_id=key_id_of(text), client_id=f"c{number}")
        is_allowed(await house.ask(text), f"c{number}")
    assert len(house.machines._known) == 3
    assert len(house.machines._reports._told) <= 3


async def opened(house, credential):
    allowed = is_allowed(await house.ask(credential))
    return allowed, house.sender(credential)


async def goes_on(house, allowed, sender, at=NOW, **what):
    house.issuer.now = at
    now = house.access.still_allowed_now(allowed, sender, at, **what)
    return await house.access.still_allowed(allowed, sender, at, **what) if now is None else now


async def test_what_a_program_has_opened_ends_when_its_key_is_revoked(house):
    allowed, sender = await opened(house, KEY_TEXT)
    assert await goes_on(house, allowed, sender)
    assert await goes_on(house, allowed, sender, at=NOW + 6 * SECOND)
    await house.keys.revoke(KEY_ID)
    assert not await goes_on(house, allowed, sender)
    assert not await goes_on(house, allowed, sender, is_finite=True)


@pytest.mark.parametrize("credential", [KEY_TEXT, TOKEN])
async def test_a_stream_ends_with_the_time_of_its_credential_and_a_download_does_not(house, credential):
    end = NOW + timedelta(minutes=2)
    house.issuer.ends_at = end
    await house.add(ends_at=end)
    allowed, sender = await opened(house, credential)
    assert await goes_on(house, allowed, sender, at=end - SECOND)
    assert not await goes_on(house, allowed, sender, at=end)
    assert await goes_on(house, allowed, sender, at=end, is_finite=True)


@pytest.mark.parametrize("credential", [KEY_TEXT, TOKEN])
async def test_while_nobody_can_be_asked_it_goes_on_until_the_end_of_its_credential(house, credential):
    end = NOW + timedelta(minutes=10)
    await house.add(ends_at=end)
    allowed, sender = await opened(house, credential)
    house.keys.is_away = house.issuer.is_away = True
    assert await goes_on(house, allowed, sender, at=end - SECOND)
    assert not await goes_on(house, allowed, sender, at=end)


async def test_a_request_without_its_credential_keeps_nothing_open(house):
    allowed, _ = await opened(house, KEY_TEXT)
    assert not await goes_on(house, allowed, Sender())
    elsewhere = replace(allowed, route=ROUTES[-1])
    assert not await goes_on(house, elsewhere, house.sender(KEY_TEXT))


async def test_without_an_issuer_no_token_is_believed():
    house = MachinesFixture(has_issuer=False)
    await house.add()
    is_denied(await house.ask(TOKEN), Reason.MACHINE_TOKEN_INVALID, "invalid_token")
    is_allowed(await house.ask())


@pytest.mark.parametrize("credential", [KEY_TEXT, TOKEN])
async def test_a_program_with_the_id_of_a_person_of_the_register_is_refused(house, credential):
    """Old portals read the subject alone."""
    assert await house.people.take_over([replace(ANA, member_id="batch")], revision=0, departures=())
    is_denied(await house.ask(credential), Reason.MACHINE_TOKEN_INVALID, "invalid_token")
    assert "a person of the register has this id" in house.events[-1]["detail"]


async def test_the_second_question_judges_by_the_same_rules_as_the_first(house):
    """Also if it is asked alone."""
    target = RequestTarget("GET", ACQ.host, "/uvoz", None)
    both = house.sender(KEY_TEXT, ticket="1.made.up")
    is_denied(
        await house.access.decide(ACQ, target, both, NOW), Reason.MACHINE_TOKEN_INVALID, "invalid_request"
    )
    closed = RequestTarget("GET", ACQ.host, "/closed", None)
    is_denied(await house.access.decide(ACQ, closed, house.sender(KEY_TEXT), NOW), Reason.ACCESS_DENIED_HERE)
    malformed = Sender(authorization=[b"Bearer a b"])
    decision = await house.access.decide(ACQ, target, malformed, NOW)
    is_denied(decision, Reason.MACHINE_TOKEN_INVALID, "invalid_request")


async def test_cookies_that_a_portal_sets_for_a_program_are_neither_nobodys_nor_another_programs(house):
    cookies = PersonalCookies(("JSESSIONID",), portal_id="acq", secret=bytes(32))
    portal = replace(ACQ, personal_cookies=cookies)
    await house.add(key_id=key_id_of(key_text(bytes(32))), client_id="another")
    owners = {
        (await house.ask(credential, portal=portal)).cookie_owner
        for credential in (KEY_TEXT, TOKEN, key_text(bytes(32)))
    }
    assert len(owners) == 2  # two programs, one of them by key and by token
    assert not owners & {b"", cookies.owner(None)}
