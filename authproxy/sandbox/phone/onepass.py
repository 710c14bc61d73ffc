"""The phone's client of the provider's OnePass service: JSON over HTTP, with five seconds for each answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote

from aiohttp import ClientError, ClientSession

from authproxy.sandbox.installation import Installation
from authproxy.sandbox.web_pages.language import Language

_SECONDS = 5


class UnreachableError(Exception):
    """The provider did not answer, or not as a OnePass service does."""


class NotInstalledError(Exception):
    """The provider does not know this phone, because another one has replaced it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Activated:
    installation: Installation
    has_replaced: bool
    """Whether another phone had the account before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotActivated:
    minutes: int
    """Minutes to wait until the provider checks codes again; 0: the code was wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    email: str
    name: str
    level: int
    phone_ends: str
    tax_number_ends: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInPush:
    id: str
    for_: str
    place: str
    number: str = field(repr=False)
    choices: tuple[str, ...] = field(repr=False)
    at: datetime
    expires_at: datetime


class OnePass:
    """`session` is set while the application runs. Every call may raise UnreachableError; calls for an
    installation may raise NotInstalledError."""

    session: ClientSession

    def __init__(self, provider_url: str) -> None:
        self._service = f"{provider_url.rstrip('/')}/onepass"

    async def start(self, email: str, language: Language) -> None:
        """Asks for an activation code, in this language. It is sent if there is such an account."""
        async with self.asked(
            "POST", "/devices/start", json={"email": email}, headers={"Accept-Language": language}
        ) as (status, _):
            if status != 202:
                raise UnreachableError

    async def activate(self, email: str, code: str) -> Activated | NotActivated:
        async with self.asked("POST", "/devices", json={"email": email, "code": code}) as (status, body):
            if status in {400, 429}:
                return NotActivated(minutes=int(body.get("minutes", 0)) if status == 429 else 0)
            installation = Installation(
                email=body["account"]["email"],
                name=body["account"]["name"],
                device_id=body["device_id"],
                device_token=body["device_token"],
                totp_secret=body["totp_secret"],
            )
            return Activated(installation=installation, has_replaced=bool(body["replaced"]))

    async def overview(self, account: Installation) -> Overview:
        async with self.asked("GET", _place(account), token=account.device_token) as (_, body):
            return Overview(**body)

    async def remove(self, account: Installation) -> None:
        async with self.asked("DELETE", _place(account), token=account.device_token):
            pass

    async def pushes(self, account: Installation) -> tuple[SignInPush, ...]:
        async with self.asked("GET", f"{_place(account)}/pushes", token=account.device_token) as (_, body):
            return tuple(_push(**members) for members in body)

    async def answer(self, account: Installation, push_id: str, *, action: str, number: str) -> int:
        """The status: 204 accepted, 400 wrong number, 404 not for this account, 409 over."""
        path = f"{_place(account)}/pushes/{quote(push_id, safe='')}"
        async with self.asked(
            "POST", path, token=account.device_token, json={"action": action, "number": number}
        ) as (status, _):
            return status

    @asynccontextmanager
    async def asked(
        self,
        method: str,
        path: str,
        *,
        token: str | None = None,
        json: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
    ) -> AsyncIterator[tuple[int, Any]]:
        """Status and body of one request below `/onepass`. If the block cannot read the body, this counts as
        no answer."""
        if token is not None:
            headers = {"Authorization": f"Bearer {token}"}
        try:
            async with (
                asyncio.timeout(_SECONDS),
                self.session.request(
                    method, f"{self._service}{path}", json=json, headers=headers, allow_redirects=False
                ) as response,
            ):
                if token is not None and response.status == 401:
                    raise NotInstalledError
                if response.status >= 500:
                    raise UnreachableError
                yield response.status, await response.json() if response.status != 204 else None
        except (ClientError, TimeoutError, ValueError, TypeError, KeyError, AttributeError) as fault:
            raise UnreachableError from fault


def _place(account: Installation) -> str:
    return f"/devices/{account.device_id}"


def _push(*, at: str, expires_at: str, choices: list[str], **texts: str) -> SignInPush:
    return SignInPush(
        id=texts["id"],
        for_=texts["for"],
        place=texts["place"],
        number=texts["number"],
        choices=tuple(choices),
        at=datetime.fromisoformat(at),
        expires_at=datetime.fromisoformat(expires_at),
    )
