"""What the phone keeps: accounts, links and PIN, in memory or in a private file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from authproxy.sandbox import private_files
from authproxy.sandbox.installation import Installation, Link


class BrokenPhoneStateError(Exception):
    """A phone has not written this file. It stays unchanged; the text names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneState:
    accounts: tuple[Installation, ...] = ()
    links: tuple[Link, ...] = ()
    """The relying parties that this phone answers."""
    pin: str | None = field(default=None, repr=False)
    """The result of `pin.hashed`; None: no PIN is set."""
    wrong_pins: int = 0
    wait_until: datetime | None = None

    def with_account(self, account: Installation) -> PhoneState:
        """Adds the account; it replaces one with the same e-mail address."""
        others = (other for other in self.accounts if other.email != account.email)
        return replace(self, accounts=(*others, account))

    def without_account(self, device_id: str) -> PhoneState:
        return replace(
            self, accounts=tuple(account for account in self.accounts if account.device_id != device_id)
        )

    def with_link(self, link: Link) -> PhoneState:
        return replace(self, links=(*self.links, link))

    def without_link(self, device_id: str) -> PhoneState:
        return replace(self, links=tuple(link for link in self.links if link.device_id != device_id))


class Memory:
    """`state` is the current state. If there is a file, it begins with the file's content instead of
    `initial`."""

    def __init__(self, initial: PhoneState, file: Path | None) -> None:
        """Raises BrokenPhoneStateError."""
        self._file = file
        if file is not None and file.exists():
            self.state = _read(file, initial)
        else:
            self.save(initial)

    def save(self, state: PhoneState) -> None:
        """Sets the current state, and writes the file."""
        self.state = state
        if self._file is not None:
            private_files.replace(self._file, json.dumps(_as_json(state), ensure_ascii=False, indent=1))


def _as_json(state: PhoneState) -> dict[str, Any]:
    return asdict(state) | {
        "wait_until": state.wait_until.isoformat() if state.wait_until is not None else None
    }


def _read(file: Path, initial: PhoneState) -> PhoneState:
    """The file's state. An old file has no links; then those of `initial` stay."""
    try:
        members = json.loads(file.read_text(encoding="utf-8"))
        accounts = tuple(Installation(**account) for account in members.pop("accounts"))
        links = tuple(Link(**link) for link in members.pop("links")) if "links" in members else initial.links
        wait_until = members.pop("wait_until")
        waits = datetime.fromisoformat(wait_until) if wait_until is not None else None
        return PhoneState(accounts=accounts, links=links, wait_until=waits, **members)
    except (ValueError, TypeError, KeyError, AttributeError) as fault:
        raise BrokenPhoneStateError(
            f"{file} is not the state of a phone ({type(fault).__name__}); repair it or move it away"
        ) from None
