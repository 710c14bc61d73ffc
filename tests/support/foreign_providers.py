"""What the tests with large providers of others have in common: the house in front of one, and its guests."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlsplit

from tests.support.gateway import PASSWORD, House, Person, open_house
from tests.support.http_client import Answer, Browser, Form
from tests.support.redis_server import RedisServer
from tests.support.waiting import until

CLIENT_ID = "gateway"


def portals_at(ports: Sequence[int]) -> list[str]:
    """Those of gateways at these ports."""
    return [f"http://{name}.localhost:{port}" for port in ports for name in ("acq", "b2b")]


def house_of(
    issuer: str,
    store: RedisServer,
    port: int,
    *,
    secret: str,
    required_claims: str,
    acq: dict[str, Any] | None = None,
    **environment: str,
) -> AbstractAsyncContextManager[House]:
    """A house whose provider this is; its gateway listens at the port. What the store had is forgotten."""
    store.command("FLUSHALL")
    settings = {
        "AUTHPROXY__REKONO__ISSUER": issuer,
        "AUTHPROXY__REKONO__CLIENT_ID": CLIENT_ID,
        "AUTHPROXY__REKONO__CLIENT_SECRET": secret,
        "AUTHPROXY__REKONO__SCOPES": "openid,profile,email",
        "AUTHPROXY__PORTALS__ACQ__REQUIRED_CLAIMS": required_claims,
        "AUTHPROXY__PORTALS__B2B__REQUIRED_CLAIMS": required_claims,
        **environment,
    }
    ports = {"gateway": port, "provider": urlsplit(issuer).port or 80}
    return open_house(store.socket_url, environment=settings, provider_is_up=False, ports=ports, acq=acq)


class ForeignGuest(Person):
    """Knows the page for the password; every provider has more of its own."""

    AUTHORIZATION: ClassVar[str]
    """The end of the authorization endpoint's path."""

    def __init__(self, email: str, house: House) -> None:
        super().__init__(email, house, Browser(patience=60))

    async def _filled(self, form: Form, *, consents: bool) -> dict[str, str] | None:
        del consents
        if ("method", "rekono") in form.buttons:
            return {"method": "rekono"}
        return {"username": self.email, "password": PASSWORD} if "password" in form.inputs else None

    @property
    def sent(self) -> dict[str, str]:
        """The parameters of the last authorization request."""
        asked = (
            one.location
            for one in reversed(self.browser.history)
            if one.is_redirect and f"{self.AUTHORIZATION}?" in one.location
        )
        return dict(parse_qsl(urlsplit(next(asked)).query))

    async def headers_at(self, portal: str) -> dict[str, str]:
        """What the portal is told of this person."""
        received = (
            await self.browser.request("GET", f"{portal}/api/received", headers={"Accept": "text/html"})
        ).json
        return {name.lower(): value for name, value in received["headers"]}

    async def signs_out(self, portal: str) -> Answer:
        """The page at the end of that, at whichever server."""
        confirmation = await self.opens(f"{portal}/.authproxy/logout")
        form = next(
            form for form in confirmation.forms if form.action.startswith(f"{portal}/.authproxy/logout")
        )
        return await self.walk(await self.browser.submit(confirmation, form))

    async def asked_for_the_password_at(self, url: str) -> Answer:
        """The page that asks for it, on the way to this address."""
        question = await self.walk(await self.opens(url), stop=asks_for_the_password)
        assert asks_for_the_password(question), question.text
        return question

    async def is_led_away_from(self, url: str) -> bool:
        """To a sign-in or to a proof, instead of seeing the page."""
        return (await self.opens(url)).status == 303

    async def renews_an_old_proof(self, url: str) -> Answer:
        """Waits until the proof is too old for this address, and gives another one by the password; the page
        that then comes."""

        async def is_old() -> bool:
            await asyncio.sleep(0.2)  # the provider's clock cannot be moved
            return await self.is_led_away_from(url)

        await until(is_old, within=20)
        return await self.walk(await self.asked_for_the_password_at(url))


def asks_for_the_password(answer: Answer) -> bool:
    return answer.status == 200 and any("password" in form.inputs for form in answer.forms)
