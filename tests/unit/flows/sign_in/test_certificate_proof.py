from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import timedelta

import pytest

from authproxy.access.decision import Reason
from authproxy.flows.register.membership import Membership
from authproxy.flows.sign_in.attempts import SignInDemand, SignIns
from authproxy.flows.sign_in.certificate_proof import CertificateProof
from authproxy.flows.sign_in.kept_certificates import KeptCertificates
from authproxy.flows.sign_in.returned_proofs import ReturnedProofs
from authproxy.flows.sign_in.shown_certificate import ShownCertificate
from authproxy.flows.step_up.elevation import Elevations
from authproxy.flows.step_up.method_changes import REMOVING
from authproxy.identity.assurance import AuthenticationEvent, Level
from authproxy.identity.member import CertificateName
from authproxy.identity.person import TaxNumber
from authproxy.identity.ticket import parse
from authproxy.storage.memory import MemoryAttempts, MemoryPeople, MemorySessions, MemorySharedOctets
from tests.support.people_builders import ANA, CVETKA
from tests.support.session_builders import ISSUER, NOW, SUBJECT, attempt_of, new_ticket, session_for, visit_of
from tests.support.unsteady import Unsteady

LATER = NOW + timedelta(minutes=4)
HELD = "h" * 43
OTHER = TaxNumber("99990016")
SHOWN = ShownCertificate(
    shown_at=LATER,
    fingerprint="c3" * 32,
    issuer="CN=Another SubCA,C=SI",
    serial=7,
    tax_number=None,
    not_after=NOW + timedelta(days=9),
    leaf=b"DER",
    above=(b"SUB",),
)
NAMED = (CertificateName(fingerprint=SHOWN.fingerprint),)


class CertificateProofFixture:
    """Somebody has signed in by an account, and four minutes later shows a certificate."""

    def __init__(self):
        self.sessions, self.people, self.kept = (
            MemorySessions(),
            MemoryPeople(),
            Unsteady(MemorySharedOctets(clock=lambda: LATER)),
        )
        self.certificates = KeptCertificates(self.kept)
        sign_ins = SignIns(
            attempts=MemoryAttempts(),
            sessions=self.sessions,
            attempt_for=timedelta(minutes=30),
            random_bytes=secrets.token_bytes,
            random_text=secrets.token_urlsafe,
            describe_browser=str,
        )
        demand = SignInDemand(
            portal_id="acq",
            origin="https://acq.example",
            required_claims=(),
            level=Level.LOW,
            idle_for=timedelta(minutes=15),
            absolute_lifetime=timedelta(hours=8),
            members="register",
        )
        self.proof = CertificateProof(
            membership=Membership(store=self.people),
            certificates=self.certificates,
            demands={"acq": demand},
            level=Level.MEDIUM,
            clock=lambda: LATER,
            proofs=ReturnedProofs(
                sign_ins=sign_ins,
                elevations=Elevations(sessions=self.sessions, random_bytes=secrets.token_bytes),
            ),
        )
        self.ticket = new_ticket()
        self.session = session_for(self.ticket)

    def visit(self, ticket_text):
        return visit_of("b", ticket_text=ticket_text, now=LATER)

    async def proves(self, shown=SHOWN, *, members=(), route="acq", **person):
        await self.people.take_over(members, revision=0, departures=())
        self.session = replace(self.session, person=replace(self.session.person, **person))
        await self.sessions.create(self.ticket, self.session, browser="", now=NOW)
        attempt = attempt_of("b", method="acnlb", step_up_of=self.session.session_id, route=route, held=HELD)
        return await self.proof.complete(attempt, self.visit(self.ticket.text), shown)


@pytest.fixture
def house():
    return CertificateProofFixture()


async def test_a_certificate_of_the_same_person_is_a_proof_and_can_be_asked_about_from_then_on(house):
    outcome = await house.proves(members=[replace(ANA, certificates=NAMED)], member=ANA.member_id)
    proved = AuthenticationEvent(
        method="certificate",
        at=LATER,
        source=f"sha256:{SHOWN.fingerprint}",
        amr=("pop",),
        is_step_up=True,
        level=Level.MEDIUM,
    )
    assert outcome.session == replace(
        house.session, session_id=outcome.session.session_id, events=(*house.session.events, proved)
    )
    assert (outcome.method, outcome.held, outcome.session.certificates) == (
        "certificate",
        HELD,
        (SHOWN.fingerprint,),
    )
    assert await house.certificates.watched(SHOWN.fingerprint) == (SHOWN.leaf, b"SUB")
    [summary] = await house.sessions.summaries(ISSUER, SUBJECT, now=LATER)
    assert summary.certificates == (SHOWN.fingerprint,)


