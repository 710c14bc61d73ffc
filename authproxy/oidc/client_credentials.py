"""How the gateway authenticates at the provider's endpoints (OpenID Connect Core §9)."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import quote_plus

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from jwt.algorithms import get_default_algorithms

from authproxy.oidc.relying_party import RelyingParty
from authproxy.oidc.wire import base64url

_ASSERTION_LIFETIME = 60
_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_CURVE_ALGORITHMS = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}


@dataclass(frozen=True, slots=True)
class Credentials:
    """The headers and form fields that authenticate the gateway in a request."""

    headers: dict[str, str] = field(default_factory=dict, repr=False)
    form: dict[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class _ClientKey:
    algorithm: str
    material: RSAPrivateKey | EllipticCurvePrivateKey | Ed25519PrivateKey = field(repr=False)


class ClientCredentials:
    """Raises ValueError at construction if the relying party's key cannot sign."""

    def __init__(
        self, relying_party: RelyingParty, *, clock: Callable[[], datetime], random_text: Callable[[int], str]
    ) -> None:
        self._relying_party = relying_party
        self._clock = clock
        self._random_text = random_text
        self._key = (
            _client_key(relying_party.client_key or b"")
            if relying_party.client_authentication == "private_key_jwt"
            else None
        )

    def for_audience(self, audience: str) -> Credentials:
        """The credentials for one request. `audience` is the audience of a signed assertion: the URL of the
        endpoint, or the issuer."""
        if self._key is not None:
            return Credentials(
                form={
                    "client_assertion_type": _ASSERTION_TYPE,
                    "client_assertion": self._assertion(self._key, audience),
                }
            )
        client_id, secret = self._relying_party.client_id, self._relying_party.client_secret or ""
        if self._relying_party.client_authentication == "client_secret_post":
            return Credentials(form={"client_id": client_id, "client_secret": secret})
        # RFC 6749 §2.3.1: both halves are form-encoded first, so that a colon within them is no separator.
        pair = f"{quote_plus(client_id)}:{quote_plus(secret)}".encode()
        return Credentials(headers={"Authorization": "Basic " + base64.b64encode(pair).decode("ascii")})

    def _assertion(self, key: _ClientKey, audience: str) -> str:
        """An assertion for this audience, valid for a minute and with a `jti` of its own (RFC 7523 §3)."""
        issued_at = int(self._clock().timestamp())
        header = {"alg": key.algorithm, "typ": "JWT"}
        if self._relying_party.client_key_id is not None:
            header["kid"] = self._relying_party.client_key_id
        claims = {
            "iss": self._relying_party.client_id,
            "sub": self._relying_party.client_id,
            "aud": audience,
            "jti": self._random_text(16),
            "iat": issued_at,
            "exp": issued_at + _ASSERTION_LIFETIME,
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
