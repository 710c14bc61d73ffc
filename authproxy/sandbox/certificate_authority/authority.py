"""The authority: the certificates that it has issued, their status, its lists and its OCSP answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.ocsp import OCSPResponseStatus, load_der_ocsp_response

from authproxy.sandbox.certificate_authority import names
from authproxy.sandbox.certificate_authority.certified_keys import certified_keys
from authproxy.sandbox.certificate_authority.crl import Issue, Kind, Revocation, revocation_list
from authproxy.sandbox.certificate_authority.issuing import (
    CertificateAddresses,
    CertifiedKey,
    distribution_point,
)
from authproxy.sandbox.certificate_authority.ocsp import Behaviour, Responder, Status, answer, unsuccessful
from authproxy.sandbox.certificate_authority.orders import ORDERS, Order, ordered
from authproxy.sandbox.certificate_authority.revocations import Revocations

State = Literal["valid", "revoked", "expired", "not_yet_valid", "foreign"]
Of = Literal["root", "sub"]
PARTITIONS: dict[Of, tuple[int, ...]] = {"root": (1,), "sub": (1, 2)}
# Short, so that a revocation takes effect soon.
_ANSWER_LIVES, _LIST_LIVES = timedelta(minutes=1), timedelta(minutes=10)
_STALE_SINCE = timedelta(days=1)
_SUB = "sub"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A certificate as the page and scripts show it."""

    order: Order
    certificate: x509.Certificate
    state: State
    """foreign: issued by somebody else under our name, so we know nothing about it."""

    @property
    def sha256(self) -> str:
        return self.certificate.fingerprint(hashes.SHA256()).hex()

    @property
    def serial(self) -> str:
        return f"{self.certificate.serial_number:x}"


