"""PURE: which keys of a provider's JWK set (RFC 7517, RFC 7518 §6) may verify its tokens, and which one a
token names.

Only strong public signature keys for the pinned algorithm are used. All other keys are ignored.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.algorithms import get_default_algorithms

from authproxy.oidc.relying_party import Algorithm
from authproxy.oidc.wire import Unreadable, octets_of

_ALGORITHMS = get_default_algorithms()
_CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521", "EdDSA": "Ed25519"}
_COORDINATES = {"RSA": ("n", "e"), "EC": ("x", "y"), "OKP": ("x",)}
_KEY_ID = re.compile(r"[\x20-\x7e]{1,256}", re.ASCII)
# Below 2048 bits RSA is weak (RFC 7518 §3.3). Above 8192 bits one verification is so expensive that a
# provider could slow the gateway down.
_RSA_BITS = range(2048, 8192 + 1)


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A public key and the only algorithm that it may be used with."""

    key_id: str | None
    algorithm: Algorithm
    material: RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey = field(repr=False)

    def has_signed(self, message: bytes, signature: bytes) -> bool:
        return _ALGORITHMS[self.algorithm].verify(message, self.material, signature)


@dataclass(frozen=True, slots=True)
class KeySet:
    """The usable keys. Keys that share a `kid` are left out, because a token could not say which one it
    means."""

    keys: tuple[VerificationKey, ...]

    def key_for(self, key_id: str | None) -> VerificationKey | None:
        """The key with that `kid`. For a token without `kid` it is the only key, if there is exactly one."""
        if key_id is None:
            return self.keys[0] if len(self.keys) == 1 else None
        return next((key for key in self.keys if key.key_id == key_id), None)


def read(document: Mapping[str, Any], algorithm: Algorithm) -> KeySet:
    """The keys of the set that can be used with the algorithm; there may be none. Raises Unreadable if the
    document is not a JWK set."""
    jwks = document.get("keys")
    if not isinstance(jwks, list) or not all(isinstance(jwk, dict) for jwk in jwks):
        raise Unreadable("not a JWK set")
    usable = [key for jwk in jwks if (key := _key(jwk, algorithm)) is not None]
    occurrences = Counter(key.key_id for key in usable)
    return KeySet(tuple(key for key in usable if key.key_id is None or occurrences[key.key_id] == 1))


def _key(jwk: dict[str, Any], algorithm: Algorithm) -> VerificationKey | None:
    if not _is_meant_for(jwk, algorithm):
        return None
    key_type, key_id = jwk["kty"], jwk.get("kid")
    if key_id is not None and not (isinstance(key_id, str) and _KEY_ID.fullmatch(key_id)):
        return None
    try:
        public = {name: jwk[name] for name in _COORDINATES[key_type]}
        for coordinate in public.values():
            octets_of(coordinate)  # PyJWT decodes leniently
        material = _ALGORITHMS[algorithm].from_jwk({"kty": key_type, "crv": jwk.get("crv"), **public})
    except (KeyError, TypeError, ValueError, jwt.PyJWTError):
        return None
    if isinstance(material, RSAPublicKey) and material.key_size not in _RSA_BITS:
        return None
    return VerificationKey(key_id, algorithm, material)


def _is_meant_for(jwk: dict[str, Any], algorithm: Algorithm) -> bool:
    key_type = {"R": "RSA", "P": "RSA"}.get(algorithm[0]) or ("OKP" if algorithm == "EdDSA" else "EC")
    operations = jwk.get("key_ops", ["verify"])
    return (
        jwk.get("kty") == key_type
        and (key_type == "RSA" or jwk.get("crv") == _CURVES[algorithm])
        and jwk.get("use", "sig") == "sig"
        and jwk.get("alg", algorithm) == algorithm
        and isinstance(operations, list)
        and "verify" in operations
        # A private key was published: anybody can sign with it.
        and "d" not in jwk
    )
