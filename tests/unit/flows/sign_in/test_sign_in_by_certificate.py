"""Sign-in by a certificate, on stores in memory and with a validator that says what the test wants."""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from authproxy.access.decision import Reason
from authproxy.access.unavailable import CannotAsk
from authproxy.certificates.leaf import Leaf
from authproxy.certificates.presentation import Presented
from authproxy.certificates.status import RevocationMode
from authproxy.certificates.verdict import CertificateRefused, Validated
from authproxy.flows.register.membership import Membership
from authproxy.flows.sign_in.attempts import SignedIn, SignInDemand, SignInRefused, SignIns
from authproxy.flows.sign_in.certificate import (
    LESS_THAN_DEMANDED,
    Accepted,
    CertificateRules,
    CertificateSignIn,
    not_admitted,
)
from authproxy.flows.sign_in.kept_certificates import KeptCertificates
from authproxy.flows.step_up.elevation import Elevations
from authproxy.flows.step_up.outcomes import SteppedUp
from authproxy.identity.assurance import AuthenticationEvent, Level
from authproxy.identity.member import CertificateName, PortalRole, RegisterKey
from authproxy.identity.person import Issuer, TaxNumber
from authproxy.identity.ticket import parse
from authproxy.storage.memory import MemoryAttempts, MemoryPeople, MemorySessions, MemorySharedOctets
from authproxy.storage.near_cache import NearCache
from authproxy.storage.records.sealed_texts import Seals
from authproxy.storage.records.sealing import KeyRing
from tests.support.people_builders import ANA
from tests.support.session_builders import NOW, attempt_of, new_ticket, session_for, visit_of
from tests.support.sign_in_fixture import BROWSER
from tests.support.unsteady import Unsteady

GATEWAY = Issuer("https://gateway.example")
LEAF = Leaf(
    fingerprint="c3" * 32,
    issuer="CN=Another SubCA,C=SI",
    serial_number=7,
    not_before=NOW,
    not_after=NOW + timedelta(hours=3),
    policies=(),
    common_name="Ana",
    given_name=None,
    surname=None,
    organization=None,
    email=None,
    tax_number=None,
)
HOLDS = Validated(leaf=LEAF, path=(b"DER", b"SUB", b"ROOT"), status=())
HERS = replace(ANA, certificates=(CertificateName(fingerprint=LEAF.fingerprint),))
PRESENTED = Presented(leaf=b"DER")
MINUTE = timedelta(minutes=1)


class Validator:
    def __init__(self):
        self.says, self.asked = HOLDS, []

    async def validate(self, presented, *, now, mode):
        self.asked.append((presented, now, mode))
        return self.says


class Kept(MemorySharedOctets):
    away_for: tuple[str, ...] = ()

    def _ask(self, key):
        if key.startswith(self.away_for):
            raise CannotAsk(Reason.STORE_UNAVAILABLE, "away")

    async def get(self, key):
        self._ask(key)
        return await super().get(key)

    async def put(self, key, value, lives_for):
        self._ask(key)
        await super().put(key, value, lives_for)


