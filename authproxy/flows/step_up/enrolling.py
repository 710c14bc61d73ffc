"""Adding and removing step-up methods, on the page about the session.

`method_changes` says which proof must come first, so that somebody who has got hold of an open session, or of
the account at the provider, can neither add a phone of their own nor remove the person's. An enrolment has
the level of trust of the session that made it, and never more than the proof before it was worth. The person
is told of every change by a message.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Final, get_args

from authproxy.access.decision import Reason
from authproxy.challenges.enrolment import EnrolledMethod, Enrolment, EnrolmentStore, owner_of
from authproxy.challenges.limits import RateLimits
from authproxy.challenges.notices import Change, Notices
from authproxy.challenges.notification import printable_line
from authproxy.challenges.push import EnrolmentFailed, PushEnrolling
from authproxy.challenges.recovery import COST, Cost, hashes_of, new_codes
from authproxy.challenges.sms import PhoneNumberSource, masked
from authproxy.challenges.totp import SECRET_SIZE, matching_step, secret_of, uri_of
from authproxy.flows.step_up.method_changes import ADDING, REMOVING, MethodChanges
from authproxy.flows.stores import OctetStore, SessionStore
from authproxy.flows.visit import Visit, session_of
from authproxy.identity.assurance import Level
from authproxy.identity.session import Session

_UNFINISHED_FOR: Final = timedelta(minutes=10)
_BEGUN_PER_HOUR: Final = 30
"""An unfinished enrolment stays in the store for ten minutes, and a sheet of recovery codes takes seconds of
a processor. A script must not be able to begin many."""
_LONGEST_LABEL: Final = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolmentList:
    """`possible` are the methods that can be added. Whether that needs a fresh proof is decided when the
    person asks for one of them."""

    session: Session
    enrolments: tuple[Enrolment, ...]
    recovery_left: int
    possible: tuple[EnrolledMethod, ...]
    phone: str | None = field(default=None, repr=False)
    """The number to which codes are sent, masked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TotpBegun:
    """The secret is shown once. `name` is the name of the unfinished enrolment."""

    name: str = field(repr=False)
    secret: str = field(repr=False)
    """Base32."""
    uri: str = field(repr=False)
    """`otpauth://…`, for a QR code."""
    expires_at: datetime
    session: Session


@dataclass(frozen=True, slots=True, kw_only=True)
class PushBegun:
    name: str = field(repr=False)
    activation_code: str = field(repr=False)
    expires_at: datetime
    session: Session


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryMade:
    """All codes, which are shown once. Earlier codes no longer work."""

    codes: tuple[str, ...] = field(repr=False)
    session: Session


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofNeeded:
    """A fresh proof must come first. `route` is what the step-up page gets as its route."""

    route: str
    session: Session


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneAwaited:
    """The phone has not been activated yet."""

    begun: PushBegun


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolled:
    enrolment: Enrolment
    session: Session


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    enrolment: Enrolment
    session: Session


@dataclass(frozen=True, slots=True, kw_only=True)
class NotEnrolled:
    """Nothing has changed. `begun` is set if the person may type another code."""

    reason: Reason
    session: Session
    method: EnrolledMethod | None = None
    begun: TotpBegun | None = None
    until: datetime | None = None


