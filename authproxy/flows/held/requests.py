"""A form that was sent when a fresh proof was missing: kept for its person, shown after the proof, and sent
on once.

What is kept is sealed, and belongs to one person at one portal and to one address there: its name alone opens
nothing. (A rival kept forms in the browser and wrote their names unescaped into a page.)
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Protocol

from authproxy.access.held_request import HeldRequest, is_name
from authproxy.challenges.enrolment import owner_of
from authproxy.flows.held.form_contents import contents, media_type
from authproxy.identity.session import Session

_NAME_BYTES: Final = 32
_PER_HOUR: Final = 30
"""Forms kept for one person. Whoever has a session must not be able to fill the store with large ones."""


class KeptStore(Protocol):
    async def get(self, key: str) -> bytes | None: ...
    async def put(self, key: str, value: bytes, lives_for: timedelta) -> None: ...
    async def take(self, key: str) -> bytes | None: ...


class Limits(Protocol):
    async def reserve(
        self, name: str, *, pause: timedelta, per_hour: int, now: datetime
    ) -> datetime | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownRequest:
    """What its person sees of a kept form before it is sent. Names and values are as somebody has written
    them: escape them. `is_whole` is False where there is more in it than is shown."""

    method: str
    target: str = field(repr=False)
    content_type: str
    """Without parameters."""
    size: int
    """Bytes of the body."""
    fields: tuple[tuple[str, str], ...] = field(repr=False)
    files: tuple[str, ...] = field(repr=False)
    is_whole: bool


class HeldRequests:
    """Every method that asks the store raises CannotAsk. What belongs to another person or portal is not
    there."""

    def __init__(
        self,
        *,
        kept: KeptStore,
        limits: Limits,
        fresh: Callable[[int], str],
        lives_for: timedelta,
        largest: int,
        types: tuple[str, ...],
    ) -> None:
        """`fresh(n)` is URL-safe text of n random bytes; `largest` is a size in bytes, and 0 keeps
        nothing."""
        self._kept = kept
        self._limits = limits
        self._fresh = fresh
        self._lives_for = lives_for
        self._largest = largest
        self._types = frozenset(one.lower() for one in types)

    def takes(self, content_type: str, size: int) -> bool:
        """Whether forms of this kind and size are kept."""
        return 0 < self._largest >= size and media_type(content_type) in self._types

    async def keep(self, session: Session, request: HeldRequest, *, now: datetime) -> str | None:
        """Keeps a form of the session's person and gives it a name. None if they have left too many
        already."""
        owner = "\0".join(("held", *owner_of(session.person)))
        if await self._limits.reserve(owner, pause=timedelta(0), per_hour=_PER_HOUR, now=now) is not None:
            return None
        name = self._fresh(_NAME_BYTES)
        await self.give_back(name, session, request)
        return name

    async def shown(self, name: str, session: Session) -> ShownRequest | None:
        """What would be sent. It stays where it is."""
        request = await self.found(name, session)
        if request is None:
            return None
        inside = contents(request.content_type, request.body)
        return ShownRequest(
            method="POST",
            target=request.target,
            content_type=media_type(request.content_type),
            size=len(request.body),
            fields=inside.fields,
            files=inside.files,
            is_whole=inside.is_whole,
        )

    async def take(self, name: str, session: Session, target: str) -> HeldRequest | None:
        """The form, to exactly one of those who ask for it at the address to which it was sent. For all
        others it stays where it is."""
        found = await self.found(name, session)
        if found is None or found.target != target:
            return None
        taken = await self._kept.take(_key(name))
        return None if taken is None else _read(taken, session)

    async def give_back(self, name: str, session: Session, request: HeldRequest) -> None:
        """Keeps a form that was taken and could not be sent, under the name that it had."""
        await self._kept.put(_key(name), _octets(session, request), self._lives_for)

    async def discard(self, name: str, session: Session) -> bool:
        """Forgets a form; False if there was none."""
        return await self.found(name, session) is not None and await self._kept.take(_key(name)) is not None

    async def found(self, name: str, session: Session) -> HeldRequest | None:
        """The form, which stays where it is."""
        octets = await self._kept.get(_key(name)) if is_name(name) else None
        return None if octets is None else _read(octets, session)


def _key(name: str) -> str:
    return f"held request {name}"


def _octets(session: Session, request: HeldRequest) -> bytes:
    told = {
        "owner": owner_of(session.person),
        "portal": session.portal,
        "target": request.target,
        "content_type": request.content_type,
        "fields": request.fields,
    }
    return json.dumps(told).encode() + b"\n" + request.body


def _read(octets: bytes, session: Session) -> HeldRequest | None:
    """None for what is another person's or portal's, or what another version of the gateway has written in
    another shape."""
    head, _, body = octets.partition(b"\n")
    try:
        told = json.loads(head)
        if tuple(told["owner"]) != owner_of(session.person) or told["portal"] != session.portal:
            return None
        return HeldRequest(
            target=told["target"],
            content_type=told["content_type"],
            fields=tuple((name, value) for name, value in told["fields"]),
            body=body,
        )
    except (ValueError, TypeError, KeyError):
        return None
