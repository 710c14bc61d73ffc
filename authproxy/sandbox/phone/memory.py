"""What the phone keeps: its accounts and its PIN, in memory or in a file that only its owner reads."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from authproxy.sandbox.installation import Installation, Link


class BrokenStateError(Exception):
    """The file does not hold what a phone has written. It is left as it is; the text names the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    accounts: tuple[Installation, ...] = ()
    links: tuple[Link, ...] = ()
    """Relying parties that this phone answers."""
    pin: str | None = field(default=None, repr=False)
    """A hash of `pin.hashed`; None: anybody may use the phone."""
    wrong_pins: int = 0
    wait_until: datetime | None = None

    def with_account(self, account: Installation) -> Kept:
        """One entry for each e-mail address: the newest."""
        others = (one for one in self.accounts if one.email != account.email)
        return replace(self, accounts=(*others, account))

    def without_account(self, device_id: str) -> Kept:
        return replace(self, accounts=tuple(one for one in self.accounts if one.device_id != device_id))

    def with_link(self, link: Link) -> Kept:
        return replace(self, links=(*self.links, link))

    def without_link(self, device_id: str) -> Kept:
        return replace(self, links=tuple(one for one in self.links if one.device_id != device_id))


class Memory:
    """`kept` is what holds now. With a file, what it holds comes before what the phone would begin with."""

    def __init__(self, begin: Kept, file: Path | None) -> None:
        """Raises BrokenStateError."""
        self._file = file
        if file is not None and file.exists():
            self.kept = _read(file, begin)
        else:
            self.keep(begin)

    def keep(self, kept: Kept) -> None:
        """Holds from now on. A file is replaced as a whole, so that a crash leaves the old one or the new
        one."""
        self.kept = kept
        if self._file is not None:
            _write(self._file, json.dumps(_as_json(kept), ensure_ascii=False, indent=1))


def _as_json(kept: Kept) -> dict[str, Any]:
    return asdict(kept) | {"wait_until": kept.wait_until.isoformat() if kept.wait_until is not None else None}


def _read(file: Path, begin: Kept) -> Kept:
    """A file from before there were links leaves those that the phone begins with."""
    try:
        members = json.loads(file.read_text(encoding="utf-8"))
        accounts = tuple(Installation(**account) for account in members.pop("accounts"))
        links = tuple(Link(**link) for link in members.pop("links")) if "links" in members else begin.links
        wait_until = members.pop("wait_until")
        waits = datetime.fromisoformat(wait_until) if wait_until is not None else None
        return Kept(accounts=accounts, links=links, wait_until=waits, **members)
    except (ValueError, TypeError, KeyError, AttributeError) as fault:
        raise BrokenStateError(
            f"{file} is not the state of a phone ({type(fault).__name__}); repair it or take it away"
        ) from None


def _write(file: Path, text: str) -> None:
    beside = file.with_name(f".{file.name}.new")
    with os.fdopen(
        os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8"
    ) as opened:
        opened.write(text)
        opened.flush()
        os.fsync(opened.fileno())
    beside.replace(file)