class Enrolling:
    """Every method raises CannotAsk, and returns None if the browser has no session at the portal."""

    def __init__(  # noqa: PLR0913  (what is needed is handed over, not looked up)
        self,
        *,
        sessions: SessionStore,
        enrolments: EnrolmentStore,
        unfinished: OctetStore,
        limits: RateLimits,
        push: PushEnrolling | None,
        numbers: PhoneNumberSource,
        notices: Notices,
        method_changes: MethodChanges,
        issuer_name: str,
        random_text: Callable[[int], str],
        random_bytes: Callable[[int], bytes],
        random_below: Callable[[int], int],
        sheet_cost: Cost = COST,
    ) -> None:
        """`issuer_name` is the name of this gateway in authenticator applications. `random_text(n)` is n
        random bytes as URL-safe text, and `random_below(n)` an unpredictable number below n."""
        self._sessions = sessions
        self._enrolments = enrolments
        self._unfinished = unfinished
        self._limits = limits
        self._push = push
        self._numbers = numbers
        self._notices = notices
        self._method_changes = method_changes
        self._issuer_name = issuer_name
        self._random_text = random_text
        self._random_bytes = random_bytes
        self._random_below = random_below
        self._sheet_cost = sheet_cost
        self._begin_by_method: dict[str, _Begin] = {"totp": self._begin_totp, "recovery": self._make_recovery}
        if push is not None:
            self._begin_by_method["push"] = partial(self._begin_push, push)

    async def listed(self, visit: Visit) -> EnrolmentList | None:
        session = await session_of(self._sessions, visit)
        if session is None:
            return None
        owner = owner_of(session.person)
        number = await self._numbers.number_of(session.person)
        return EnrolmentList(
            session=session,
            enrolments=tuple(await self._enrolments.every(owner)),
            recovery_left=await self._enrolments.recovery_left(owner),
            possible=tuple(method for method in get_args(EnrolledMethod) if method in self._begin_by_method),
            phone=None if number is None else masked(number),
        )

    async def begin(
        self, visit: Visit, method: str, label: str
    ) -> TotpBegun | PushBegun | RecoveryMade | ProofNeeded | NotEnrolled | None:
        """Begins to add a method. It counts after `finish`. Recovery codes count at once."""
        session = await session_of(self._sessions, visit)
        if session is None:
            return None
        begin = self._begin_by_method.get(method)
        if begin is None:
            return NotEnrolled(reason=Reason.STEP_UP_IMPOSSIBLE, session=session)
        demand = await self._method_changes.demand(session.person, ADDING[method])
        proof = demand.proof_of(session, visit.now)
        if proof is None:
            return ProofNeeded(route=ADDING[method], session=session)
        until = await self._limits.reserve(
            "\0".join(("begun", *owner_of(session.person))),
            pause=timedelta(0),
            per_hour=_BEGUN_PER_HOUR,
            now=visit.now,
        )
        if until is not None:
            return NotEnrolled(reason=Reason.STEP_UP_TOO_OFTEN, session=session, until=until)
        return await begin(visit, session, label, min(session.level, proof.worth))

    async def finish(
        self, visit: Visit, name: str, typed: str
    ) -> Enrolled | PhoneAwaited | NotEnrolled | None:
        """Adds the method: with the first code of an application, or once the phone has been activated."""
        session = await session_of(self._sessions, visit)
        if session is None:
            return None
        octets = await self._unfinished.get(_key(name))
        unfinished = None if octets is None else _UnfinishedEnrolment.read(octets)
        # An enrolment that was begun in another session may have been begun by a thief of that session.
        if unfinished is None or not unfinished.is_of(session) or visit.now >= unfinished.expires_at:
            return NotEnrolled(reason=Reason.CHALLENGE_OVER, session=session)
        if unfinished.method == "totp":
            step = matching_step(unfinished.secret, typed, visit.now)
            if step is None or not await self._enrolments.accept_step(unfinished.enrolment_id, step):
                return NotEnrolled(
                    reason=Reason.CODE_WRONG,
                    session=session,
                    method="totp",
                    begun=self._totp_begun(unfinished, name, session),
                )
            return await self._add(visit, session, name, unfinished.enrolment(visit.now))
        if self._push is None:
            return NotEnrolled(reason=Reason.STEP_UP_IMPOSSIBLE, session=session, method="push")
        try:
            enrolment = await self._push.finish(
                unfinished.enrolment_id, label=unfinished.label, now=visit.now
            )
        except EnrolmentFailed:
            await self._unfinished.take(_key(name))
            return NotEnrolled(reason=Reason.CHALLENGE_OVER, session=session, method="push")
        if enrolment is None:
            return PhoneAwaited(begun=_push_begun(unfinished, name, session))
        return await self._add(visit, session, name, dataclasses.replace(enrolment, level=unfinished.level))

    async def remove(self, visit: Visit, enrolment_id: str) -> Removed | ProofNeeded | NotEnrolled | None:
        session = await session_of(self._sessions, visit)
        if session is None:
            return None
        owner = owner_of(session.person)
        enrolment = next(
            (known for known in await self._enrolments.every(owner) if known.enrolment_id == enrolment_id),
            None,
        )
        if enrolment is None:
            return NotEnrolled(reason=Reason.CHALLENGE_OVER, session=session)
        demand = await self._method_changes.demand(session.person, REMOVING)
        if demand.proof_of(session, visit.now) is None:
            return ProofNeeded(route=REMOVING, session=session)
        if not await self._enrolments.remove(owner, enrolment_id):
            return NotEnrolled(reason=Reason.CHALLENGE_OVER, session=session)
        if self._push is not None and enrolment.device_id is not None:
            await self._push.forget(enrolment)
        await self._tell(visit, session, "removed", enrolment.method)
        return Removed(enrolment=enrolment, session=session)

    async def _make_recovery(
        self, visit: Visit, session: Session, _label: str, level: Level
    ) -> RecoveryMade | NotEnrolled:
        """If the person asks several times at the same moment, only one answer shows a sheet, so that every
        sheet that is shown works."""
        owner = owner_of(session.person)
        enrolments = await self._enrolments.every(owner)
        earlier = next((known.enrolment_id for known in enrolments if known.method == "recovery"), None)
        codes = new_codes(self._random_below)
        listing = Enrolment(
            enrolment_id=self._random_text(12),
            method="recovery",
            label="",
            enrolled_at=visit.now,
            level=level,
        )
        if not await self._enrolments.make_recovery(
            owner, await hashes_of(owner, codes, cost=self._sheet_cost), listing, instead_of=earlier
        ):
            return NotEnrolled(reason=Reason.CHALLENGE_OVER, session=session, method="recovery")
        await self._tell(visit, session, "enrolled", "recovery")
        return RecoveryMade(codes=codes, session=session)

    async def _begin_totp(self, visit: Visit, session: Session, label: str, level: Level) -> TotpBegun:
        unfinished = _UnfinishedEnrolment(
            owner=owner_of(session.person),
            session_id=session.session_id,
            method="totp",
            enrolment_id=self._random_text(12),
            label=printable_line(label)[:_LONGEST_LABEL],
            secret=secret_of(self._random_bytes(SECRET_SIZE)),
            expires_at=visit.now + _UNFINISHED_FOR,
            level=level,
        )
        return self._totp_begun(unfinished, await self._keep(unfinished), session)

    async def _begin_push(
        self, push: PushEnrolling, visit: Visit, session: Session, label: str, level: Level
    ) -> PushBegun:
        enrolment_id, activation_code, until = await push.begin(session.person, now=visit.now)
        unfinished = _UnfinishedEnrolment(
            owner=owner_of(session.person),
            session_id=session.session_id,
            method="push",
            enrolment_id=enrolment_id,
            label=printable_line(label)[:_LONGEST_LABEL],
            secret=activation_code,
            expires_at=min(until, visit.now + _UNFINISHED_FOR),
            level=level,
        )
        return _push_begun(unfinished, await self._keep(unfinished), session)

    async def _keep(self, unfinished: _UnfinishedEnrolment) -> str:
        name = self._random_text(32)
        await self._unfinished.put(_key(name), unfinished.octets(), _UNFINISHED_FOR)
        return name

    def _totp_begun(self, unfinished: _UnfinishedEnrolment, name: str, session: Session) -> TotpBegun:
        uri = uri_of(
            unfinished.secret,
            account=session.person.email or session.person.subject_for_portals,
            issuer=self._issuer_name,
        )
        return TotpBegun(
            name=name, secret=unfinished.secret, uri=uri, expires_at=unfinished.expires_at, session=session
        )

    async def _add(
        self, visit: Visit, session: Session, name: str, enrolment: Enrolment
    ) -> Enrolled | NotEnrolled:
        if await self._unfinished.take(_key(name)) is None:
            return NotEnrolled(reason=Reason.CHALLENGE_OVER, session=session)  # the second click of two
        if not await self._enrolments.add(owner_of(session.person), enrolment):
            return NotEnrolled(reason=Reason.STEP_UP_TOO_OFTEN, session=session, method=enrolment.method)
        await self._tell(visit, session, "enrolled", enrolment.method)
        return Enrolled(enrolment=enrolment, session=session)

    async def _tell(self, visit: Visit, session: Session, change: Change, method: EnrolledMethod) -> None:
        await self._notices.tell(
            session.person, change=change, method=method, portal_id=visit.portal_id, locale=visit.locale
        )


