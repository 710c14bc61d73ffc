"""All keys and certificates of the authority: made at the start, or read from the folder of an earlier start.

The folder contains `root.pem` and `sub.pem` for relying parties, and in `private/` (0700, files 0600) the
keys with their certificates.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from authproxy.sandbox import private_files
from authproxy.sandbox.certificate_authority import issuing
from authproxy.sandbox.certificate_authority.issuing import CertificateAddresses, CertifiedKey, Stamp
from authproxy.sandbox.certificate_authority.orders import ORDERS

_ROOT, _SUB, _ROOT_OCSP, _SUB_OCSP = "root", "sub", "root-ocsp", "sub-ocsp"
_AUTHORITIES = {_ROOT: 3072, _SUB: 3072, _ROOT_OCSP: 2048, _SUB_OCSP: 2048, "impostor-ca": 3072}
"""Names of keys, with their lengths in bits."""
_REUSED_FOR = timedelta(days=300)
"""After this time everything is made anew, so that valid certificates stay valid, and the one that is not yet
valid stays so."""


class StoredKeysBroken(Exception):  # noqa: N818
    """The folder was not written by us, or is damaged. The text names the file, never its content."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertifiedKeys:
    root: CertifiedKey
    sub: CertifiedKey
    root_ocsp: CertifiedKey
    sub_ocsp: CertifiedKey
    """Signs the OCSP answers about certificates of `sub`."""
    people: Mapping[str, CertifiedKey]
    """By the order's name."""


def certified_keys(
    *, base_url: str, now: datetime, random_bytes: Callable[[int], bytes], folder: Path | None
) -> CertifiedKeys:
    """Makes all keys and certificates, in about a second of all processors, or reads them from `folder`. If
    `base_url` has changed, the certificates are new and the keys stay. Raises StoredKeysBroken, and OSError
    for a folder that cannot be used."""
    if folder is None:
        return _new(base_url, now, random_bytes, {})
    description, private = folder / "made.json", folder / "private"
    if _is_reusable(description, base_url, now):
        return _stored(private)
    new_keys = _new(
        base_url,
        now,
        random_bytes,
        _keys_of(_stored(private)) if _is_reusable(description, None, now) else {},
    )
    _store(new_keys, folder)
    description.write_text(
        json.dumps({"base_url": base_url, "at": now.isoformat(), "orders": _orders()}), encoding="utf-8"
    )
    return new_keys


def pem(certified_key: CertifiedKey) -> bytes:
    """The private key without a password, the certificate, and its chain up to the root."""
    key = certified_key.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return key + b"".join(
        certificate.public_bytes(Encoding.PEM)
        for certificate in (certified_key.certificate, *certified_key.chain)
    )


def _new(
    base_url: str, now: datetime, random_bytes: Callable[[int], bytes], known: Mapping[str, RSAPrivateKey]
) -> CertifiedKeys:
    addresses, now = CertificateAddresses(base=base_url), now.replace(microsecond=0)
    wanted = {order.key: order.bits for order in ORDERS} | _AUTHORITIES
    keys = {**known, **_keys({name: bits for name, bits in wanted.items() if name not in known})}

    def stamp() -> Stamp:
        return Stamp(now=now, random=random_bytes(4))

    root = issuing.root(keys[_ROOT], stamp())
    sub = issuing.sub(keys[_SUB], root, stamp(), addresses)
    # The same names with another key, as an attacker can make them.
    impostor = issuing.sub(
        keys["impostor-ca"], issuing.root(keys["impostor-ca"], stamp()), stamp(), addresses
    )
    issuers = {"sub": sub, "impostor": impostor}
    return CertifiedKeys(
        root=root,
        sub=sub,
        root_ocsp=issuing.responder(keys[_ROOT_OCSP], root, stamp()),
        sub_ocsp=issuing.responder(keys[_SUB_OCSP], sub, stamp()),
        people={
            order.name: issuing.personal(order, keys[order.key], issuers[order.by], stamp(), addresses)
            for order in ORDERS
        },
    )


def _keys(bits: Mapping[str, int]) -> dict[str, RSAPrivateKey]:
    """Makes keys in threads, because OpenSSL releases the interpreter while it looks for primes. Large keys
    come first, so that the last one does not run alone."""
    names = sorted(bits, key=lambda name: -bits[name])
    with ThreadPoolExecutor(os.cpu_count()) as workers:
        return dict(
            zip(names, workers.map(lambda name: generate_private_key(65537, bits[name]), names), strict=True)
        )


def _orders() -> list[str]:
    return [order.name for order in ORDERS]


def _is_reusable(description: Path, base_url: str | None, now: datetime) -> bool:
    """Whether the stored keys are for this address (None: for any), not too old, and complete."""
    if not description.exists():
        return False
    try:
        described = json.loads(description.read_text(encoding="utf-8"))
        age = now - datetime.fromisoformat(described["at"])
        is_here = base_url in (None, described["base_url"])
        return bool(is_here and described["orders"] == _orders() and timedelta() <= age < _REUSED_FOR)
    except (ValueError, TypeError, LookupError):
        raise StoredKeysBroken(f"{description}: damaged; move the folder away to start again") from None


def _stored(private: Path) -> CertifiedKeys:
    return CertifiedKeys(
        root=_read(private, _ROOT),
        sub=_read(private, _SUB),
        root_ocsp=_read(private, _ROOT_OCSP),
        sub_ocsp=_read(private, _SUB_OCSP),
        people={order.name: _read(private, order.name) for order in ORDERS},
    )


def _keys_of(stored: CertifiedKeys) -> dict[str, RSAPrivateKey]:
    authorities = {
        _ROOT: stored.root,
        _SUB: stored.sub,
        _ROOT_OCSP: stored.root_ocsp,
        _SUB_OCSP: stored.sub_ocsp,
    }
    return {order.key: stored.people[order.name].key for order in ORDERS} | {
        name: certified_key.key for name, certified_key in authorities.items()
    }


def _read(private: Path, name: str) -> CertifiedKey:
    file = private / f"{name}.pem"
    try:
        content = file.read_bytes()
        # Checking the primes takes longer than making the key, and only we write here.
        key = load_pem_private_key(content, None, unsafe_skip_rsa_key_validation=True)
        certificate, *chain = x509.load_pem_x509_certificates(content)
    except (FileNotFoundError, ValueError, TypeError):
        raise StoredKeysBroken(f"{file}: missing or damaged; move the folder away to start again") from None
    if not isinstance(key, RSAPrivateKey):
        raise StoredKeysBroken(f"{file}: not an RSA key; move the folder away to start again")
    return CertifiedKey(certificate=certificate, key=key, chain=tuple(chain))


def _store(keys: CertifiedKeys, folder: Path) -> None:
    private = folder / "private"
    private.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, certified_key in _named(keys):
        file = private / f"{name}.pem"
        file.unlink(missing_ok=True)
        private_files.create(file, pem(certified_key))
    for name, certified_key in ((_ROOT, keys.root), (_SUB, keys.sub)):
        (folder / f"{name}.pem").write_bytes(certified_key.certificate.public_bytes(Encoding.PEM))


def _named(keys: CertifiedKeys) -> Iterable[tuple[str, CertifiedKey]]:
    yield from (
        (_ROOT, keys.root),
        (_SUB, keys.sub),
        (_ROOT_OCSP, keys.root_ocsp),
        (_SUB_OCSP, keys.sub_ocsp),
    )
    yield from keys.people.items()
