"""The use cases of fresh proofs as the pages see them: scripted objects that hold state and answer from
it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from authproxy.access.decision import Reason
from authproxy.access.routes import Requirement, Route, StepUp
from authproxy.access.unavailable import CannotAsk
from authproxy.challenges.challenge import Challenge, ChallengeId, Standing, State
from authproxy.challenges.enrolment import Enrolment
from authproxy.challenges.method import Offer
from authproxy.flows.held.requests import HeldRequestPreview
from authproxy.flows.step_up.enrolling import (
    Enrolled,
    EnrolmentList,
    NotEnrolled,
    PhoneAwaited,
    ProofNeeded,
    PushBegun,
    RecoveryMade,
    Removed,
    TotpBegun,
)
from authproxy.flows.step_up.method_changes import ChangeDemand
from authproxy.flows.step_up.outcomes import Demand, NotProved, Pending, SentAway, SteppedUp
from authproxy.flows.visit import Visit
from authproxy.identity.session import Session
from authproxy.identity.ticket import SessionTicket

OLD_TICKET = SessionTicket(bytes(16), bytes(32)).text
NEW_TICKET = SessionTicket(bytes([9]) * 16, bytes(32)).text
PAYMENTS = Route(
    name="payments", path="/pay", requirement=Requirement(step_up=StepUp(max_age=timedelta(minutes=5)))
)
CODE = "123456"
HELD = "h" * 43
OFFERS = (
    Offer(method="rekono"),
    Offer(method="push", destination="Anin <telefon>"),
    Offer(method="totp", destination="Anin <telefon>"),
    Offer(method="sms", destination="••• 456"),
    Offer(method="certificate"),
    Offer(method="recovery"),
)
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
URI = f"otpauth://totp/Bankart%20Varni%20Spletni%20Prehod:ana%40example.si?secret={SECRET}&issuer=Bankart%20Varni%20Spletni%20Prehod"
RECOVERY_CODES = tuple(f"7mpq{number}-x9fhk" for number in range(2, 12))


@dataclass
class ScriptedStepUps:
    """One person, one code, one phone. `refusal` is the end of the next answer that is not the code, `phone`
    what the phone has said."""

    session: Session
    now: datetime
    offers: tuple[Offer, ...] = OFFERS
    is_met: bool = False
    blocked_until: datetime | None = None
    lacking: tuple[str, ...] = ()
    withheld: tuple[str, ...] = ()
    change: ChangeDemand | None = None
    begin_fails: NotProved | None = None
    again_fails: NotProved | None = None
    answer_fails: NotProved | None = None
    standing_fails: NotProved | None = None
    down: Reason | None = None
    provider: str = "https://idp.example.si"
    phone: str = "waits"
    tries_left: int = 5
    waits_already: bool = False
    is_repeated: bool = False
    again_in: timedelta = timedelta(0)
    visits: list[Visit] = field(default_factory=list)
    asked: list[Challenge] = field(default_factory=list)
    typed: list[str] = field(default_factory=list)
    named: list[str | None] = field(default_factory=list)
    """The names of the pages whose forms were sent."""
    messages: int = 0

    def _session(self, visit: Visit) -> Session | None:
        self.visits.append(visit)
        if self.down is not None:
            raise CannotAsk(self.down, "asked in vain")
        return (
            self.session
            if visit.ticket_text == OLD_TICKET and visit.portal_id == self.session.portal
            else None
        )

    async def demand(self, visit: Visit) -> Demand | None:
        session = self._session(visit)
        return (
            None
            if session is None
            else Demand(
                session=session,
                route=PAYMENTS,
                return_to=visit.return_to,
                held=visit.held,
                is_met=self.is_met,
                offers=self.offers,
                lacking=self.lacking,
                withheld=self.withheld,
                blocked_until=self.blocked_until,
                change=self.change,
            )
        )

    async def begin(self, visit: Visit, method: str) -> Pending | SentAway | NotProved | None:
        session = self._session(visit)
        if session is None or self.begin_fails is not None:
            return None if session is None else replace(self.begin_fails, session=session)
        if method not in [offer.method for offer in self.offers]:
            return NotProved(
                reason=Reason.STEP_UP_IMPOSSIBLE, return_to=visit.return_to, held=visit.held, session=session
            )
        if method in {"rekono", "certificate"}:
            return SentAway(f"{self.provider}/authorize?state={visit.browser}", method, session)
        self.messages += 1
        self.asked.append(
            Challenge(
                challenge_id=ChallengeId(f"challenge-{len(self.asked)}"),
                method=method,
                session_id=session.session_id,
                portal=visit.portal_id,
                route=visit.route or "all",
                return_to=visit.return_to,
                held=visit.held,
                number="42" if method == "push" else None,
                destination=next(offer.destination for offer in self.offers if offer.method == method),
                issued_at=visit.now,
                expires_at=visit.now + timedelta(minutes=5),
                again_at=visit.now + self.again_in if method == "sms" else None,
            )
        )
        return Pending(session, self._standing(self.asked[-1]), is_new=not self.waits_already)

    def _standing(self, challenge: Challenge) -> Standing:
        return Standing(challenge=challenge, state=State.PENDING, tries_left=self.tries_left)

    def _found(self, visit: Visit, challenge_id: str) -> Pending | NotProved | None:
        session = self._session(visit)
        if session is None:
            return None
        known = [challenge for challenge in self.asked if challenge.challenge_id == challenge_id]
        if not known:
            return NotProved(reason=Reason.CHALLENGE_OVER, return_to=visit.return_to, session=session)
        return Pending(session, self._standing(known[0]), is_new=False, is_answered=self.phone != "waits")

    async def standing(self, visit: Visit, challenge_id: str) -> Pending | NotProved | None:
        return self._found(visit, challenge_id) if self.standing_fails is None else self.standing_fails

    async def again(self, visit: Visit, challenge_id: str) -> Pending | NotProved | None:
        found = self._found(visit, challenge_id)
        if not isinstance(found, Pending):
            return found
        if self.again_fails is not None:
            return replace(self.again_fails, session=found.session, standing=found.standing)
        return await self.begin(replace(visit, return_to=found.standing.challenge.return_to), "sms")

    async def answer(
        self, visit: Visit, challenge_id: str, typed: str, *, page: str | None = None
    ) -> SteppedUp | Pending | NotProved | None:
        found = self._found(visit, challenge_id)
        if not isinstance(found, Pending):
            return found
        self.typed.append(typed)
        self.named.append(page)
        challenge = found.standing.challenge
        if self.answer_fails is not None:
            return replace(
                self.answer_fails,
                session=found.session,
                return_to=challenge.return_to,
                held=challenge.held,
                method=challenge.method,
            )
        if challenge.method == "push" and self.phone == "waits":
            return found
        if (challenge.method == "push" and self.phone == "refused") or (
            challenge.method != "push" and typed != CODE
        ):
            self.tries_left -= 1
            reason = Reason.PUSH_REFUSED if challenge.method == "push" else Reason.CODE_WRONG
            state = (
                State.REFUSED
                if challenge.method == "push"
                else State.PENDING
                if self.tries_left
                else State.EXHAUSTED
            )
            return NotProved(
                reason=reason,
                return_to=challenge.return_to,
                held=challenge.held,
                session=found.session,
                method=challenge.method,
                standing=replace(self._standing(challenge), state=state),
                state=state,
            )
        return SteppedUp(
            NEW_TICKET,
            found.session,
            challenge.method,
            challenge.return_to,
            challenge.held,
            is_repeated=self.is_repeated,
        )


@dataclass
class ScriptedHeldRequests:
    session: Session
    kept: dict[str, HeldRequestPreview] = field(default_factory=dict)

    async def preview(self, name: str, session: Session) -> HeldRequestPreview | None:
        return self.kept.get(name) if session == self.session else None

    async def discard(self, name: str, session: Session) -> bool:
        return self.kept.pop(name, None) is not None


def a_form(**changes) -> HeldRequestPreview:
    request = HeldRequestPreview(
        method="POST",
        target="/pay?now=1",
        content_type="application/x-www-form-urlencoded",
        size=321,
        fields=(
            ("amount", "100,00 €"),
            ("<b>to</b>", "<script>alert(1)</script>"),
            ("password", "Skrivnost1"),
        ),
        files=(),
        is_whole=True,
    )
    return replace(request, **changes)


@dataclass
class ScriptedEnrolling:
    session: Session
    now: datetime
    enrolments: list[Enrolment] = field(default_factory=list)
    has_proof: bool = True
    is_activated: bool = False
    refusal: Reason | None = None
    recovery_left: int = 0
    labels: list[str] = field(default_factory=list)

    def _session(self, visit: Visit) -> Session | None:
        return (
            self.session
            if visit.ticket_text == OLD_TICKET and visit.portal_id == self.session.portal
            else None
        )

    def enrols(self, method: str, label: str = "Moj telefon") -> Enrolment:
        self.enrolments.append(
            Enrolment(
                enrolment_id=f"{method}-1",
                method=method,
                label=label,
                enrolled_at=self.now - timedelta(days=3),
            )
        )
        return self.enrolments[-1]

    def _totp(self) -> TotpBegun:
        return TotpBegun(
            name="n" * 43,
            secret=SECRET,
            uri=URI,
            expires_at=self.now + timedelta(minutes=10),
            session=self.session,
        )

    def _push(self) -> PushBegun:
        return PushBegun(
            name="p" * 43,
            activation_code="AB12-CD34",
            expires_at=self.now + timedelta(minutes=10),
            session=self.session,
        )

    async def listed(self, visit: Visit) -> EnrolmentList | None:
        session = self._session(visit)
        return (
            None
            if session is None
            else EnrolmentList(
                session=session,
                enrolments=tuple(self.enrolments),
                recovery_left=self.recovery_left,
                possible=("totp", "push", "recovery"),
                phone="••• 456",
            )
        )

    async def begin(
        self, visit: Visit, method: str, label: str
    ) -> TotpBegun | PushBegun | RecoveryMade | ProofNeeded | NotEnrolled | None:
        session = self._session(visit)
        if session is None or self.refusal is not None or method not in {"totp", "push", "recovery"}:
            return (
                None
                if session is None
                else NotEnrolled(reason=self.refusal or Reason.STEP_UP_IMPOSSIBLE, session=session)
            )
        if not self.has_proof:
            return ProofNeeded(route=f":{method}", session=session)
        self.labels.append(label)
        if method == "recovery":
            return RecoveryMade(codes=RECOVERY_CODES, session=session)
        return self._totp() if method == "totp" else self._push()

    async def finish(
        self, visit: Visit, name: str, typed: str
    ) -> Enrolled | PhoneAwaited | NotEnrolled | None:
        session = self._session(visit)
        if session is None or self.refusal is not None:
            return None if session is None else NotEnrolled(reason=self.refusal, session=session)
        if name == "p" * 43:
            return (
                Enrolled(enrolment=self.enrols("push"), session=session)
                if self.is_activated
                else PhoneAwaited(begun=self._push())
            )
        if typed != CODE:
            return NotEnrolled(reason=Reason.CODE_WRONG, session=session, method="totp", begun=self._totp())
        return Enrolled(enrolment=self.enrols("totp"), session=session)

    async def remove(self, visit: Visit, enrolment_id: str) -> Removed | ProofNeeded | NotEnrolled | None:
        session = self._session(visit)
        known = [enrolment for enrolment in self.enrolments if enrolment.enrolment_id == enrolment_id]
        if session is None or not known:
            return None if session is None else NotEnrolled(reason=Reason.CHALLENGE_OVER, session=session)
        if not self.has_proof:
            return ProofNeeded(route=":any", session=session)
        self.enrolments.remove(known[0])
        return Removed(enrolment=known[0], session=session)
