"""PURE: the phone of each account, and how a phone authenticates."""

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
    """One phone for each account; a new phone replaces the previous one. The account keeps the phone's code
    secret."""

    def __init__(self, installed: Iterable[Installation] = ()) -> None:
        self._by_email: dict[str, Device] = {}
        for installation in installed:
            self.add(
                email=installation.email, device_id=installation.device_id, token=installation.device_token
            )

    def of(self, email: str) -> Device | None:
        return self._by_email.get(email)

    def authenticated(self, device_id: str, token: str) -> Device | None:
        """The phone with this identifier, if the token is right."""
        given = _hash(token)
        device = next((other for other in self._by_email.values() if other.id == device_id), None)
        return device if device is not None and hmac.compare_digest(device.token_hash, given) else None

    def add(self, *, email: str, device_id: str, token: str) -> bool:
        """Adds a phone. True if it replaces another one."""
        had_one = email in self._by_email
        # A fast hash is enough, because a token has 256 random bits.
        self._by_email[email] = Device(id=device_id, email=email, token_hash=_hash(token))
        return had_one

    def remove(self, device: Device) -> None:
        self._by_email.pop(device.email, None)

    def snapshot(self) -> list[dict[str, str]]:
        return [asdict(device) for device in self._by_email.values()]

    def restore(self, snapshot: list[dict[str, Any]]) -> None:
        """Replaces all phones. Raises TypeError for data that `snapshot` did not write."""
        self._by_email = {device.email: device for device in (Device(**members) for members in snapshot)}


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