async def test_it_is_as_old_as_the_showing(house):
    shown = replace(SHOWN, shown_at=LATER - timedelta(seconds=40))
    outcome = await house.proves(shown, members=[replace(ANA, certificates=NAMED)], member=ANA.member_id)
    assert outcome.session.events[-1].at == shown.shown_at


@pytest.mark.parametrize(
    ("route", "asked_for"),
    [("acq", None), (REMOVING, REMOVING)],
    ids=["for a page", "for a change of methods"],
)
async def test_a_proof_remembers_whether_it_was_given_for_a_change_of_methods(house, route, asked_for):
    outcome = await house.proves(
        members=[replace(ANA, certificates=NAMED)], route=route, member=ANA.member_id
    )
    assert outcome.session.events[-1].asked_for == asked_for


async def test_a_tax_number_in_the_certificate_counts_for_people_in_the_register_too(house):
    outcome = await house.proves(
        replace(SHOWN, tax_number=ANA.tax_number), members=[ANA], member=ANA.member_id
    )
    assert outcome.session.certificates == (SHOWN.fingerprint,)


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ([ANA], Reason.CERTIFICATE_UNKNOWN),
        ([ANA, replace(CVETKA, certificates=NAMED)], Reason.STEP_UP_BY_ANOTHER),
        ([replace(ANA, certificates=NAMED, blocked_at=NOW)], Reason.NOT_A_MEMBER),
        ([replace(ANA, certificates=NAMED, portals=("b2b",))], Reason.NOT_A_MEMBER),
    ],
    ids=["nobody's", "another's", "blocked", "not for this portal"],
)
async def test_of_a_person_in_the_register_no_other_certificate_is_a_proof(house, members, reason):
    outcome = await house.proves(members=members, member=ANA.member_id)
    assert (outcome.reason, outcome.session, outcome.held, outcome.route) == (
        reason,
        house.session,
        HELD,
        "acq",
    )
    assert outcome.detail == f"certificate {SHOWN.fingerprint}"
    assert (await house.sessions.load(house.ticket, now=LATER)).session == house.session
    assert await house.certificates.watched(SHOWN.fingerprint) == ()


@pytest.mark.parametrize(
    ("known", "shown", "members", "reason"),
    [
        (TaxNumber("99990008"), TaxNumber("99990008"), [], None),
        (TaxNumber("99990008"), TaxNumber("99990008"), [replace(ANA, certificates=NAMED)], None),
        (
            TaxNumber("99990008"),
            TaxNumber("99990008"),
            [replace(CVETKA, certificates=NAMED)],
            Reason.STEP_UP_BY_ANOTHER,
        ),
        (TaxNumber("99990008"), OTHER, [], Reason.STEP_UP_BY_ANOTHER),
        (TaxNumber("99990008"), None, [], Reason.CERTIFICATE_UNKNOWN),
        (None, TaxNumber("99990008"), [], Reason.CERTIFICATE_UNKNOWN),
        (None, None, [], Reason.CERTIFICATE_UNKNOWN),
        (None, None, [replace(CVETKA, tax_number=None, certificates=NAMED)], Reason.STEP_UP_BY_ANOTHER),
    ],
)
async def test_of_somebody_else_the_tax_number_in_the_certificate_decides(
    house, known, shown, members, reason
):
    outcome = await house.proves(replace(SHOWN, tax_number=shown), members=members, tax_number=known)
    assert getattr(outcome, "reason", None) is reason


async def test_without_the_session_that_began_it_nothing_is_proved(house):
    attempt = attempt_of("b", method="acnlb", step_up_of=new_ticket().session_id)
    await house.sessions.create(house.ticket, house.session, browser="", now=NOW)
    for ticket_text in (house.ticket.text, None):
        assert (
            await house.proof.complete(attempt, house.visit(ticket_text), SHOWN)
        ).reason is Reason.SESSION_ENDED
    assert (await house.sessions.load(house.ticket, now=LATER)).session == house.session


async def test_a_certificate_that_could_not_be_asked_about_later_proves_nothing_now(house):
    house.kept.away = {"put"}
    outcome = await house.proves(members=[replace(ANA, certificates=NAMED)], member=ANA.member_id)
    assert (outcome.reason, outcome.detail, outcome.session) == (
        Reason.STORE_UNAVAILABLE,
        "away",
        house.session,
    )
    assert await house.sessions.load(parse(house.ticket.text), now=LATER) is not None
