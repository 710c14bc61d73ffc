"""Redeems an authorization code: RFC 6749 §4.1.3 with PKCE (RFC 7636 §4.5) and the client authentications of OpenID Connect Core §9."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote_plus

import aiohttp
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from jwt.algorithms import get_default_algorithms

from authproxy.access.decision import Reason
from authproxy.oidc.exchange import Answer, Question, ask, cannot_ask
from authproxy.oidc.refused import AnswerInvalid, AuthorizationRefused
from authproxy.oidc.relying_party import RelyingParty
from authproxy.oidc.wire import base64url

_SIZE_LIMIT = 64 * 1024
_CLIENT_ASSERTION_LIFETIME = 60
_ACCESS_TOKEN = re.compile(r"[\x20-\x7e]{1,32768}", re.ASCII)
# RFC 6749 §5.2: these say that the agreement is wrong. No user can help it, and every user meets it.
_OUR_FAULT = frozenset({"invalid_client", "unauthorized_client", "unsupported_grant_type", "invalid_scope"})
_CURVE_ALGORITHMS = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenAnswer:
    """Both tokens as received, unverified."""

    id_token: str = field(repr=False)
    access_token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class _ClientKey:
    algorithm: str
    material: RSAPrivateKey | EllipticCurvePrivateKey | Ed25519PrivateKey = field(repr=False)


class TokenEndpoint:
    """Raises ValueError at construction if the relying party's key cannot sign."""

    def __init__(
        self,
        relying_party: RelyingParty,
        session: aiohttp.ClientSession,
        *,
        clock: Callable[[], datetime],
        fresh: Callable[[int], str],
    ) -> None:
        self._relying_party = relying_party
        self._session = session
        self._clock = clock
        self._fresh = fresh
        self._key = _client_key(relying_party.client_key or b"") if relying_party.client_authentication == "private_key_jwt" else None

    async def redeem(self, url: str, *, code: str, redirect_uri: str, code_verifier: str) -> TokenAnswer:
        """The tokens for the code. Raises AuthorizationRefused if the provider says no, CannotAsk if it says nothing or knows us not."""
        headers, credentials = self._client_authentication(url)
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": code_verifier,
            **credentials,
        }
        question = Question(name="token endpoint", url=url, headers=headers, form=form, size_limit=_SIZE_LIMIT)
        answer = await ask(self._session, question, timeout=self._relying_party.timeout)
        if answer.status != 200:
            raise _refused(answer)
        return _tokens(answer.json_object())

    def _client_authentication(self, url: str) -> tuple[dict[str, str], dict[str, str]]:
        """Headers and form fields that say who we are."""
        if self._key is not None:
            assertion_type = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
            return {}, {"client_assertion_type": assertion_type, "client_assertion": self._client_assertion(self._key, url)}
        client_id, secret = self._relying_party.client_id, self._relying_party.client_secret or ""
        if self._relying_party.client_authentication == "client_secret_post":
            return {}, {"client_id": client_id, "client_secret": secret}
        # RFC 6749 §2.3.1: both halves are form-encoded first, so that a colon in them stays theirs.
        credentials = f"{quote_plus(client_id)}:{quote_plus(secret)}".encode()
        return {"Authorization": "Basic " + base64.b64encode(credentials).decode("ascii")}, {}

    def _client_assertion(self, key: _ClientKey, url: str) -> str:
        """For this token endpoint, once, within a minute."""
        issued_at = int(self._clock().timestamp())
        header = {"alg": key.algorithm, "typ": "JWT"}
        if self._relying_party.client_key_id is not None:
            header["kid"] = self._relying_party.client_key_id
        claims = {
            "iss": self._relying_party.client_id,
            "sub": self._relying_party.client_id,
            "aud": url,
            "jti": self._fresh(16),
            "iat": issued_at,
            "exp": issued_at + _CLIENT_ASSERTION_LIFETIME,
        }
        signing_input = f"{base64url(json.dumps(header).encode())}.{base64url(json.dumps(claims).encode())}"
        signature = get_default_algorithms()[key.algorithm].sign(signing_input.encode("ascii"), key.material)
        return f"{signing_input}.{base64url(signature)}"


def _client_key(pem: bytes) -> _ClientKey:
    try:
        material = load_pem_private_key(pem, password=None)
    except (TypeError, ValueError):  # TypeError: the key is encrypted
        raise ValueError("client key: not a PEM private key without a passphrase") from None
    if isinstance(material, RSAPrivateKey) and material.key_size >= 2048:
        return _ClientKey("RS256", material)
    if isinstance(material, Ed25519PrivateKey):
        return _ClientKey("EdDSA", material)
    if isinstance(material, EllipticCurvePrivateKey) and material.curve.name in _CURVE_ALGORITHMS:
        return _ClientKey(_CURVE_ALGORITHMS[material.curve.name], material)
    raise ValueError("client key: RSA of 2048 bits or more, P-256, P-384, P-521 or Ed25519 is needed")


def _refused(answer: Answer) -> Exception:
    error = answer.json_object().get("error")
    if answer.status == 401 or (isinstance(error, str) and error in _OUR_FAULT):
        return cannot_ask(f"token endpoint: the provider does not accept this relying party ({answer.status}); check its settings")
    if isinstance(error, str):
        # MITREid repeats the code in `error_description`: it is not even read.
        return AuthorizationRefused(Reason.PROVIDER_REFUSED, f"token endpoint: the code was refused ({answer.status})")
    return AnswerInvalid(f"token endpoint: {answer.status} without an error code (RFC 6749 §5.2)")


def _tokens(document: dict[str, Any]) -> TokenAnswer:
    id_token, access_token, token_type = (document.get(name) for name in ("id_token", "access_token", "token_type"))
    if not isinstance(token_type, str) or token_type.lower() != "bearer":
        raise AnswerInvalid("token endpoint: the token type is not Bearer")
    if not isinstance(access_token, str) or not _ACCESS_TOKEN.fullmatch(access_token):
        raise AnswerInvalid("token endpoint: no access token")
    if not isinstance(id_token, str):
        raise AnswerInvalid("token endpoint: no ID token")
    return TokenAnswer(id_token=id_token, access_token=access_token)
