"""What people enrol to prove themselves with, and take away again, on the page about their session.

Which proof comes first, `method_changes` says: whoever has got hold of an open session or of the account at
the provider can neither put a phone of their own in nor take the person's out. An enrolment carries the level
of trust at which it was made, which is never above that of the proof before it. What has changed is told to
the person by a message.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Protocol

from authproxy.access.decision import Reason
from authproxy.challenges.enrolment import EnrolledMethod, Enrolment, owner_of
from authproxy.challenges.notices import Change, Tells
from authproxy.challenges.push import EnrolmentFailed
from authproxy.challenges.recovery import COST, Cost, fresh_codes, hashes_of
from authproxy.challenges.sms import Numbers, masked
from authproxy.challenges.totp import SECRET_SIZE, matching_step, secret_of, uri_of
from authproxy.flows.held.requests import KeptStore
from authproxy.flows.step_up.method_changes import ANY_PROOF, OTHER_PROOF, MethodChanges
from authproxy.flows.stores import SessionStore
from authproxy.flows.visit import Visit, session_of
from authproxy.identity.assurance import Level
from authproxy.identity.person import Person
from authproxy.identity.session import Session

_BEGUN_FOR: Final = timedelta(minutes=10)
_BEGUN_PER_HOUR: Final = 30
"""What was begun is kept for ten minutes, finished or not: a script must not fill the store with it. A sheet
of recovery codes takes seconds of a processor."""
_LONGEST_LABEL: Final = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolmentList:
    """`possible` are the methods that can be added. Whether a fresh proof comes first is said when something
    is asked for."""

    session: Session
    enrolments: tuple[Enrolment, ...]
    recovery_left: int
    possible: tuple[EnrolledMethod, ...]
    phone: str | None = field(default=None, repr=False)
    """Masked: where codes are sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TotpBegun:
    """The secret is shown once. `name` names what waits for its first code."""

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
    """All codes, shown once; those that there were before are worth nothing any more."""

    codes: tuple[str, ...] = field(repr=False)
    session: Session


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofNeeded:
    """A fresh proof comes first. `route` is what the step-up page is asked for."""

    route: str
    session: Session


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
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
    """Nothing has changed. `begun` is there where another answer may be given."""

    reason: Reason
    session: Session
    method: EnrolledMethod | None = None
    begun: TotpBegun | None = None
    until: datetime | None = None


class EnrolmentStore(Protocol):
    async def every(self, owner: tuple[str, ...]) -> Sequence[Enrolment]: ...
    async def add(self, owner: tuple[str, ...], enrolment: Enrolment) -> bool: ...
    async def remove(self, owner: tuple[str, ...], enrolment_id: str) -> bool: ...
    async def accept_step(self, enrolment_id: str, step: int) -> bool: ...
    async def make_recovery(
        self, owner: tuple[str, ...], hashes: Sequence[str], listing: Enrolment, *, instead_of: str | None
    ) -> bool: ...
    async def recovery_left(self, owner: tuple[str, ...]) -> int: ...


class Limits(Protocol):
    async def reserve(self, name: str, *, pause: timedelta, per_hour: int, now: datetime) -> datetime | None:
        """Counts a beginning and returns None if it is allowed now; otherwise returns when the next one
        is."""
        ...


class PushEnrolling(Protocol):
    async def begin(self, person: Person, *, now: datetime) -> tuple[str, str, datetime]:
        """The enrolment's id, the code to type into the phone, and until when. Raises CannotAsk."""
        ...

    async def finish(self, enrolment_id: str, *, label: str, now: datetime) -> Enrolment | None:
        """None while no phone has come. Raises CannotAsk, EnrolmentFailed."""
        ...

    async def forget(self, enrolment: Enrolment) -> None:
        """The phone is nobody's here any more."""
        ...


