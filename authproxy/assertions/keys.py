"""The keys that sign assertions: read from files, published as a JWK set (RFC 7517), named by their
thumbprint (RFC 7638), and rotated.

Up to three keys are published: the current one signs; the upcoming one is published in advance, so that
portals know it before it signs; the retiring one stays until its last assertions have expired.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

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
"""RSA needs 3072 bits for 128 bits of security (NIST SP 800-57 part 1, table 2)."""
_OPEN_TO_OTHERS = 0o037
_SIZE_LIMIT = 32 * 1024
# The required members of a key (RFC 7638 §3.2). Only these are published, whatever a library adds.
_MEMBERS = {"EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x"), "RSA": ("e", "kty", "n")}


class KeyRefused(ValueError):  # noqa: N818
    """A key cannot be used. The message names the file and what to do, and contains nothing of the key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    algorithm: SigningAlgorithm
    key_id: str
    """The key's thumbprint, so every instance gives the same file the same name."""
    public_jwk: dict[str, str]
    private: PrivateKey = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFiles:
    """The files of the keys. `upcoming` and `retiring` need not exist yet."""

    current: Path
    upcoming: Path | None = None
    retiring: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKeyRing:
    current: SigningKey
    upcoming: SigningKey | None = None
    retiring: SigningKey | None = None

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """The public keys, the current one first. A key that an interrupted rotation left in two files is
        listed once."""
        published = {
            key.key_id: key.public_jwk
            for key in (self.current, self.upcoming, self.retiring)
            if key is not None
        }
        return {"keys": list(published.values())}


def read_ring(files: KeyFiles, algorithm: SigningAlgorithm) -> SigningKeyRing:
    """Reads the files. Raises KeyRefused if a key cannot be used, or if the current one is for another
    algorithm."""
    current = read_key(files.current)
    if current.algorithm != algorithm:
        raise KeyRefused(f"{files.current}: a key for {current.algorithm}, but the settings say {algorithm}")
    return SigningKeyRing(
        current=current, upcoming=_read_if_there(files.upcoming), retiring=_read_if_there(files.retiring)
    )


def read_key(path: Path) -> SigningKey:
    """Reads a PEM file. Raises KeyRefused, also for a file that everybody may read or a group may write. A
    group may read it, because container platforms give secrets to a process through its group."""
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
    """Raises KeyRefused if `rotate` would, and changes nothing."""
    if files.upcoming is None or files.retiring is None:
        raise _without_places()
    read_ring(files, algorithm)


def _without_places() -> KeyRefused:
    return KeyRefused(
        "rotation needs the files of all three keys in the settings (next_key_file, retiring_key_file)"
    )


def rotate(files: KeyFiles, algorithm: SigningAlgorithm) -> SigningKeyRing:
    """Makes the current key the retiring one, the upcoming key the current one, and generates a new upcoming
    key. If there is no upcoming key, it only generates one, because a key must be published before it signs.
    Returns the new contents of the files, which take effect after a reload or a restart.

    Each file is replaced atomically, and the files hold a usable set of keys at every moment. Raises
    KeyRefused before anything has changed.
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
    """The key with its algorithm and public half; None for a curve or a size that is not used."""
    jwk: dict[str, str]
    algorithm: SigningAlgorithm
    if isinstance(private, ec.EllipticCurvePrivateKey):
        if not isinstance(private.curve, ec.SECP256R1):
            return None
        algorithm, jwk = "ES256", ECAlgorithm.to_jwk(private.public_key(), as_dict=True)
    elif isinstance(private, ed25519.Ed25519PrivateKey):
        algorithm, jwk = "EdDSA", OKPAlgorithm.to_jwk(private.public_key(), as_dict=True)
    else:
        if private.key_size < _RSA_BITS:
            return None
        algorithm, jwk = "RS256", RSAAlgorithm.to_jwk(private.public_key(), as_dict=True)
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
    """Replaces the file atomically. The new file is readable by its owner only (as mkstemp creates it), and
    is on the disk before it gets its name."""
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
