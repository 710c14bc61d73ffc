"""PURE: enrolments of phones at relying parties, the codes by which phones find them, and the linked phones.

The service keeps no keys: it passes a phone's public key and proof on, and the relying party judges them.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

from authproxy.sandbox.identity_provider.expiring import ExpiringEntries
from authproxy.sandbox.installation import Link

CODE_LENGTH = 6
"""The service's part of an activation code. Only relying party and phone know the rest."""
_REMEMBERED_FOR = timedelta(minutes=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrivedPhone:
    """A phone whose person has typed the code. `public_key` and `proof` are base64url and are passed on
    unread."""

    device_id: str
    device_name: str
    public_key: str
    proof: str = field(repr=False)


@dataclass(slots=True, kw_only=True)
class PhoneEnrolment:
    """A relying party that waits for a phone."""

    enrolment_id: str
    code: str = field(repr=False)
    relying_party: str
    account: str = field(repr=False)
    expires_at: datetime
    phone: ArrivedPhone | None = None


class PhoneEnrolments:
    """Enrolments by identifier and by code. A code is valid until a phone has used it or its time is over."""

    def __init__(self, clock: Callable[[], datetime], random_bytes: Callable[[int], bytes]) -> None:
        self._clock = clock
        self._random_bytes = random_bytes
        self._by_id: ExpiringEntries[PhoneEnrolment] = ExpiringEntries(clock, _REMEMBERED_FOR)
        self._by_code: ExpiringEntries[PhoneEnrolment] = ExpiringEntries(clock, _REMEMBERED_FOR)

    def begin(
        self, enrolment_id: str, *, relying_party: str, account: str, expires_at: datetime
    ) -> PhoneEnrolment | None:
        """None if the identifier is taken."""
        code = base64.b32encode(self._random_bytes(5)).decode()[:CODE_LENGTH]
        enrolment = PhoneEnrolment(
            enrolment_id=enrolment_id,
            code=code,
            relying_party=relying_party,
            account=account,
            expires_at=expires_at,
        )
        if code in self._by_code or not self._by_id.add(enrolment_id, enrolment):
            return None
        self._by_code.put(code, enrolment)
        return enrolment

    def find(self, enrolment_id: str) -> PhoneEnrolment | None:
        enrolment = self._by_id.get(enrolment_id)
        return (
            enrolment
            if enrolment is not None and (enrolment.phone is not None or self._clock() < enrolment.expires_at)
            else None
        )

    def waiting(self, code: str) -> PhoneEnrolment | None:
        enrolment = self._by_code.get(code)
        return (
            enrolment
            if enrolment is not None and enrolment.phone is None and self._clock() < enrolment.expires_at
            else None
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkedPhone:
    device_id: str
    token_hash: str = field(repr=False)


class LinkedPhones:
    """Linked phones by the identifier that a phone chooses: 128 random bits."""

    def __init__(self, linked: Iterable[Link] = ()) -> None:
        self._by_id: dict[str, LinkedPhone] = {}
        for link in linked:
            self.add(link.device_id, link.device_token)

    def add(self, device_id: str, token: str) -> bool:
        """False if the identifier is taken."""
        if device_id in self._by_id:
            return False
        # A fast hash is enough, because a token has 256 random bits.
        self._by_id[device_id] = LinkedPhone(device_id=device_id, token_hash=_hash(token))
        return True

    def authenticated(self, device_id: str, token: str) -> bool:
        phone = self._by_id.get(device_id)
        return phone is not None and hmac.compare_digest(phone.token_hash, _hash(token))

    def remove(self, device_id: str) -> bool:
        return self._by_id.pop(device_id, None) is not None

    def __contains__(self, device_id: str) -> bool:
        return device_id in self._by_id

    def snapshot(self) -> list[dict[str, str]]:
        return [asdict(phone) for phone in self._by_id.values()]

    def restore(self, snapshot: list[dict[str, Any]]) -> None:
        """Replaces all phones. Raises TypeError for data that `snapshot` did not write."""
        self._by_id = {phone.device_id: phone for phone in (LinkedPhone(**members) for members in snapshot)}


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
