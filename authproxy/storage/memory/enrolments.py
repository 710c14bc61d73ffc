"""Enrolments and recovery codes, in memory."""

from __future__ import annotations

from collections.abc import Sequence

from authproxy.challenges.enrolment import Enrolment, EverybodysMethods, OwnedMethods, RecoverySheet
from authproxy.storage import retention

_Owner = tuple[str, ...]


class MemoryEnrolments:
    def __init__(self) -> None:
        self._enrolments: dict[_Owner, dict[str, Enrolment]] = {}
        self._recovery: dict[_Owner, set[str]] = {}
        self._listings: dict[_Owner, Enrolment] = {}
        self._steps: dict[str, int] = {}

    async def of(self, owner: _Owner) -> tuple[Enrolment, ...]:
        return tuple(
            enrolment
            for enrolment in await self.every(owner)
            if enrolment.enrolled_at > retention.ENROLLED_AT_UNKNOWN
        )

    async def every(self, owner: _Owner) -> tuple[Enrolment, ...]:
        enrolments = [
            *self._enrolments.get(owner, {}).values(),
            *([self._listings[owner]] if owner in self._listings else []),
        ]
        return tuple(
            sorted(enrolments, key=lambda enrolment: (enrolment.enrolled_at, enrolment.enrolment_id))
        )

    async def add(
        self, owner: _Owner, enrolment: Enrolment, *, most: int = retention.ENROLMENTS_PER_PERSON
    ) -> bool:
        enrolments = self._enrolments.setdefault(owner, {})
        if len(enrolments) >= most or enrolment.enrolment_id in enrolments:
            return False
        enrolments[enrolment.enrolment_id] = enrolment
        return True

    async def remove(self, owner: _Owner, enrolment_id: str) -> bool:
        if owner in self._listings and self._listings[owner].enrolment_id == enrolment_id:
            await self.put_recovery(owner, ())
            return True
        return self._enrolments.get(owner, {}).pop(enrolment_id, None) is not None

    async def remove_all(self, owners: Sequence[_Owner]) -> None:
        for owner in owners:
            self._enrolments.pop(owner, None)
            self._recovery.pop(owner, None)
            self._listings.pop(owner, None)

    async def accept_step(self, enrolment_id: str, step: int) -> bool:
        if self._steps.get(enrolment_id, -1) >= step:
            return False
        self._steps[enrolment_id] = step
        return True

    async def make_recovery(
        self, owner: _Owner, hashes: Sequence[str], listing: Enrolment, *, instead_of: str | None
    ) -> bool:
        earlier = self._listings.get(owner)
        if (None if earlier is None else earlier.enrolment_id) != instead_of:
            return False
        self._recovery[owner], self._listings[owner] = set(hashes), listing
        return True

    async def put_recovery(self, owner: _Owner, hashes: Sequence[str]) -> None:
        self._recovery[owner] = set(hashes)
        self._listings.pop(owner, None)
        if hashes:
            self._listings[owner] = Enrolment(
                enrolment_id="recovery",
                method="recovery",
                label="",
                enrolled_at=retention.ENROLLED_AT_UNKNOWN,
            )

    async def spend_recovery(self, owner: _Owner, code_hash: str) -> bool:
        codes = self._recovery.get(owner, set())
        is_valid = code_hash in codes
        codes.discard(code_hash)
        return is_valid

    async def recovery_left(self, owner: _Owner) -> int:
        return len(self._recovery.get(owner, ()))

    async def reseal(self) -> int:
        return 0

    async def everybodys(self) -> EverybodysMethods:
        owners = sorted({*self._enrolments, *self._recovery})
        owned = [
            OwnedMethods(
                owner=owner,
                enrolments=tuple(self._enrolments.get(owner, {}).values()),
                recovery=self._sheet(owner),
            )
            for owner in owners
            if self._enrolments.get(owner) or self._recovery.get(owner)
        ]
        return EverybodysMethods(tuple(owned), 0)

    async def put_back(self, methods: OwnedMethods) -> bool:
        if await self.every(methods.owner) or self._recovery.get(methods.owner):
            return False
        if methods.enrolments:
            self._enrolments[methods.owner] = {each.enrolment_id: each for each in methods.enrolments}
        if methods.recovery is not None:
            await self.put_recovery(methods.owner, methods.recovery.codes)
            if methods.recovery.listing is not None:
                self._listings[methods.owner] = methods.recovery.listing
        return True

    def _sheet(self, owner: _Owner) -> RecoverySheet | None:
        codes, listing = self._recovery.get(owner), self._listings.get(owner)
        if not codes:
            return None
        is_listed = listing is not None and listing.enrolled_at > retention.ENROLLED_AT_UNKNOWN
        return RecoverySheet(set_id="", codes=tuple(sorted(codes)), listing=listing if is_listed else None)
