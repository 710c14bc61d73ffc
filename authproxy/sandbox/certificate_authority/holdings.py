"""Everything that the authority holds: made at the start, or read from the folder in which an earlier start
has kept it.

The folder has `root.pem` and `sub.pem` for whoever trusts them, and below `private/` (0700, files 0600) keys
with their certificates.
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

from authproxy.sandbox.certificate_authority import issuing
from authproxy.sandbox.certificate_authority.issuing import Addresses, Held, Stamp
from authproxy.sandbox.certificate_authority.orders import ORDERS

_ROOT, _SUB, _ROOT_OCSP, _SUB_OCSP = "root", "sub", "root-ocsp", "sub-ocsp"
_AUTHORITIES = {_ROOT: 3072, _SUB: 3072, _ROOT_OCSP: 2048, _SUB_OCSP: 2048, "impostor-ca": 3072}
"""Names of keys, and their bits."""
_KEPT_FOR = timedelta(days=300)
"""Then everything is made anew: who is valid is to stay so, and who is not yet valid is not to become so."""


class HoldingsBroken(Exception):  # noqa: N818
    """The folder was not written by us, or was damaged. The text names the file, never what stands in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    root: Held
    sub: Held
    root_ocsp: Held
    sub_ocsp: Held
    """Who signs the OCSP answers about what `sub` has issued."""
    people: Mapping[str, Held]
    """By the names of the orders."""


def holdings(*, base_url: str, now: datetime, fresh: Callable[[int], bytes], folder: Path | None) -> Holdings:
    """Made in a second or so of both processors, or read; at another address the certificates are new and the
    keys stay. Raises HoldingsBroken, and OSError for a folder that cannot be used."""
    if folder is None:
        return _made(base_url, now, fresh, {})
    card, private = folder / "made.json", folder / "private"
    if _is_of_use(card, base_url, now):
        return _kept(private)
    made = _made(base_url, now, fresh, _keys_of(_kept(private)) if _is_of_use(card, None, now) else {})
    _keep(made, folder)
    card.write_text(
        json.dumps({"base_url": base_url, "at": now.isoformat(), "orders": _orders()}), encoding="utf-8"
    )
    return made


def pem(held: Held) -> bytes:
    """The private key without a password, the certificate, and its chain up to the root."""
    key = held.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return key + b"".join(
        certificate.public_bytes(Encoding.PEM) for certificate in (held.certificate, *held.chain)
    )


def _made(
    base_url: str, now: datetime, fresh: Callable[[int], bytes], known: Mapping[str, RSAPrivateKey]
) -> Holdings:
    addresses, now = Addresses(base=base_url), now.replace(microsecond=0)
    wanted = {order.key: order.bits for order in ORDERS} | _AUTHORITIES
    keys = {**known, **_keys({name: bits for name, bits in wanted.items() if name not in known})}

    def stamp() -> Stamp:
        return Stamp(now=now, random=fresh(4))

    root = issuing.root(keys[_ROOT], stamp())
    sub = issuing.sub(keys[_SUB], root, stamp(), addresses)
    # The same names over another key: what an attacker can make, too.
    impostor = issuing.sub(
        keys["impostor-ca"], issuing.root(keys["impostor-ca"], stamp()), stamp(), addresses
    )
    issuers = {"sub": sub, "impostor": impostor}
    return Holdings(
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
    """In threads: OpenSSL lets go of the interpreter while it looks for primes. The large ones first, so that
    none is waited for alone."""
    names = sorted(bits, key=lambda name: -bits[name])
    with ThreadPoolExecutor(os.cpu_count()) as workers:
        return dict(
            zip(names, workers.map(lambda name: generate_private_key(65537, bits[name]), names), strict=True)
        )


def _orders() -> list[str]:
    return [order.name for order in ORDERS]


def _is_of_use(card: Path, base_url: str | None, now: datetime) -> bool:
    """Whether what is kept is for this address (None: for any), not too old, and has all that is ordered."""
    if not card.exists():
        return False
    try:
        written = json.loads(card.read_text(encoding="utf-8"))
        age = now - datetime.fromisoformat(written["at"])
        is_here = base_url in (None, written["base_url"])
        return bool(is_here and written["orders"] == _orders() and timedelta() <= age < _KEPT_FOR)
    except (ValueError, TypeError, LookupError):
        raise HoldingsBroken(f"{card}: damaged; move the folder away to begin anew") from None


def _kept(private: Path) -> Holdings:
    return Holdings(
        root=_read(private, _ROOT),
        sub=_read(private, _SUB),
        root_ocsp=_read(private, _ROOT_OCSP),
        sub_ocsp=_read(private, _SUB_OCSP),
        people={order.name: _read(private, order.name) for order in ORDERS},
    )


def _keys_of(kept: Holdings) -> dict[str, RSAPrivateKey]:
    authorities = {_ROOT: kept.root, _SUB: kept.sub, _ROOT_OCSP: kept.root_ocsp, _SUB_OCSP: kept.sub_ocsp}
    return {order.key: kept.people[order.name].key for order in ORDERS} | {
        name: held.key for name, held in authorities.items()
    }


def _read(private: Path, name: str) -> Held:
    file = private / f"{name}.pem"
    try:
        content = file.read_bytes()
        # Looking whether the numbers are primes takes longer than finding them did, and nobody but us writes
        # here.
        key = load_pem_private_key(content, None, unsafe_skip_rsa_key_validation=True)
        certificate, *chain = x509.load_pem_x509_certificates(content)
    except (FileNotFoundError, ValueError, TypeError):
        raise HoldingsBroken(f"{file}: missing or damaged; move the folder away to begin anew") from None
    if not isinstance(key, RSAPrivateKey):
        raise HoldingsBroken(f"{file}: not an RSA key; move the folder away to begin anew")
    return Held(certificate=certificate, key=key, chain=tuple(chain))


def _keep(made: Holdings, folder: Path) -> None:
    private = folder / "private"
    private.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, held in _named(made):
        file = private / f"{name}.pem"
        file.unlink(missing_ok=True)
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
            opened.write(pem(held))
    for name, held in ((_ROOT, made.root), (_SUB, made.sub)):
        (folder / f"{name}.pem").write_bytes(held.certificate.public_bytes(Encoding.PEM))


def _named(made: Holdings) -> Iterable[tuple[str, Held]]:
    yield from (
        (_ROOT, made.root),
        (_SUB, made.sub),
        (_ROOT_OCSP, made.root_ocsp),
        (_SUB_OCSP, made.sub_ocsp),
    )
    yield from made.people.items()
