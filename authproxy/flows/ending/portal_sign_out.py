"""The portal is told that a person has signed out (`sign_out_url`), so that its own session ends too.

The gateway asks it server to server. A frame on the signed-out page would need the session that has just
ended, would never load where the browser goes on to the provider, and a person could leave before it has. The
sign-out does not wait for the portal, and nothing that the portal does can stop it: what still lives there is
the portal's own session, whose cookie reaches it only with requests of the same person.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from authproxy.access.routes import Portal
from authproxy.access.unavailable import CannotAsk
from authproxy.identity.session import Session
from authproxy.telemetry.logging import logger

_WITHIN: Final = 5.0

Identity = Callable[[Portal, Session, datetime, tuple[str, str] | None], bytes]
"""The finished identity headers for a request; the last argument is method and URL, if the assertion is bound
to them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldPortal:
    """A portal that is told. `host` is the Host that it expects; `client` verifies its certificate and
    follows no redirect. `added` are headers that every request to the portal has."""

    portal: Portal
    url: str
    host: str
    added: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    client: aiohttp.ClientSession = field(repr=False)


class PortalSignOuts:
    def __init__(
        self,
        portals: Mapping[str, ToldPortal],
        *,
        identity: Identity,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        within: float = _WITHIN,
    ) -> None:
        """`portals` are those with a `sign_out_url`, by their ids. `within` so many seconds a portal must
        have answered, from the look-up of its name on."""
        self._portals = portals
        self._identity = identity
        self._spawn = spawn
        self._within = within

    def begin(self, session: Session, cookies: str, *, now: datetime) -> None:
        """Begins to tell the session's portal, if it wants to be told. `cookies` is what the browser has sent
        with its sign-out; of it the portal gets its own cookies of this person."""
        told = self._portals.get(session.portal)
        if told is not None:
            self._spawn(self._tell(told, session, cookies.encode("utf-8", "surrogateescape"), now))

    async def _tell(self, told: ToldPortal, session: Session, cookies: bytes, now: datetime) -> None:
        try:
            headers = self._headers(told, session, cookies, now)
            async with (
                asyncio.timeout(self._within),
                # `encoded`: the address goes out as the operator has written it.
                told.client.get(
                    URL(told.url, encoded=True), headers=headers, allow_redirects=False
                ) as answer,
            ):
                failure = f"status {answer.status}" if answer.status >= 400 else ""
        except CannotAsk as refused:
            failure = refused.reason.value
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            failure = type(error).__name__
        if failure:
            logger("logout").warning(
                "portal.not_signed_out",
                portal=session.portal,
                session_id=session.session_id,
                error=failure,
                consequence="the portal's own session goes on until the portal ends it",
            )

    def _headers(
        self, told: ToldPortal, session: Session, cookies: bytes, now: datetime
    ) -> list[tuple[str, str]]:
        portal = told.portal
        path = urlsplit(told.url).path
        bound_to = ("GET", portal.origin + path) if portal.binds_assertion else None
        lines = self._identity(portal, session, now, bound_to).split(b"\r\n")
        headers = [
            ("Host", told.host),
            ("X-Forwarded-Proto", portal.origin.partition(":")[0]),
            ("X-Forwarded-Host", portal.host),
            *told.added,
        ]
        for line in lines:
            name, colon, value = line.partition(b": ")
            # aiohttp would write other bytes in UTF-8. Only a name for reading can have any.
            if colon and value.isascii():
                headers.append((name.decode("ascii"), value.decode("ascii")))
        personal = portal.personal_cookies
        if personal is not None:
            sent = personal.sent_to(path, cookies, personal.owner(session.person))
            if sent:
                headers.append(("Cookie", sent))
        return headers