_Begin = Callable[[Visit, Session, str, Level], Awaitable[TotpBegun | PushBegun | RecoveryMade | NotEnrolled]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _UnfinishedEnrolment:
    """An application that waits for its first code, or a phone that waits to be activated. `secret` of a
    phone is its activation code, which can be shown again."""

    owner: tuple[str, ...] = field(repr=False)
    session_id: str
    method: EnrolledMethod
    enrolment_id: str
    label: str = field(repr=False)
    secret: str = field(repr=False)
    expires_at: datetime
    level: Level

    def is_of(self, session: Session) -> bool:
        return (self.owner, self.session_id) == (owner_of(session.person), session.session_id)

    def octets(self) -> bytes:
        return json.dumps(dataclasses.asdict(self) | {"expires_at": self.expires_at.isoformat()}).encode()

    @classmethod
    def read(cls, octets: bytes) -> _UnfinishedEnrolment | None:
        """None if another version of the gateway has written the record in another format."""
        try:
            fields = json.loads(octets)
            until, level = datetime.fromisoformat(fields["expires_at"]), Level(fields["level"])
            return cls(**fields | {"owner": tuple(fields["owner"]), "expires_at": until, "level": level})
        except (ValueError, TypeError, KeyError):
            return None

    def enrolment(self, now: datetime) -> Enrolment:
        return Enrolment(
            enrolment_id=self.enrolment_id,
            method=self.method,
            label=self.label,
            enrolled_at=now,
            secret=self.secret,
            level=self.level,
        )


def _push_begun(unfinished: _UnfinishedEnrolment, name: str, session: Session) -> PushBegun:
    return PushBegun(
        name=name, activation_code=unfinished.secret, expires_at=unfinished.expires_at, session=session
    )


def _key(name: str) -> str:
    return f"enrolment:{name}"
