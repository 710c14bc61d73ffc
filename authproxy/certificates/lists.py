"""Keeps revocation lists: fetches them in advance, keeps the last good one, never replaces one by an older
one, and shares them with the other instances. A list from the store is checked like one from the network."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from authproxy.access.unavailable import CannotAsk
from authproxy.certificates import crl
from authproxy.certificates.addresses import SourceAddress
from authproxy.certificates.crl import RevocationList
from authproxy.certificates.fetching import Fetcher, FetchLimits, NoAnswer
from authproxy.certificates.pauses import Pauses
from authproxy.certificates.status import UnusableEvidence
from authproxy.telemetry.logging import logger

_RETRY = timedelta(minutes=1)
_AT_MOST = 256
"""How many lists are kept because certificates name them."""


class RevocationStore(Protocol):
    """Stores octets for all instances. Raises CannotAsk while it is unavailable; lists work without it. (A
    Protocol, because certificates must not import storage.)"""

    async def get(self, key: str) -> bytes | None: ...

    async def put(self, key: str, value: bytes, lives_for: timedelta) -> None: ...


@dataclass(slots=True, kw_only=True)
class KeptList:
    """One list: its address, who may have signed it, and what is known of it. `failure` is why the last
    question failed."""

    address: SourceAddress
    issuers: tuple[x509.Certificate, ...] = field(repr=False)
    list: RevocationList | None = field(default=None, repr=False)
    partial: RevocationList | None = field(default=None, repr=False)
    """The newest incomplete list that was found there. It never replaces a complete one."""
    fetched_at: datetime | None = None
    pauses: Pauses = field(default_factory=Pauses)
    failure: str | None = None
    due_at: datetime | None = None
    used_at: datetime | None = None
    asking: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)

    @property
    def key(self) -> str:
        return f"crl:{hashlib.sha256(_identity(self.issuers) + self.address.url.encode()).hexdigest()[:40]}"

    def is_current(self, now: datetime) -> bool:
        return self.list is not None and now <= self.list.next_update


class RevocationLists:
    """The lists of some authorities. `jitter` returns a random number from 0 to 1, so that instances do not
    ask at the same time."""

    def __init__(
        self,
        fetcher: Fetcher,
        store: RevocationStore,
        limits: FetchLimits,
        *,
        refresh_every: timedelta,
        max_stale: timedelta,
        jitter: Callable[[], float],
        clock: Callable[[], datetime],
    ) -> None:
        self._fetcher = fetcher
        self._store = store
        self._limits = limits
        self._refresh_every = refresh_every
        self._max_stale = max_stale
        self._jitter = jitter
        self._clock = clock
        self._lists: dict[tuple[bytes, str], KeptList] = {}

    @property
    def all(self) -> tuple[KeptList, ...]:
        return tuple(self._lists.values())

    def keep(
        self, addresses: Iterable[SourceAddress], issuers: tuple[x509.Certificate, ...], *, now: datetime
    ) -> list[KeptList]:
        """The lists at these addresses, which are kept from now on. If certificates name too many, the list
        that was unused for longest is dropped."""
        lists = []
        for address in addresses:
            kept_list = self._lists.setdefault(
                (_identity(issuers), address.url), KeptList(address=address, issuers=issuers)
            )
            kept_list.used_at = now
            lists.append(kept_list)
        for key in sorted(self._droppable(), key=lambda key: self._lists[key].used_at or now)[
            : max(0, len(self._lists) - _AT_MOST)
        ]:
            del self._lists[key]
        return lists

    async def current(self, kept_list: KeptList, *, now: datetime) -> RevocationList | None:
        """The list; it is fetched if it is missing or out of date, unless that has just failed. None if there
        is none."""
        if not kept_list.is_current(now) and not kept_list.pauses.is_resting(now):
            async with kept_list.asking:
                # While this caller waited for the lock, another one may have failed.
                if not kept_list.is_current(now) and not kept_list.pauses.is_resting(max(now, self._clock())):
                    await self._renew(kept_list, now)
        return kept_list.list

    async def refresh(self, *, now: datetime) -> None:
        """Fetches every list that is due. A failure is stored with the list, not raised."""
        async with asyncio.TaskGroup() as asking:
            for kept_list in self.all:
                if kept_list.due_at is None or kept_list.due_at <= now:
                    asking.create_task(self._refreshed(kept_list, now))

    async def _refreshed(self, kept_list: KeptList, now: datetime) -> None:
        async with kept_list.asking:
            try:
                await self._renew(kept_list, now)
            except Exception as failure:  # noqa: BLE001  (one list must not stop the others)
                logger("certificates").exception("certificates.list_failed", address=kept_list.address.url)
                self._failed(kept_list, type(failure).__name__, now)

    async def _renew(self, kept_list: KeptList, now: datetime) -> None:
        if kept_list.list is None:
            await self._take_shared(kept_list, now)
        try:
            fetched = await self._fetched(kept_list, now)
        except (NoAnswer, UnusableEvidence) as failure:
            self._failed(kept_list, str(failure), now)
            return
        kept_list.pauses.answered()
        kept_list.fetched_at, kept_list.failure = now, None
        # An older list, even if valid, may lack what has been revoked since.
        if kept_list.list is None or fetched.this_update >= kept_list.list.this_update:
            kept_list.list = fetched
        kept_list.due_at = now + self._until_next(kept_list.list, now) * self._jittered()
        with suppress(CannotAsk):
            await self._store.put(
                kept_list.key,
                kept_list.list.der,
                max(kept_list.list.next_update + self._max_stale - now, timedelta(seconds=1)),
            )

    def _failed(self, kept_list: KeptList, why: str, asked_at: datetime) -> None:
        kept_list.pauses.failed(asked_at=asked_at, now=self._clock())
        kept_list.failure, kept_list.due_at = why, asked_at + _RETRY * self._jittered()

    async def _fetched(self, kept_list: KeptList, now: datetime) -> RevocationList:
        """Raises NoAnswer, or UnusableEvidence for something that is not a complete list."""
        fetched = await self._read(
            await self._fetcher.fetched(kept_list.address, self._limits), kept_list, now
        )
        if fetched.partial is None:
            return fetched
        if kept_list.partial is None or fetched.this_update >= kept_list.partial.this_update:
            kept_list.partial = fetched
        raise UnusableEvidence(fetched.partial)

    async def _take_shared(self, kept_list: KeptList, now: datetime) -> None:
        with suppress(CannotAsk, UnusableEvidence):
            octets = await self._store.get(kept_list.key)
            if octets is not None:
                kept_list.list = await self._read(octets, kept_list, now)

    async def _read(self, octets: bytes, kept_list: KeptList, now: datetime) -> RevocationList:
        read = await asyncio.to_thread(crl.read, octets, kept_list.issuers)
        if now > read.next_update + self._max_stale:
            raise UnusableEvidence("the list is out of date")
        return read

    def _until_next(self, current: RevocationList, now: datetime) -> timedelta:
        """Half of the time that the list has left, so that one failure does no harm."""
        return max(min(self._refresh_every, (current.next_update - now) / 2), _RETRY)

    def _jittered(self) -> float:
        return 0.75 + 0.25 * self._jitter()

    def _droppable(self) -> Iterator[tuple[bytes, str]]:
        return (
            key
            for key, kept_list in self._lists.items()
            if not kept_list.address.is_named and not kept_list.asking.locked()
        )


def _identity(issuers: tuple[x509.Certificate, ...]) -> bytes:
    return b"".join(issuer.fingerprint(hashes.SHA256()) for issuer in issuers)
