"""The provider's signing keys, and the two tokens of an answer: ID token and access token, as MITREid Connect makes them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from jwt.algorithms import RSAAlgorithm

from authproxy.sandbox.identity_provider.openid.authorization import AuthorizationRequest

ID_TOKEN_SECONDS = 600
ACCESS_TOKEN_SECONDS = 3600

Claims = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a person has given a relying party: the request it answers, who, and when they signed in."""

    request: AuthorizationRequest
    subject: str
    login_name: str = field(repr=False)
    authenticated_at: datetime
    issued_at: datetime


class KeyRing:
    """One key signs and is published; the ones before it are kept to recognise our own old ID tokens at logout."""

    def __init__(self) -> None:
        self._keys: list[tuple[str, RSAPrivateKey]] = []
        self.rotate()

    @property
    def key_id(self) -> str:
        return self._keys[-1][0]

    def rotate(self) -> None:
        """Takes about a tenth of a second: an RSA key of 2048 bits is made."""
        self._keys.append((f"rsa{len(self._keys) + 1}", generate_private_key(public_exponent=65537, key_size=2048)))

    def published(self) -> dict[str, Any]:
        """The JWK set. Without `use`, as MITREid leaves it out."""
        key_id, key = self._keys[-1]
        public: dict[str, Any] = json.loads(RSAAlgorithm.to_jwk(key.public_key()))
        return {"keys": [{"kty": "RSA", "alg": "RS256", "kid": key_id, "n": public["n"], "e": public["e"]}]}

    def sign(self, claims: Claims) -> str:
        key_id, key = self._keys[-1]
        return jwt.encode(claims, key, algorithm="RS256", headers={"kid": key_id, "typ": None})

    def without_signature(self, claims: Claims) -> str:
        return jwt.encode(claims, "", algorithm="none", headers={"kid": self.key_id, "typ": None})

    def own(self, token: str, *, issuer: str) -> Claims | None:
        """The claims of an ID token that this provider signed, however old; None for any other text."""
        for _, key in self._keys:
            try:
                return jwt.decode(  # noqa: TID251  (the provider is no part of the gateway)
                    token, key.public_key(), algorithms=["RS256"], issuer=issuer,
                    options={"verify_aud": False, "verify_exp": False, "verify_iat": False, "verify_nbf": False},
                )  # fmt: skip
            except jwt.PyJWTError:
                continue
        return None


def id_token_claims(grant: Grant, *, issuer: str, key_id: str, identifier: str, now: datetime) -> Claims:
    """`auth_time` is there only where max_age was sent; `kid` stands in the payload too."""
    issued_at = int(now.timestamp())
    claims: Claims = {
        "sub": grant.subject, "aud": grant.request.client_id, "kid": key_id, "iss": issuer,
        "exp": issued_at + ID_TOKEN_SECONDS, "iat": issued_at, "jti": identifier,
    }  # fmt: skip
    if grant.request.max_age is not None:
        claims["auth_time"] = int(grant.authenticated_at.timestamp())
    if grant.request.nonce is not None:
        claims["nonce"] = grant.request.nonce
    return claims


def access_token_claims(grant: Grant, *, issuer: str, identifier: str, now: datetime) -> Claims:
    """`sub` is the login name and not the subject: a trap of MITREid that relying parties must live with."""
    issued_at = int(now.timestamp())
    return {
        "sub": grant.login_name, "azp": grant.request.client_id, "iss": issuer,
        "exp": issued_at + ACCESS_TOKEN_SECONDS, "iat": issued_at, "jti": identifier,
    }  # fmt: skip
