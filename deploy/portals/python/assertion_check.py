"""Verifies the gateway's assertion. Needs `cryptography`; threads may share one object."""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Callable, Sequence
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from gateway_keys import GatewayKeys

# Three parts in base64url without padding; the last are 64 bytes, which can be written in one way only.
TOKEN = re.compile(r"[A-Za-z0-9_-]{1,2000}\.[A-Za-z0-9_-]{1,14000}\.[A-Za-z0-9_-]{85}[AQgw]")
LEEWAY = 30


class Refused(Exception):
    """Answer 403. The message says what is wrong, and has nothing of the assertion in it."""


class AssertionCheck:
    def __init__(
        self,
        *,
        issuer: str,
        audience: str,
        origin: str,
        jwks: str,
        bound: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if not (issuer and audience and origin):
            raise ValueError("issuer, audience and origin must be set")
        self._issuer, self._audience, self._origin = issuer, audience, origin
        self._bound, self._clock = bound, clock
        self._keys = GatewayKeys(jwks, clock)

    def person(self, fields: Sequence[str], method: str, path: str) -> dict[str, Any]:
        """The claims about whoever is asking. `fields` are all fields `X-Auth-Assertion` of the request,
        `path` is the path as it came, before anybody decodes it. Raises Refused."""
        if len(fields) != 1 or not TOKEN.fullmatch(fields[0]):
            raise Refused("there is not one assertion")
        head, body, end = fields[0].split(".")
        header = _decoded(head)
        if header.get("alg") != "ES256" or header.get("typ", "JWT") != "JWT" or "crit" in header:
            raise Refused("another kind of token")
        if not isinstance(kid := header.get("kid"), str) or (key := self._keys.key(kid)) is None:
            raise Refused("a key that the gateway does not publish")
        _verify(key, f"{head}.{body}".encode(), _octets(end))
        claims = _decoded(body)
        if claims.get("iss") != self._issuer or claims.get("aud") != self._audience:
            raise Refused("from another gateway, or for another portal")
        now = self._clock()
        if now >= _time(claims, "exp") + LEEWAY:
            raise Refused("too old")
        if now < max(_time(claims, "iat"), _time(claims, "nbf") if "nbf" in claims else 0) - LEEWAY:
            raise Refused("from the future")
        said = (claims.get("htm"), claims.get("htu"))
        if (self._bound or said != (None, None)) and said != (method, self._origin + path.partition("?")[0]):
            raise Refused("for another request")
        if not isinstance(claims.get("sub"), str) or not claims["sub"]:
            raise Refused("about nobody")
        return claims


def _verify(key: dict[str, str], signed: bytes, signature: bytes) -> None:
    x, y, r, s = (
        int.from_bytes(n, "big")
        for n in (*map(_octets, (key["x"], key["y"])), signature[:32], signature[32:])
    )
    public = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    try:
        public.verify(encode_dss_signature(r, s), signed, ec.ECDSA(SHA256()))
    except InvalidSignature:
        raise Refused("not signed by the gateway") from None


def _decoded(part: str) -> dict[str, Any]:
    try:
        members = json.loads(_octets(part))
    except (ValueError, RecursionError):
        members = None
    if not isinstance(members, dict):
        raise Refused("not a token")
    return members


def _time(claims: dict[str, Any], name: str) -> int:
    time = claims.get(name)
    if type(time) is not int or time >= 2**53:
        raise Refused(f"without {name}")
    return time


def _octets(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
