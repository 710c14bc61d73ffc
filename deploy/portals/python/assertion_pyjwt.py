"""The same with PyJWT."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import jwt
from gateway_keys import GatewayKeys

TOKEN = re.compile(r"[A-Za-z0-9_-]{1,2000}\.[A-Za-z0-9_-]{1,14000}\.[A-Za-z0-9_-]{85}[AQgw]")
REQUIRED = ["iss", "aud", "exp", "iat", "sub"]


class Refused(Exception):
    """Answer 403. The message says what is wrong, and has nothing of the assertion in it."""


class AssertionCheck:
    def __init__(
        self, *, issuer: str, audience: str, origin: str, keys: GatewayKeys, bound: bool = False
    ) -> None:
        if not (issuer and audience and origin):
            raise ValueError("issuer, audience and origin must be set")
        self._issuer, self._audience, self._origin = issuer, audience, origin
        self._keys, self._bound = keys, bound

    def person(self, fields: Sequence[str], method: str, path: str) -> dict[str, Any]:
        """The claims about whoever is asking. `fields` are all fields `X-Auth-Assertion` of the request,
        `path` is the path as it came, before anybody decodes it. Raises Refused."""
        if len(fields) != 1 or not TOKEN.fullmatch(fields[0]):
            raise Refused("there is not one assertion")
        try:
            header = jwt.get_unverified_header(fields[0])
            if header.get("typ", "JWT") != "JWT" or "crit" in header:
                raise Refused("another kind of token")
            if not isinstance(kid := header.get("kid"), str) or (key := self._keys.key(kid)) is None:
                raise Refused("a key that the gateway does not publish")
            claims = jwt.decode(
                fields[0],
                jwt.PyJWK(key, algorithm="ES256"),
                algorithms=["ES256"],  # never taken from the token
                issuer=self._issuer,
                audience=self._audience,
                leeway=30,
                options={"require": REQUIRED, "strict_aud": True},
            )
        except (jwt.PyJWTError, ValueError, RecursionError, TypeError, AttributeError) as error:
            raise Refused(type(error).__name__) from None
        times = [claims.get(name, 0) for name in ("exp", "iat", "nbf")]
        if any(type(time) is not int or time >= 2**53 for time in times) or not claims["sub"]:
            raise Refused("without times, or about nobody")
        said = (claims.get("htm"), claims.get("htu"))
        if (self._bound or said != (None, None)) and said != (method, self._origin + path.partition("?")[0]):
            raise Refused("for another request")
        return claims