class CertificateSignInFixture:
    """Ana comes to acq with a certificate."""

    def __init__(
        self, *, level=Level.LOW, trusted_with=Level.MEDIUM, required=("tax_number", "name", "birthdate")
    ):
        self.time = NOW
        self.sessions, self.people, self.kept = (
            Unsteady(MemorySessions(NearCache(near_cache_for=timedelta(), silence=None))),
            MemoryPeople(),
            Kept(clock=lambda: self.time),
        )
        self.certificates = KeptCertificates(self.kept)
        self.validator = Validator()
        self.seals = Seals(KeyRing((bytes(32),), random_bytes=secrets.token_bytes))
        self.demand = SignInDemand(
            portal_id="acq",
            origin="https://acq.example",
            required_claims=required,
            level=level,
            idle_for=timedelta(minutes=15),
            absolute_lifetime=timedelta(hours=8),
        )
        self.login = CertificateSignIn(
            rules=CertificateRules(
                url="https://certificates.example",
                issuer=GATEWAY,
                level=trusted_with,
                modes={"acq": RevocationMode.ALARM, "b2b": RevocationMode.HARD},
            ),
            validator=self.validator,
            membership=Membership(store=self.people),
            seals=self.seals,
            certificates=self.certificates,
            sign_ins=SignIns(
                attempts=MemoryAttempts(),
                sessions=self.sessions,
                attempt_for=30 * MINUTE,
                random_bytes=secrets.token_bytes,
                random_text=secrets.token_urlsafe,
                describe_browser=str,
            ),
            elevations=Elevations(sessions=self.sessions, random_bytes=secrets.token_bytes),
            demands={
                "acq": self.demand,
                "b2b": replace(self.demand, portal_id="b2b", origin="https://b2b.example"),
            },
            attempt_for=30 * MINUTE,
            clock=lambda: self.time,
        )

    async def know(self, *members):
        await self.people.take_over(members, revision=0, departures=())

    async def begun(self):
        url = await self.login.begin(visit_of(BROWSER, return_to="/izpis", now=self.time))
        return self.login.hop(hop_in(url), now=self.time)

    async def shown(self):
        """The text of the way back."""
        accepted = await self.login.show(await self.begun(), PRESENTED, now=self.time)
        assert isinstance(accepted, Accepted)
        return hop_in(accepted.location)

    async def signs_in(self, *, ticket=None, way_back=None):
        visit = visit_of(BROWSER, ticket_text=ticket, now=self.time)
        return await self.login.complete(visit, way_back or await self.shown(), request_id="r-1")

    async def sessions_open(self):
        return [each async for each in self.sessions.all_summaries(now=self.time)]


def hop_in(url):
    return parse_qs(urlsplit(url).query)["hop"][0]


@pytest.fixture
def house():
    return CertificateSignInFixture()


async def test_a_session_says_what_proved_it_and_ends_with_its_certificate(house):
    await house.know(HERS)
    way_back = await house.shown()
    house.time += MINUTE
    outcome = await house.signs_in(way_back=way_back)
    assert isinstance(outcome, SignedIn)
    session = outcome.session
    proved = AuthenticationEvent(
        method="acnlb",
        at=NOW,
        source=f"sha256:{LEAF.fingerprint}",
        amr=("pop",),
        is_step_up=False,
        level=Level.MEDIUM,
    )
    assert (session.events, session.method, session.level) == ((proved,), "acnlb", Level.MEDIUM)
    assert (session.person.member, session.person.issuer, session.expires_at, session.certificates) == (
        ANA.member_id,
        GATEWAY,
        LEAF.not_after,
        (LEAF.fingerprint,),
    )
    assert (outcome.return_to, session.provider_session) == ("/izpis", LEAF.fingerprint)
    # For as long as the session may last, its certificate can be asked about.
    house.time += timedelta(hours=2, minutes=58)
    assert await house.certificates.watched(LEAF.fingerprint) == (b"DER", b"SUB")


@pytest.mark.parametrize(
    ("held", "stated"),
    [
        ({}, ("tax_number", "name", "birthdate", "address")),
        (
            {"email": "ana@example.si", "phone": "+38640123456"},
            ("tax_number", "name", "email", "phone_number", "birthdate", "address"),
        ),
    ],
)
async def test_a_session_says_which_data_the_register_has(house, held, stated):
    await house.know(replace(HERS, **{"email": None, "phone": None} | held))
    assert (await house.signs_in()).session.claims == stated


async def test_each_portal_has_its_own_way_with_revocation_that_cannot_be_found_out(house):
    await house.shown()
    at_b2b = await house.login.begin(visit_of(BROWSER, portal_id="b2b"))
    await house.login.show(house.login.hop(hop_in(at_b2b), now=NOW), PRESENTED, now=NOW)
    assert house.validator.asked == [
        (PRESENTED, NOW, RevocationMode.ALARM),
        (PRESENTED, NOW, RevocationMode.HARD),
    ]


async def test_a_certificate_that_does_not_hold_leaves_nothing_in_the_store_and_the_way_as_it_was(house):
    hop = await house.begun()
    house.validator.says = CertificateRefused(reason=Reason.CERTIFICATE_REVOKED, detail="revoked")
    assert await house.login.show(hop, PRESENTED, now=NOW) == house.validator.says
    assert len(house.kept._octets) == 0
    house.validator.says = HOLDS
    assert isinstance(await house.login.show(hop, PRESENTED, now=NOW), Accepted)


