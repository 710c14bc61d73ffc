"""The keys that sign assertions: read from files, published as a JWK set (RFC 7517), named by their
thumbprint (RFC 7638), and rotated.

Three are published: the one that signs, the one that will, so that portals know it in time, and the one that
did, until its assertions are over.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, cast

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from jwt.utils import base64url_encode

SigningAlgorithm = Literal["ES256", "EdDSA", "RS256"]
PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey
_RSA_BITS = 3072
"""What 128 bits of strength need."""
_OPEN_TO_OTHERS = 0o037
_SIZE_LIMIT = 32 * 1024
# The members that make the key (RFC 7638 §3.2). Nothing else of a key is published, whatever a library adds.
_MEMBERS = {"EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x"), "RSA": ("e", "kty", "n")}


class KeyRefused(ValueError):  # noqa: N818
    """A key cannot be used. The message names the file and what to do; it holds nothing of the key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    algorithm: SigningAlgorithm
    key_id: str
    """The key's thumbprint: the same file has the same name on every instance."""
    public_jwk: dict[str, str]
    private: PrivateKey = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFiles:
    """Where the keys lie. `upcoming` and `retiring` may be named before there is anything in them."""

    current: Path
    upcoming: Path | None = None
    retiring: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKeyRing:
    current: SigningKey
    upcoming: SigningKey | None = None
    retiring: SigningKey | None = None

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """The public halves, the signing one first. A key in two files, as an interrupted rotation leaves it,
        is listed once."""
        published = {
            key.key_id: key.public_jwk
            for key in (self.current, self.upcoming, self.retiring)
            if key is not None
        }
        return {"keys": list(published.values())}


def read_ring(files: KeyFiles, algorithm: SigningAlgorithm) -> SigningKeyRing:
    """The keys in the files. Raises KeyRefused if one cannot be used, or if the current one is not for the
    algorithm."""
    current = read_key(files.current)
    if current.algorithm != algorithm:
        raise KeyRefused(f"{files.current}: a key for {current.algorithm}, but the settings say {algorithm}")
    return SigningKeyRing(
        current=current, upcoming=_read_if_there(files.upcoming), retiring=_read_if_there(files.retiring)
    )


def read_key(path: Path) -> SigningKey:
    """The key in a PEM file. Raises KeyRefused, also for a file that everybody may read or a group may write.
    (A group may read: container platforms hand secrets to a process through its group.)"""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            pem = file.read(_SIZE_LIMIT)
    except OSError as error:
        raise KeyRefused(f"{path}: {error.strerror}") from None
    if mode & _OPEN_TO_OTHERS:
        raise KeyRefused(
            f"{path}: everybody may read this file, or a group may write it; run `chmod 600 {path}`"
        )
    try:
        private = load_pem_private_key(pem, password=None)
    except (TypeError, ValueError):  # TypeError: the key is encrypted
        raise KeyRefused(f"{path}: not a PEM private key without a passphrase") from None
    key = _signing_key(private) if isinstance(private, PrivateKey) else None
    if key is None:
        raise KeyRefused(
            f"{path}: P-256 (ES256), Ed25519 (EdDSA) or RSA of {_RSA_BITS} bits or more (RS256) is needed"
        )
    return key


def generate(algorithm: SigningAlgorithm) -> bytes:
    """A new private key in PEM (PKCS #8)."""
    private: PrivateKey
    match algorithm:
        case "ES256":
            private = ec.generate_private_key(ec.SECP256R1())
        case "EdDSA":
            private = ed25519.Ed25519PrivateKey.generate()
        case "RS256":
            private = rsa.generate_private_key(public_exponent=65537, key_size=_RSA_BITS)
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def demand_rotatable(files: KeyFiles, algorithm: SigningAlgorithm) -> None:
    """Raises KeyRefused where `rotate` would, and changes nothing."""
    if files.upcoming is None or files.retiring is None:
        raise _without_places()
    read_ring(files, algorithm)


def _without_places() -> KeyRefused:
    return KeyRefused(
        "rotation needs the files of all three keys in the settings (next_key_file, retiring_key_file)"
    )


def rotate(files: KeyFiles, algorithm: SigningAlgorithm) -> SigningKeyRing:
    """Makes the upcoming key the current one, the current one retiring, and a new upcoming one; without an
    upcoming key only makes that, because a key must be published before it signs. Returns the ring as it now
    lies in the files; it signs after a restart.

    Each file is replaced atomically, and at each moment the files hold a usable ring. Raises KeyRefused
    before anything is changed.
    """
    if files.upcoming is None or files.retiring is None:
        raise _without_places()
    current, upcoming = read_key(files.current), _read_if_there(files.upcoming)
    new = generate(algorithm)
    if upcoming is not None and upcoming.key_id != current.key_id:
        _replace(files.retiring, files.current.read_bytes())
        _replace(files.current, files.upcoming.read_bytes())
    _replace(files.upcoming, new)
    return SigningKeyRing(
        current=read_key(files.current),
        upcoming=read_key(files.upcoming),
        retiring=_read_if_there(files.retiring),
    )


def _signing_key(private: PrivateKey) -> SigningKey | None:
    jwk: dict[str, str]
    algorithm: SigningAlgorithm
    if isinstance(private, ec.EllipticCurvePrivateKey):
        if not isinstance(private.curve, ec.SECP256R1):
            return None
        algorithm, jwk = (
            "ES256",
            cast("dict[str, str]", ECAlgorithm.to_jwk(private.public_key(), as_dict=True)),
        )
    elif isinstance(private, ed25519.Ed25519PrivateKey):
        algorithm, jwk = (
            "EdDSA",
            cast("dict[str, str]", OKPAlgorithm.to_jwk(private.public_key(), as_dict=True)),
        )
    else:
        if private.key_size < _RSA_BITS:
            return None
        algorithm, jwk = (
            "RS256",
            cast("dict[str, str]", RSAAlgorithm.to_jwk(private.public_key(), as_dict=True)),
        )
    essential = {name: jwk[name] for name in _MEMBERS[jwk["kty"]]}
    key_id = _thumbprint(essential)
    return SigningKey(
        algorithm=algorithm,
        key_id=key_id,
        private=private,
        public_jwk={**essential, "kid": key_id, "alg": algorithm, "use": "sig"},
    )


def _thumbprint(essential: dict[str, str]) -> str:
    canonical = json.dumps(essential, sort_keys=True, separators=(",", ":")).encode("ascii")
    return base64url_encode(hashlib.sha256(canonical).digest()).decode("ascii")


def _read_if_there(path: Path | None) -> SigningKey | None:
    return read_key(path) if path is not None and path.exists() else None


def _replace(path: Path, content: bytes) -> None:
    """Atomically, readable by the owner only (which is what mkstemp makes), and on the disk before it has the
    name."""
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        temporary = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise KeyRefused(f"{path}: {error.strerror}") from None
