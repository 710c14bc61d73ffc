"""PURE: which phone each account has, and how a phone shows that it is the one."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from authproxy.sandbox.installation import Installation


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    id: str
    email: str = field(repr=False)
    token_hash: str = field(repr=False)


class Devices:
    """One phone for each account: the next takes the place of the one before. Its one-time code secret is
    kept with the account."""

    def __init__(self, installed: Iterable[Installation] = ()) -> None:
        self._by_email: dict[str, Device] = {}
        for one in installed:
            self.add(email=one.email, device_id=one.device_id, token=one.device_token)

    def of(self, email: str) -> Device | None:
        return self._by_email.get(email)

    def authenticated(self, device_id: str, token: str) -> Device | None:
        """The phone of this identifier, if the token is its own."""
        given = _hash(token)
        found = next((device for device in self._by_email.values() if device.id == device_id), None)
        return found if found is not None and hmac.compare_digest(found.token_hash, given) else None

    def add(self, *, email: str, device_id: str, token: str) -> bool:
        """True if another phone had to go for it."""
        had_one = email in self._by_email
        # A token has 256 random bits: a fast hash keeps it.
        self._by_email[email] = Device(id=device_id, email=email, token_hash=_hash(token))
        return had_one

    def remove(self, device: Device) -> None:
        self._by_email.pop(device.email, None)

    def snapshot(self) -> list[dict[str, str]]:
        return [asdict(device) for device in self._by_email.values()]

    def restore(self, snapshot: list[dict[str, Any]]) -> None:
        """Puts exactly these in place. Raises TypeError for what `snapshot` did not write."""
        self._by_email = {device.email: device for device in (Device(**members) for members in snapshot)}


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