async def test_a_way_there_is_good_for_as_long_as_an_attempt(house):
    url = await house.login.begin(visit_of(BROWSER, return_to="/izpis"))
    assert house.login.hop(hop_in(url), now=NOW + 30 * MINUTE) is not None
    assert house.login.hop(hop_in(url), now=NOW + 30 * MINUTE + timedelta(seconds=1)) is None
    assert (
        house.login.hop(
            house.seals.attempt_sealed(attempt_of(BROWSER, opened_at=NOW, method="rekono")), now=NOW
        )
        is None
    )
    assert house.login.hop("nothing of ours", now=NOW) is None


async def test_a_hop_says_whether_it_is_for_a_proof_and_for_which_request(house):
    session = session_for(new_ticket())
    visit = visit_of(BROWSER, return_to="/placilo", held="h" * 43, binding="b")
    url = await house.login.begin_step_up(visit, session, "acq/orders POST")
    assert url.endswith("&lang=sl")
    hop = house.login.hop(hop_in(url), now=NOW)
    assert (hop.is_step_up, hop.route, hop.held, hop.portal_id, hop.return_to) == (
        True,
        "acq/orders POST",
        "h" * 43,
        "acq",
        "/placilo",
    )
    assert (hop.attempt.binding, hop.attempt.step_up_of) == ("b", session.session_id)
    assert not (await house.begun()).is_step_up


@pytest.mark.parametrize(
    ("later", "reason"),
    [(5 * MINUTE - timedelta(seconds=1), None), (5 * MINUTE + timedelta(seconds=1), Reason.ATTEMPT_TOO_OLD)],
)
async def test_what_was_shown_signs_somebody_in_for_five_minutes(house, later, reason):
    await house.know(HERS)
    way_back = await house.shown()
    house.time += later
    assert getattr(await house.signs_in(way_back=way_back), "reason", None) is reason


async def test_it_is_five_minutes_from_the_showing_though_the_same_certificate_was_shown_again(house):
    await house.know(HERS)
    way_back = await house.shown()
    house.time += 4 * MINUTE
    await house.shown()
    house.time += 2 * MINUTE
    assert (await house.signs_in(way_back=way_back)).reason is Reason.ATTEMPT_TOO_OLD


async def test_a_certificate_finds_the_person_to_whom_its_tax_number_belongs_where_that_is_believed(house):
    await house.know(ANA)
    assert (await house.signs_in()).reason is Reason.CERTIFICATE_UNKNOWN
    house.validator.says = replace(HOLDS, tax_number=TaxNumber(ANA.tax_number))
    assert (await house.signs_in()).session.person.member == ANA.member_id


async def test_a_certificate_of_nobody_is_kept_for_the_operator_under_the_code_of_its_page(house):
    outcome = await house.signs_in()
    assert (outcome.reason, outcome.detail, outcome.return_to) == (
        Reason.CERTIFICATE_UNKNOWN,
        f"certificate {LEAF.fingerprint}",
        "/izpis",
    )
    assert await house.certificates.refused("certificate_unknown-r-1") == b"DER"
    house.kept.away_for = ("refused",)
    assert (await house.signs_in()).reason is Reason.CERTIFICATE_UNKNOWN


@pytest.mark.parametrize(
    "changes",
    [{"blocked_at": NOW}, {"portals": ()}, {"tax_number": None}],
    ids=["blocked", "no portals", "incomplete"],
)
async def test_whom_the_register_refuses_leaves_no_session_behind_and_no_certificate(changes):
    house = CertificateSignInFixture()
    house.login._demands["acq"] = replace(house.demand, members="register")
    ticket = new_ticket()
    await house.sessions.create(ticket, session_for(ticket), browser="", now=NOW)
    await house.know(replace(HERS, **changes))
    outcome = await house.signs_in(ticket=ticket.text)
    assert (outcome.reason, outcome.return_to, outcome.person.member) == (
        Reason.NOT_A_MEMBER,
        "/izpis",
        ANA.member_id,
    )
    assert outcome.detail == outcome.by_register.detail != ""
    assert await house.sessions_open() == []
    assert await house.certificates.refused("r-1") is None


