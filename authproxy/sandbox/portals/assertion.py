"""Verifies that the gateway vouches for a request: signature, issuer, audience and times of the assertion
(RFC 7519, RFC 8725).

An integrator of a real portal would write this with PyJWT.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import jwt
from aiohttp import ClientError, ClientSession, web

ASSERTION_HEADER = "X-Auth-Assertion"
_ALGORITHM = "ES256"
_REQUIRED = ["iss", "aud", "sub", "iat", "exp"]
_LEEWAY_SECONDS = 5
_SECONDS_PER_FETCH = 5
_ASK_AGAIN_AFTER = timedelta(seconds=10)


class NotVouchedFor(Exception):  # noqa: N818
    """The assertion is missing or wrong. The text says how, and repeats none of its content."""


class KeysUnavailable(Exception):  # noqa: N818
    """The gateway's keys cannot be fetched, so the assertion cannot be verified."""


class GatewayKeys:
    """The gateway's public keys. It fetches them for an unknown key id, at most every ten seconds."""

    def __init__(self, session: ClientSession, url: str, clock: Callable[[], datetime]) -> None:
        self._session = session
        self._url = url
        self._clock = clock
        self._keys: dict[str, jwt.PyJWK] = {}
        self._asked_at: datetime | None = None
        self._asking = asyncio.Lock()

    async def key(self, key_id: str) -> jwt.PyJWK | None:
        """Raises KeysUnavailable if the gateway does not answer."""
        if key_id not in self._keys:
            async with self._asking:
                if key_id not in self._keys and self._may_ask():
                    self._keys = await self._fetched()
                    self._asked_at = (
                        self._clock()
                    )  # only an answer starts the pause: a gateway that is just starting may be asked again
        return self._keys.get(key_id)

    def _may_ask(self) -> bool:
        return self._asked_at is None or self._clock() - self._asked_at >= _ASK_AGAIN_AFTER

    async def _fetched(self) -> dict[str, jwt.PyJWK]:
        try:
            async with (
                asyncio.timeout(_SECONDS_PER_FETCH),
                self._session.get(self._url, allow_redirects=False) as response,
            ):
                body = await response.text()
                if response.status != 200:
                    raise KeysUnavailable(f"the gateway answers {response.status}")
            keys = jwt.PyJWKSet.from_json(body).keys
        except (ClientError, TimeoutError, ValueError, jwt.PyJWTError) as fault:
            raise KeysUnavailable(type(fault).__name__) from None
        return {key.key_id: key for key in keys if key.key_id is not None}


class Verifier:
    """Verifies assertions for one portal (`audience`) from one gateway (`issuer`)."""

    def __init__(
        self, keys: GatewayKeys, *, issuer: str, audience: str, clock: Callable[[], datetime]
    ) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._clock = clock

    async def claims(self, assertion: str | None) -> dict[str, Any]:
        """The claims of a valid assertion. Raises NotVouchedFor or KeysUnavailable."""
        if not assertion:
            raise NotVouchedFor("there is no assertion")
        key = await self._keys.key(_key_id(assertion))
        if key is None:
            raise NotVouchedFor("the key is not one of the gateway's")
        try:
            claims = jwt.decode(  # noqa: TID251  (a portal is no part of the gateway, and reads tokens as its authors would)
                assertion,
                key,
                algorithms=[_ALGORITHM],
                issuer=self._issuer,
                audience=self._audience,
                # `_check_times` checks times by the given clock; PyJWT would use its own.
                options={"require": _REQUIRED, "verify_exp": False, "verify_iat": False, "verify_nbf": False},
            )
        except jwt.PyJWTError as fault:
            raise NotVouchedFor(type(fault).__name__) from None
        self._check_times(claims)
        return claims

    def _check_times(self, claims: dict[str, Any]) -> None:
        now = self._clock().timestamp()
        if not all(isinstance(claims[name], (int, float)) for name in ("iat", "exp")):
            raise NotVouchedFor("a time is no number")
        if now >= claims["exp"] + _LEEWAY_SECONDS:
            raise NotVouchedFor("the assertion has expired")
        if claims["iat"] > now + _LEEWAY_SECONDS:
            raise NotVouchedFor("the assertion is from the future")


VERIFIER = web.AppKey("VERIFIER", Verifier)
CLAIMS = web.RequestKey("CLAIMS", dict[str, Any])
"""The verified claims of the request's assertion."""


def _key_id(assertion: str) -> str:
    try:
        header = jwt.get_unverified_header(assertion)
    except jwt.PyJWTError:
        raise NotVouchedFor("the assertion is not a JWT") from None
    if header.get("alg") != _ALGORITHM or not isinstance(header.get("kid"), str):
        raise NotVouchedFor("the assertion is not signed as agreed")
    return str(header["kid"])
