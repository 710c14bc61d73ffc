"""The registered relying parties, and how they authenticate at the token endpoint (RFC 6749 §2.3, RFC
7523)."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import unquote_plus

import jwt

from authproxy.sandbox.identity_provider.expiring import ExpiringEntries

_JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A registered relying party. Its URIs are compared character by character. `public_key` (PEM) is for
    `private_key_jwt`."""

    client_id: str
    client_secret: str = field(repr=False)
    redirect_uris: tuple[str, ...]
    post_logout_redirect_uris: tuple[str, ...] = ()
    name: str
    public_key: str | None = None
    may_introspect: bool = False
    audience: str | None = None
    """For whom a program may have access tokens of its own (client credentials); None: it may have none."""


class BadCredentials(Exception):  # noqa: N818
    """The client could not authenticate. `error` is MITREid's answer, which differs between form and
    header."""

    def __init__(self, error: str) -> None:
        super().__init__(error)
        self.error = error


class ClientAuthentication:
    """Authenticates the client of a request. Each assertion is valid once."""

    def __init__(
        self,
        clients: Mapping[str, Client],
        audiences: tuple[str, ...],
        used_assertions: ExpiringEntries[None],
    ) -> None:
        self._clients = clients
        self._audiences = audiences
        self._used_assertions = used_assertions

    def client(self, authorization: str | None, form: Mapping[str, str], *, now: datetime) -> Client:
        """Raises BadCredentials."""
        if form.get("client_assertion_type") == _JWT_BEARER:
            return self._by_assertion(form.get("client_assertion", ""), now)
        if authorization is not None:
            return self._by_header(authorization)
        return self._by_secret(
            form.get("client_id", ""), form.get("client_secret", ""), error="invalid_client"
        )

    def _by_secret(self, client_id: str, secret: str, *, error: str) -> Client:
        client = self._clients.get(client_id)
        expected = client.client_secret if client is not None else ""
        if client is None or not expected or not hmac.compare_digest(secret.encode(), expected.encode()):
            raise BadCredentials(error)
        return client

    def _by_header(self, authorization: str) -> Client:
        scheme, _, encoded = authorization.partition(" ")
        try:
            name, colon, secret = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            raise BadCredentials("unauthorized") from None
        if scheme.lower() != "basic" or not colon:
            raise BadCredentials("unauthorized")
        try:
            return self._by_secret(name, secret, error="unauthorized")
        except BadCredentials:
            # RFC 6749 §2.3.1 demands form-encoding; many clients send the pair unencoded. MITREid accepts
            # both.
            return self._by_secret(unquote_plus(name), unquote_plus(secret), error="unauthorized")

    def _by_assertion(self, assertion: str, now: datetime) -> Client:
        try:
            unverified = jwt.decode_complete(assertion, options={"verify_signature": False})
            client = self._clients.get(str(unverified["payload"].get("iss")))
            if client is None or client.public_key is None:
                raise BadCredentials("invalid_client")
            claims = _verified(assertion, client.public_key, self._audiences)
        except jwt.PyJWTError:
            raise BadCredentials("invalid_client") from None
        fits = claims["iss"] == claims["sub"] == client.client_id and claims["exp"] > now.timestamp()
        if not fits or not self._used_assertions.add(f"{client.client_id} {claims['jti']}", None):
            raise BadCredentials("invalid_client")
        return client


def _verified(assertion: str, public_key: str, audiences: tuple[str, ...]) -> dict[str, Any]:
    return jwt.decode(  # noqa: TID251  (the provider is no part of the gateway: it reads its clients as any program would)
        assertion,
        public_key,
        algorithms=_ALGORITHMS,
        audience=list(audiences),
        # Times are checked with the caller's clock; PyJWT would use its own.
        options={
            "require": ["iss", "sub", "exp", "jti"],
            "verify_exp": False,
            "verify_iat": False,
            "verify_nbf": False,
        },
    )