class Enrolling:
    """Every method raises CannotAsk, and gives None where nobody is signed in at the portal."""

    def __init__(  # noqa: PLR0913  (what is needed is handed over, not looked up)
        self,
        *,
        sessions: SessionStore,
        store: EnrolmentStore,
        begun: KeptStore,
        limits: Limits,
        push: PushEnrolling | None,
        numbers: Numbers,
        notices: Tells,
        changes: MethodChanges,
        issuer_name: str,
        fresh: Callable[[int], str],
        random_bytes: Callable[[int], bytes],
        below: Callable[[int], int],
        sheet_cost: Cost = COST,
    ) -> None:
        """`issuer_name` is what authenticator applications call us."""
        self._sessions = sessions
        self._store = store
        self._begun = begun
        self._limits = limits
        self._push = push
        self._numbers = numbers
        self._notices = notices
        self._changes = changes
        self._issuer_name = issuer_name
        self._fresh = fresh
        self._random_bytes = random_bytes
        self._below = below
        self._sheet_cost = sheet_cost

    async def listed(self, visit: Visit) -> EnrolmentList | None:
        session = await session_of(self._sessions, visit)
        if session is None:
            return None
        owner = owner_of(session.person)
        number = await self._numbers.number_of(session.person)
        return EnrolmentList(
            session=session,
            enrolments=tuple(await self._store.every(owner)),
            recovery_left=await self._store.recovery_left(owner),
            possible=("totp", "push", "recovery") if self._push is not None else ("totp", "recovery"),
            phone=None if number is None else masked(number),
        )

    async def begin(
        self, visit: Visit, method: str, label: str
    ) -> TotpBegun | PushBegun | RecoveryMade | ProofNeeded | NotEnrolled | None:
        """Starts to add a method. Nothing of it counts before `finish`, but for recovery codes, which need
        none."""
        session = await session_of(self._sessions, visit)
        if session is None:
            return None
        if method not in OTHER_PROOF or (method == "push" and self._push is None):
            return NotEnrolled(reason=Reason.STEP_UP_IMPOSSIBLE, session=session)
        demand = await self._changes.demand(session.person, OTHER_PROOF[method])
        proof = demand.proof_of(session, visit.now)
        if proof is None:
            return ProofNeeded(route=OTHER_PROOF[method], session=session)
        level = min(session.level, proof.worth)
        until = await self._limits.reserve(
            "\0".join(("begun", *owner_of(session.person))),
            pause=timedelta(0),
            per_hour=_BEGUN_PER_HOUR,
            now=visit.now,
        )
        if until is not None:
            return NotEnrolled(reason=Reason.STEP_UP_TOO_OFTEN, session=session, until=until)
        if method == "recovery":
            return await self._make_recovery(visit, session, level)
        if method == "push" and self._push is not None:
            return await self._begin_push(visit, session, self._push, label, level)
        return await self._begin_totp(visit, session, label, level)

    async def finish(self, visit: Visit, name: str, typed: str) -> Enrolled | Waiting | NotEnrolled | None:
        """Ends what was begun: with the first code of an application, or once the phone has come."""
        session = await session_of(self._sessions, visit)
        if session is None:
            return None
        octets = await self._begun.get(_key(name))
        begun = None if octets is None else _Begun.read(octets)
        # What was begun in another session may have been begun by whoever had that one.
        if begun is None or not begun.is_of(session) or visit.now >= begun.expires_at:
            return NotEnrolled(reason=Reason.CHALLENGE_OVER, session=session)
        if begun.method == "totp":
            step = matching_step(begun.secret, typed, visit.now)
            if step is None or not await self._store.accept_step(begun.enrolment_id, step):
                return NotEnrolled(
                    reason=Reason.CODE_WRONG,
                    session=session,
                    method="totp",
                    begun=self._shown(begun, name, session),
                )
            return await self._add(visit, session, name, begun.enrolment(visit.now))
        if self._push is None:
            return NotEnrolled(reason=Reason.STEP_UP_IMPOSSIBLE, session=session, method="push")
        try:
            enrolment = await self._push.finish(begun.enrolment_id, label=begun.label, now=visit.now)
        except EnrolmentFailed:
            await self._begun.take(_key(name))
            return NotEnrolled(reason=Reason.CHALLENGE_OVER, session=session, method="push")
        if enrolment is None:
            return Waiting(
                begun=PushBegun(
                    name=name, activation_code=begun.secret, expires_at=begun.expires_at, session=session
                )
            )
        return await self._add(visit, session, name, dataclasses.replace(enrolment, level=begun.level))

    async def remove(self, visit: Visit, enrolment_id: str) -> Removed | ProofNeeded | NotEnrolled | None:
        session = await session_of(self._sessions, visit)
        if session is None:
            return None
        owner = owner_of(session.person)
        enrolment = next(
            (each for each in await self._store.every(owner) if each.enrolment_id == enrolment_id), None
        )
        if enrolment is None:
            return NotEnrolled(reason=Reason.CHALLENGE_OVER, session=session)
        demand = await self._changes.demand(session.person, ANY_PROOF)
        if demand.proof_of(session, visit.now) is None:
            return ProofNeeded(route=ANY_PROOF, session=session)
        if not await self._store.remove(owner, enrolment_id):
            return NotEnrolled(reason=Reason.CHALLENGE_OVER, session=session)
        if enrolment.method == "push" and self._push is not None:
            await self._push.forget(enrolment)
        await self._tell(visit, session, "removed", enrolment.method)
        return Removed(enrolment=enrolment, session=session)

    async def _make_recovery(
        self, visit: Visit, session: Session, level: Level
    ) -> RecoveryMade | NotEnrolled:
        """Of many who ask at the same moment one sees a sheet: every sheet that is shown works."""
        owner = owner_of(session.person)
        earlier = next(
            (each.enrolment_id for each in await self._store.every(owner) if each.method == "recovery"), None
        )
        codes = fresh_codes(self._below)
        listing = Enrolment(
            enrolment_id=self._fresh(12), method="recovery", label="", enrolled_at=visit.now, level=level
        )
        if not await self._store.make_recovery(
            owner, await hashes_of(owner, codes, cost=self._sheet_cost), listing, instead_of=earlier
        ):
            return NotEnrolled(reason=Reason.CHALLENGE_OVER, session=session, method="recovery")
        await self._tell(visit, session, "enrolled", "recovery")
        return RecoveryMade(codes=codes, session=session)

    async def _begin_totp(self, visit: Visit, session: Session, label: str, level: Level) -> TotpBegun:
        begun = _Begun(
            owner=owner_of(session.person),
            session_id=session.session_id,
            method="totp",
            enrolment_id=self._fresh(12),
            label=_tidied(label),
            secret=secret_of(self._random_bytes(SECRET_SIZE)),
            expires_at=visit.now + _BEGUN_FOR,
            level=level,
        )
        return self._shown(begun, await self._keep(begun), session)

    async def _begin_push(
        self, visit: Visit, session: Session, push: PushEnrolling, label: str, level: Level
    ) -> PushBegun:
        enrolment_id, activation_code, until = await push.begin(session.person, now=visit.now)
        begun = _Begun(
            owner=owner_of(session.person),
            session_id=session.session_id,
            method="push",
            enrolment_id=enrolment_id,
            label=_tidied(label),
            secret=activation_code,
            expires_at=min(until, visit.now + _BEGUN_FOR),
            level=level,
        )
        name = await self._keep(begun)
        return PushBegun(
            name=name, activation_code=activation_code, expires_at=begun.expires_at, session=session
        )

    async def _keep(self, begun: _Begun) -> str:
        name = self._fresh(32)
        await self._begun.put(_key(name), begun.octets(), _BEGUN_FOR)
        return name

    def _shown(self, begun: _Begun, name: str, session: Session) -> TotpBegun:
        uri = uri_of(
            begun.secret,
            account=session.person.email or session.person.subject_for_portals,
            issuer=self._issuer_name,
        )
        return TotpBegun(
            name=name, secret=begun.secret, uri=uri, expires_at=begun.expires_at, session=session
        )

    async def _add(
        self, visit: Visit, session: Session, name: str, enrolment: Enrolment
    ) -> Enrolled | NotEnrolled:
        if await self._begun.take(_key(name)) is None:
            return NotEnrolled(reason=Reason.CHALLENGE_OVER, session=session)  # the second click of two
        if not await self._store.add(owner_of(session.person), enrolment):
            return NotEnrolled(reason=Reason.STEP_UP_TOO_OFTEN, session=session, method=enrolment.method)
        await self._tell(visit, session, "enrolled", enrolment.method)
        return Enrolled(enrolment=enrolment, session=session)

    async def _tell(self, visit: Visit, session: Session, change: Change, method: EnrolledMethod) -> None:
        await self._notices.tell(
            session.person, change=change, method=method, portal_id=visit.portal_id, locale=visit.locale
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Begun:
    """What waits for its first code, or for its phone. `secret` of a phone is the activation code, to be
    shown again."""

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
    def read(cls, octets: bytes) -> _Begun | None:
        """None for what another version of the gateway has written in another shape."""
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


def _key(name: str) -> str:
    return f"enrolment:{name}"


def _tidied(label: str) -> str:
    """A name for a phone, as people type it: printable, on one line, of a length that a list can show."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in label).split())[:_LONGEST_LABEL]
