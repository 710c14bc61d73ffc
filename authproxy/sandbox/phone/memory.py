"""What the phone keeps: its accounts and its PIN, in memory or in a file that only its owner reads."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from authproxy.sandbox import private_files
from authproxy.sandbox.installation import Installation, Link


class BrokenPhoneStateError(Exception):
    """The file does not hold what a phone has written. It is left as it is; the text names the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneState:
    accounts: tuple[Installation, ...] = ()
    links: tuple[Link, ...] = ()
    """Relying parties that this phone answers."""
    pin: str | None = field(default=None, repr=False)
    """A hash of `pin.hashed`; None: anybody may use the phone."""
    wrong_pins: int = 0
    wait_until: datetime | None = None

    def with_account(self, account: Installation) -> PhoneState:
        """One entry for each e-mail address: the newest."""
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
    """`state` is what holds now. With a file, what it holds comes before what the phone would begin with."""

    def __init__(self, initial: PhoneState, file: Path | None) -> None:
        """Raises BrokenPhoneStateError."""
        self._file = file
        if file is not None and file.exists():
            self.state = _read(file, initial)
        else:
            self.save(initial)

    def save(self, state: PhoneState) -> None:
        """Holds from now on. A file is replaced as a whole, so that a crash leaves the old one or the new
        one."""
        self.state = state
        if self._file is not None:
            private_files.replace(self._file, json.dumps(_as_json(state), ensure_ascii=False, indent=1))


def _as_json(state: PhoneState) -> dict[str, Any]:
    return asdict(state) | {
        "wait_until": state.wait_until.isoformat() if state.wait_until is not None else None
    }


def _read(file: Path, initial: PhoneState) -> PhoneState:
    """A file from before there were links leaves those that the phone begins with."""
    try:
        members = json.loads(file.read_text(encoding="utf-8"))
        accounts = tuple(Installation(**account) for account in members.pop("accounts"))
        links = tuple(Link(**link) for link in members.pop("links")) if "links" in members else initial.links
        wait_until = members.pop("wait_until")
        waits = datetime.fromisoformat(wait_until) if wait_until is not None else None
        return PhoneState(accounts=accounts, links=links, wait_until=waits, **members)
    except (ValueError, TypeError, KeyError, AttributeError) as fault:
        raise BrokenPhoneStateError(
            f"{file} is not the state of a phone ({type(fault).__name__}); repair it or take it away"
        ) from None
