"""API keys, and access tokens of an issuer, for tests."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from support.hostile_provider import jws, rs, rsa_jwk, rsa_key

from authproxy.identity.machine_client import ApiKey, key_id_of, key_text
from tests.support.session_builders import NOW

KEY_TEXT = key_text(bytes(range(32)))
KEY_ID = key_id_of(KEY_TEXT) or ""
ISSUER = "https://tokens.example"
AUDIENCE = "https://portals.example"
SIGNING = rsa_key("machines")
JWK = rsa_jwk(SIGNING, kid="m1", alg="RS256", use="sig")


def api_key(**changes: Any) -> ApiKey:
    values: dict[str, Any] = {
        "key_id": KEY_ID,
        "client_id": "batch",
        "portals": ("acq",),
        "created_at": NOW,
        "created_by": "root at gw1",
        "ends_at": NOW + timedelta(days=365),
    }
    return ApiKey(**values | changes)


def claims(now: Any = NOW, **changes: Any) -> dict[str, Any]:
    """The claims of a program's token by RFC 9068; `...` leaves one out."""
    seconds = int(now.timestamp())
    values: dict[str, Any] = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "batch",
        "client_id": "batch",
        "iat": seconds,
        "exp": seconds + 600,
        "jti": "1",
        "scope": "payments reports",
    }
    return {name: value for name, value in (values | changes).items() if value is not ...}


def token(header: Any = None, *, key: Any = SIGNING, now: Any = NOW, **changes: Any) -> str:
    made = {"alg": "RS256", "typ": "at+jwt", "kid": "m1"} | (header or {})
    return jws(
        {name: value for name, value in made.items() if value is not ...}, claims(now, **changes), rs(key)
    )
