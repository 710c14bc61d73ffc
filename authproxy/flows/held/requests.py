"""Held requests: a form that was sent without the fresh proof that its route demands, or after the session of
its person has ended by time, is kept for that person, shown to them after the proof or the sign-in, and sent
on once.

A held request is stored sealed. It belongs to one person, one portal and one address there, and its name
alone opens nothing. (Another gateway kept forms in the browser, and wrote their names into a page without
escaping.)
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from authproxy.access.held_request import HeldRequest, is_name
from authproxy.challenges.enrolment import owner_of
from authproxy.challenges.limits import RateLimits
from authproxy.flows.held.form_contents import contents, media_type
from authproxy.flows.stores import EndedSessions, OctetStore
from authproxy.identity import ticket as tickets
from authproxy.identity.session import EndedSession, Session

_NAME_BYTES: Final = 32
_PER_HOUR: Final = 30
"""For one person. Somebody who has a session must not be able to fill the store with large forms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldRequestPreview:
    """What the person sees of a held request before they send it. Names and values are raw input: escape
    them. `is_whole` is False if the request holds more than is shown."""

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
    """Every method that asks the store raises CannotAsk. A held request of another person or portal is
    treated as if it did not exist."""

    def __init__(
        self,
        *,
        store: OctetStore,
        limits: RateLimits,
        random_text: Callable[[int], str],
        lives_for: timedelta,
        size: int,
        types: tuple[str, ...],
        sessions: EndedSessions | None = None,
    ) -> None:
        """`random_text(n)` is n random bytes as URL-safe text. `size` is the largest body in bytes; with 0 no
        request is held. Without `sessions` nobody's request is held after the end of their session."""
        self._store = store
        self._sessions = sessions
        self._limits = limits
        self._random_text = random_text
        self._lives_for = lives_for
        self._size = size
        self._types = frozenset(accepted.lower() for accepted in types)

    def takes(self, content_type: str, size: int) -> bool:
        """Whether forms of this type and size are held."""
        return 0 < self._size >= size and media_type(content_type) in self._types

    async def whose(self, ticket_text: str | None, *, portal_id: str, now: datetime) -> EndedSession | None:
        """Whose session at this portal the ticket has opened, for a form that was sent after its end. None if
        that is not known."""
        ticket = tickets.parse(ticket_text)
        if ticket is None or self._sessions is None:
            return None
        ended = await self._sessions.whose(ticket, now=now)
        return ended if ended is not None and ended.portal == portal_id else None

    async def keep(
        self, session: Session | EndedSession, request: HeldRequest, *, now: datetime
    ) -> str | None:
        """Stores a request of the session's person and returns its name. None if the person has too many
        already."""
        counted = "\0".join(("held", *owner_of(session.person)))
        if await self._limits.reserve(counted, pause=timedelta(0), per_hour=_PER_HOUR, now=now) is not None:
            return None
        name = self._random_text(_NAME_BYTES)
        await self.give_back(name, session, request)
        return name

    async def preview(self, name: str, session: Session) -> HeldRequestPreview | None:
        """What would be sent. The request stays in the store."""
        request = await self.find(name, session)
        if request is None:
            return None
        form = contents(request.content_type, request.body)
        return HeldRequestPreview(
            method="POST",
            target=request.target,
            content_type=media_type(request.content_type),
            size=len(request.body),
            fields=form.fields,
            files=form.files,
            is_whole=form.is_whole,
        )

    async def take(self, name: str, session: Session, target: str) -> HeldRequest | None:
        """Takes the request out of the store, if it was sent to this target. If several ask at once, one gets
        it."""
        request = await self.find(name, session)
        if request is None or request.target != target:
            return None
        taken = await self._store.take(_key(name))
        return None if taken is None else _read(taken, session)

    async def give_back(self, name: str, session: Session | EndedSession, request: HeldRequest) -> None:
        """Stores a request that was taken and could not be sent again, under the same name."""
        await self._store.put(_key(name), _octets(session, request), self._lives_for)

    async def discard(self, name: str, session: Session) -> bool:
        """Deletes a request. False if there was none."""
        return await self.find(name, session) is not None and await self._store.take(_key(name)) is not None

    async def find(self, name: str, session: Session) -> HeldRequest | None:
        """The request, which stays in the store."""
        octets = await self._store.get(_key(name)) if is_name(name) else None
        return None if octets is None else _read(octets, session)


def _key(name: str) -> str:
    return f"held request {name}"


def _octets(session: Session | EndedSession, request: HeldRequest) -> bytes:
    members = {
        "owner": owner_of(session.person),
        "portal": session.portal,
        "target": request.target,
        "content_type": request.content_type,
        "fields": request.fields,
    }
    return json.dumps(members).encode() + b"\n" + request.body


def _read(octets: bytes, session: Session) -> HeldRequest | None:
    """None if the request belongs to another person or portal, or if another version of the gateway has
    written it in another format."""
    head, _, body = octets.partition(b"\n")
    try:
        members = json.loads(head)
        if tuple(members["owner"]) != owner_of(session.person) or members["portal"] != session.portal:
            return None
        return HeldRequest(
            target=members["target"],
            content_type=members["content_type"],
            fields=tuple((name, value) for name, value in members["fields"]),
            body=body,
        )
    except (ValueError, TypeError, KeyError):
        return None