class Authority:
    """The authority with all its keys. Without a `folder` it forgets everything at the end. Raises
    StoredKeysBroken, RevocationsBroken and OSError."""

    def __init__(
        self,
        *,
        base_url: str,
        clock: Callable[[], datetime],
        random_bytes: Callable[[int], bytes],
        folder: Path | None,
    ) -> None:
        self._clock = clock
        self._random_bytes = random_bytes
        self._addresses = CertificateAddresses(base=base_url)
        now = clock()
        self._keys = certified_keys(base_url=base_url, now=now, random_bytes=random_bytes, folder=folder)
        self._revocations = Revocations(
            (order.name for order in ORDERS if order.is_revoked),
            now=now.replace(microsecond=0),
            file=folder / "revoked.json" if folder is not None else None,
        )
        self._ours = {
            self._keys.people[order.name].certificate.serial_number: order
            for order in ORDERS
            if order.by == "sub"
        }
        self._number = 0
        self._responders = (
            Responder(issuer=self._keys.sub.certificate, signer=self._keys.sub_ocsp, of=self._status),
            Responder(
                issuer=self._keys.root.certificate, signer=self._keys.root_ocsp, of=self._status_of_sub
            ),
        )

    def authority(self, of: Of) -> CertifiedKey:
        return self._keys.root if of == "root" else self._keys.sub

    def person(self, name: str) -> tuple[Order, CertifiedKey] | None:
        order = ordered(name)
        return (order, self._keys.people[order.name]) if order is not None else None

    def entries(self) -> Iterator[Entry]:
        """Every certificate that can be fetched, people first."""
        now = self._clock()
        for order in ORDERS:
            certificate = self._keys.people[order.name].certificate
            yield Entry(order=order, certificate=certificate, state=self._state(order, certificate, now))

    def revoke(self, name: str, reason: x509.ReasonFlags) -> bool:
        """Revokes a certificate; `sub` is the issuing CA itself. False if there is no such certificate."""
        known = self._revocable(name)
        if known is not None:
            self._revocations.revoke(known, reason=reason, now=self._clock())
        return known is not None

    def restore(self, name: str) -> bool:
        """Ends a revocation. False if there is no such certificate."""
        known = self._revocable(name)
        if known is not None:
            self._revocations.restore(known)
        return known is not None

    def ocsp(self, question: bytes, how: str | None) -> bytes:
        """The answer to an OCSP request; with the fault `how` (of `faults`), if any."""
        if how == "try_later":
            return unsuccessful(OCSPResponseStatus.TRY_LATER)
        response = answer(question, self._responders, self._behaviour(how))
        if (
            how == "wrong_signature"
            and (read := load_der_ocsp_response(response)).response_status is OCSPResponseStatus.SUCCESSFUL
        ):
            return _spoilt(response, read.signature)
        return response

    def crl(
        self, of: Of, partition: int | None, how: str | None, *, kind: Kind = "complete"
    ) -> x509.CertificateRevocationList:
        """The list of one partition, or of everything; with the fault `how` (of `faults`), if any."""
        if how == "wrong_partition" and partition is not None:
            partition = max(PARTITIONS[of]) + 1 - partition
        elif how in {"delta", "indirect"}:
            kind = "delta" if how == "delta" else "indirect"
        since, until = self._window(_LIST_LIVES, how)
        scope: tuple[x509.GeneralName, ...] = ()
        if partition is not None:
            common_name = names.ROOT if of == "root" else names.SUB
            scope = distribution_point(self._addresses, of=of, common_name=common_name, partition=partition)
        issue = Issue(
            number=self._next_number(), this_update=since, next_update=until, kind=kind, scope=scope
        )
        crl = revocation_list(self.authority(of), self._listed(of, partition), issue)
        if how == "wrong_signature":
            return x509.load_der_x509_crl(_spoilt(crl.public_bytes(Encoding.DER), crl.signature))
        return crl

    def _behaviour(self, how: str | None) -> Behaviour:
        since, until = self._window(_ANSWER_LIVES, how)
        drawn: dict[str | None, Callable[[bytes], bytes | None]] = {
            "nonce_dropped": lambda _: None,
            "wrong_nonce": lambda asked: self._random_bytes(len(asked)),
        }
        return Behaviour(
            this_update=since,
            next_update=until,
            is_always_unknown=how == "unknown",
            serial_offset=how == "wrong_certificate_id",
            signer=self._keys.people["gregor.zagar"] if how == "wrong_responder" else None,
            nonce=drawn.get(how, lambda asked: asked),
        )

    def _window(self, lives: timedelta, how: str | None) -> tuple[datetime, datetime]:
        since = self._clock().replace(microsecond=0)
        if how == "stale":
            since -= _STALE_SINCE + lives
        return since, since + lives

    def _next_number(self) -> int:
        """The next CRL number. It also grows over a restart, because nobody issues a thousand lists in a
        second."""
        self._number = max(self._number + 1, int(self._clock().timestamp() * 1000))
        return self._number

    def _listed(self, of: Of, partition: int | None) -> Iterable[tuple[int, Revocation]]:
        for name, revoked in self._revocations:
            if of == "root" and name == _SUB:
                yield self._keys.sub.certificate.serial_number, revoked
            elif (
                of == "sub" and (order := ordered(name)) is not None and partition in (None, order.partition)
            ):
                yield self._keys.people[order.name].certificate.serial_number, revoked

    def _status(self, serial: int) -> Status | None:
        order = self._ours.get(serial)
        return Status(revoked=self._revocations.of(order.name)) if order is not None else None

    def _status_of_sub(self, serial: int) -> Status | None:
        return (
            Status(revoked=self._revocations.of(_SUB))
            if serial == self._keys.sub.certificate.serial_number
            else None
        )

    def _revocable(self, name: str) -> str | None:
        if name == _SUB:
            return _SUB
        order = ordered(name)
        return order.name if order is not None and order.by == "sub" else None

    def _state(self, order: Order, certificate: x509.Certificate, now: datetime) -> State:
        if order.by != "sub":
            return "foreign"
        if self._revocations.of(order.name) is not None:
            return "revoked"
        if now > certificate.not_valid_after_utc:
            return "expired"
        return "valid" if now >= certificate.not_valid_before_utc else "not_yet_valid"


def _spoilt(signed: bytes, signature: bytes) -> bytes:
    """The same bytes with one bit of the signature changed."""
    return signed.replace(signature, signature[:-1] + bytes([signature[-1] ^ 1]))
