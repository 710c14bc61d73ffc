"""The provider's signing keys, and ID token and access token as MITREid Connect makes them."""

from __future__ import annotations

import hmac
import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_elliptic_key
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from jwt.utils import base64url_encode

from authproxy.sandbox.identity_provider.openid.authorization import AuthorizationRequest
from authproxy.sandbox.identity_provider.openid.quirk import Claims, Signature

ID_TOKEN_SECONDS = 600
ACCESS_TOKEN_SECONDS = 3600
_ELLIPTIC = "ec1"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationGrant:
    """A person's grant to a relying party: the request, the person, and the time of the sign-in."""

    request: AuthorizationRequest
    subject: str
    login_name: str = field(repr=False)
    authenticated_at: datetime
    issued_at: datetime


class SigningKeys:
    """One key signs and is published. Previous keys are kept to recognise our own old ID tokens at logout."""

    def __init__(self, first: RSAPrivateKey | None = None) -> None:
        """Starts with the key `first`; without it a key is made when it is needed."""
        self._made: list[tuple[str, RSAPrivateKey]] = [] if first is None else [("rsa1", first)]
        self._elliptic = generate_elliptic_key(SECP256R1())

    @property
    def _keys(self) -> list[tuple[str, RSAPrivateKey]]:
        if not self._made:
            self._make()
        return self._made

    @property
    def key_id(self) -> str:
        return self._keys[-1][0]

    def rotate(self) -> None:
        """Makes a new RSA key of 2048 bits, in about a tenth of a second."""
        if not self._made:
            self._make()
        self._make()

    def _make(self) -> None:
        self._made.append(
            (f"rsa{len(self._made) + 1}", generate_private_key(public_exponent=65537, key_size=2048))
        )

    def published(self, *, with_old: bool = False, with_elliptic: bool = False) -> dict[str, Any]:
        """The JWK set, without `use`, as at MITREid."""
        published = [_public(key_id, key) for key_id, key in (self._keys if with_old else self._keys[-1:])]
        if with_elliptic:
            published.append(
                json.loads(ECAlgorithm.to_jwk(self._elliptic.public_key()))
                | {"alg": "ES256", "kid": _ELLIPTIC}
            )
        return {"keys": published}

    def sign(self, claims: Claims) -> str:
        return self.id_token(claims, signature="RS256", names_key=True, client_secret="")

    def application_token(self, claims: Claims) -> str:
        """An access token as RFC 9068 has it, whose type says what it is."""
        key_id, key = self._keys[-1]
        return jwt.encode(claims, key, algorithm="RS256", headers={"kid": key_id, "typ": "at+jwt"})

    def id_token(self, claims: Claims, *, signature: Signature, names_key: bool, client_secret: str) -> str:
        """The ID token, signed (or not) in the given way."""
        key_id, key = self._keys[-1]
        headers = {"kid": _ELLIPTIC if signature == "ES256" else key_id, "typ": None}
        if not names_key:
            del headers["kid"]
        match signature:
            case "none":
                return jwt.encode(claims, "", algorithm="none", headers=headers)
            case "ES256":
                return jwt.encode(claims, self._elliptic, algorithm="ES256", headers=headers)
            case "HS256 with the client secret":
                return _with_secret(claims, headers, client_secret.encode())
            case "HS256 with the public key":
                pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
                return _with_secret(claims, headers, pem)
        return jwt.encode(claims, key, algorithm="RS256", headers=headers)

    def own(self, token: str, *, issuer: str) -> Claims | None:
        """The claims of an ID token that this provider has signed, however old; None for any other text."""
        for _, key in self._keys:
            try:
                return jwt.decode(  # noqa: TID251  (the provider is no part of the gateway)
                    token,
                    key.public_key(),
                    algorithms=["RS256"],
                    issuer=issuer,
                    options={
                        "verify_aud": False,
                        "verify_exp": False,
                        "verify_iat": False,
                        "verify_nbf": False,
                    },
                )
            except jwt.PyJWTError:
                continue
        return None


def _public(key_id: str, key: RSAPrivateKey) -> dict[str, Any]:
    public: dict[str, Any] = json.loads(RSAAlgorithm.to_jwk(key.public_key()))
    return {"kty": "RSA", "alg": "RS256", "kid": key_id, "n": public["n"], "e": public["e"]}


def _with_secret(claims: Claims, headers: dict[str, str | None], secret: bytes) -> str:
    """HS256 by hand, because libraries refuse a public key as the secret, which one quirk needs."""
    named = {name: value for name, value in headers.items() if value is not None}
    signed = b".".join(
        base64url_encode(json.dumps(part).encode()) for part in ({"alg": "HS256", **named}, claims)
    )
    return b".".join((signed, base64url_encode(hmac.digest(secret, signed, "sha256")))).decode()


def id_token_claims(
    grant: AuthorizationGrant, *, issuer: str, key_id: str, identifier: str, now: datetime
) -> Claims:
    """`auth_time` is present only if max_age was sent. The payload contains `kid` too."""
    issued_at = int(now.timestamp())
    claims: Claims = {
        "sub": grant.subject,
        "aud": grant.request.client_id,
        "kid": key_id,
        "iss": issuer,
        "exp": issued_at + ID_TOKEN_SECONDS,
        "iat": issued_at,
        "jti": identifier,
    }
    if grant.request.max_age is not None:
        claims["auth_time"] = int(grant.authenticated_at.timestamp())
    if grant.request.nonce is not None:
        claims["nonce"] = grant.request.nonce
    return claims


def access_token_claims(grant: AuthorizationGrant, *, issuer: str, identifier: str, now: datetime) -> Claims:
    """`sub` is the login name and not the subject: a trap of MITREid."""
    issued_at = int(now.timestamp())
    return {
        "sub": grant.login_name,
        "azp": grant.request.client_id,
        "iss": issuer,
        "exp": issued_at + ACCESS_TOKEN_SECONDS,
        "iat": issued_at,
        "jti": identifier,
    }


def application_token_claims(
    client_id: str, audience: str, scope: str, *, issuer: str, identifier: str, now: datetime
) -> Claims:
    """Of a program that speaks for itself (RFC 9068 §2.2)."""
    issued_at = int(now.timestamp())
    return {
        "iss": issuer,
        "sub": client_id,
        "client_id": client_id,
        "aud": audience,
        "scope": scope,
        "exp": issued_at + ACCESS_TOKEN_SECONDS,
        "iat": issued_at,
        "jti": identifier,
    }