async def test_a_certificate_does_for_no_portal_that_demands_more_than_it_is_trusted_with():
    for level, reason in ((Level.MEDIUM, None), (Level.HIGH, Reason.METHOD_NOT_ALLOWED_HERE)):
        house = CertificateSignInFixture(level=level)
        await house.know(HERS)
        outcome = await house.signs_in()
        assert getattr(outcome, "reason", None) is reason
        assert getattr(outcome, "found", LESS_THAN_DEMANDED) == LESS_THAN_DEMANDED


async def test_what_is_required_and_the_register_lacks_is_named_to_operators(house):
    demand = replace(house.demand, required_claims=("tax_number", "name", "email", "birthdate", "address"))
    lacking = not_admitted(replace(HERS, tax_number=None, email=None), demand)
    assert (lacking.reason, lacking.detail) == (
        Reason.NOT_A_MEMBER,
        "the register lacks what the portal requires: tax_number, email",
    )
    assert not_admitted(replace(HERS, email="ana@example.si"), demand) is None


async def test_a_session_has_the_roles_of_its_portal_and_none_that_was_lost_during_the_sign_in(house):
    roles = (PortalRole("acq", "approver"), PortalRole("b2b", "clerk"))
    await house.know(replace(HERS, roles=roles))
    assert (await house.signs_in()).session.roles == ("approver",)

    async def take_away():
        [found] = await house.people.find([RegisterKey("id", ANA.member_id)])
        await house.people.change(found, found.member.with_roles(()), departs=True)

    house.sessions.before("create", "rotate", happens=take_away)
    assert (await house.signs_in()).reason is Reason.STORE_UNAVAILABLE


async def test_somebody_who_is_blocked_while_they_sign_in_is_not_signed_in(house):
    await house.know(HERS)

    async def block():
        [found] = await house.people.find([RegisterKey("id", ANA.member_id)])
        await house.people.change(found, found.member.blocked(NOW, None), departs=True)

    house.sessions.before("create", "rotate", happens=block)
    assert (await house.signs_in()).reason is Reason.NOT_A_MEMBER
    assert await house.sessions_open() == []


@pytest.mark.parametrize("away", ["shown:", "certificate:"], ids=["what was shown", "what watches over it"])
async def test_a_store_that_cannot_be_asked_signs_nobody_in_and_keeps_the_way_back(house, away):
    await house.know(HERS)
    way_back = await house.shown()
    house.kept.away_for = (away,)
    outcome = await house.signs_in(way_back=way_back)
    assert outcome == SignInRefused(Reason.STORE_UNAVAILABLE, "/izpis", detail="away")
    assert await house.sessions_open() == []


async def test_a_session_replaces_the_one_that_the_browser_had(house):
    await house.know(HERS)
    before = await house.signs_in()
    house.time += MINUTE
    await house.signs_in(ticket=before.ticket_text)
    assert await house.sessions.load(parse(before.ticket_text), now=house.time) is None
    assert len(await house.sessions_open()) == 1


async def test_what_is_no_way_back_is_an_unknown_attempt(house):
    outcome = await house.login.complete(visit_of(BROWSER), None, request_id="r-1")
    assert outcome == SignInRefused(Reason.ATTEMPT_UNKNOWN, "/")
    never_shown = house.seals.attempt_sealed((await house.begun()).attempt)
    assert await house.signs_in(way_back=never_shown) == SignInRefused(Reason.ATTEMPT_UNKNOWN, "/")


async def test_somebody_signed_in_who_shows_their_certificate_keeps_their_session_and_gains_a_proof(house):
    await house.know(HERS)
    before = await house.signs_in()
    house.time += MINUTE
    visit = visit_of(BROWSER, return_to="/placilo", now=house.time)
    url = await house.login.begin_step_up(visit, before.session, "acq")
    accepted = await house.login.show(house.login.hop(hop_in(url), now=house.time), PRESENTED, now=house.time)
    outcome = await house.signs_in(way_back=hop_in(accepted.location), ticket=before.ticket_text)
    assert isinstance(outcome, SteppedUp)
    assert (outcome.session.started_at, [event.is_step_up for event in outcome.session.events]) == (
        NOW,
        [False, True],
    )
