"""Examines a client certificate from the handshake to the verdict: rules and path, revocation, second
opinion, in this order. Every way of showing a certificate, and the operator's command, use this examination.

Computations run in threads of their own, for at most two seconds each, so that one certificate does not delay
other requests.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import TypeVar

from cryptography import x509

from authproxy.access.decision import Reason
from authproxy.access.unavailable import CannotAsk
from authproxy.certificates import path_validation, profiles, second_opinion
from authproxy.certificates.path_validation import CertificatePath, Examination, Pairs
from authproxy.certificates.presentation import Presented
from authproxy.certificates.profiles import CertificateCheck, Profile
from authproxy.certificates.revocation import RevocationSources
from authproxy.certificates.status import Good, IssuedCertificate, RevocationMode, Revoked
from authproxy.certificates.verdict import CertificateRefused, Validated

T = TypeVar("T")


class _OfOneThread(threading.local):
    def __init__(self) -> None:
        self.authorities: second_opinion.Parsed = {}


class CertificateValidator:
    """Examines certificates of one profile, in `workers` threads, for `seconds` each. `patience`, in seconds,
    is how long an examination waits for a free thread. Call `close` at the end."""

    def __init__(
        self,
        profile: Profile,
        revocation: RevocationSources,
        *,
        workers: int = 2,
        seconds: float = 2.0,
        patience: float = 10.0,
    ) -> None:
        self._profile = profile
        self._revocation = revocation
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="certificates")
        self._of_one_thread = _OfOneThread()
        self._free = asyncio.Semaphore(workers)
        self._seconds = seconds
        self._patience = patience

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def validate(
        self, presented: Presented, *, now: datetime, mode: RevocationMode, stapled: bytes | None = None
    ) -> Validated | CertificateRefused:
        """The verdict. Raises CannotAsk in mode `hard` if no source can tell whether the certificate, or a CA
        above it, is revoked.

        `stapled` is an OCSP response that came with the certificate. It is checked like a fetched one.
        """
        _, verdict = await self.examine(presented, now=now, mode=mode, stapled=stapled)
        return verdict

    async def examine(
        self, presented: Presented, *, now: datetime, mode: RevocationMode, stapled: bytes | None = None
    ) -> tuple[Examination, Validated | CertificateRefused]:
        """Like `validate`, and also returns every check that was made."""
        examination = await self.computed(
            lambda: path_validation.examination(presented, self._profile, now=now)
        )
        if isinstance(path := examination.outcome, CertificateRefused):
            return examination, path
        statuses = await self._statuses(path.pairs, now, stapled)
        refused, unchecked = _weighed(statuses, mode)
        examination = examination.after(CertificateCheck.REVOCATION, refused)
        if refused is not None:
            return examination, refused
        known = [status if isinstance(status, Good) else None for status in statuses]
        refused = await self.computed(
            lambda: second_opinion.opinion(
                path, self._profile, now=now, known=self._of_one_thread.authorities
            )
        )
        examination = examination.after(CertificateCheck.SECOND_OPINION, refused)
        return examination, refused or self._validated(path, known, unchecked, now)

    async def recheck(self, leaf: bytes, *above: bytes, now: datetime) -> Good | Revoked:
        """Whether a certificate that was accepted earlier, or a CA above it, has been revoked since. `above`
        are the CAs of its path at that time, if they are known. Raises CannotAsk, and ValueError if no
        authority of the profile is above the certificate any more."""
        certificate, *others = (x509.load_der_x509_certificate(der) for der in (leaf, *above))
        statuses = await self._statuses(self._known_above(certificate, others), now, None)
        revoked = next((status for status in statuses if isinstance(status, Revoked)), None)
        if revoked is not None:
            return revoked
        for status in statuses:
            if isinstance(status, CannotAsk):
                raise status
        return next(status for status in statuses if isinstance(status, Good))

    def _known_above(self, certificate: x509.Certificate, others: Iterable[x509.Certificate]) -> Pairs:
        """The certificate with its issuer, the issuer with its own issuer, and so on to an authority of the
        profile and on to an anchor."""
        pairs: Pairs = ()
        known = [*self._profile.authorities, *others]
        while certificate not in self._profile.anchors:
            issuer = next((authority for authority in known if profiles.issued(authority, certificate)), None)
            if issuer is None:
                break
            known.remove(issuer)
            pairs = (*pairs, (certificate, issuer))
            certificate = issuer
        if not any(issuer in self._profile.authorities for _, issuer in pairs):
            raise ValueError("no authority of the profile is above the certificate")
        return pairs

    def _validated(
        self, path: CertificatePath, known: list[Good | None], unchecked: str | None, now: datetime
    ) -> Validated:
        return Validated(
            leaf=path.leaf,
            tax_number=path.leaf.tax_number if self._profile.believes_tax_numbers else None,
            path=path.der,
            status=tuple(filter(None, known)),
            unchecked=unchecked,
            ends_at=self._profile.ends_at(now),
        )

    async def _statuses(
        self, pairs: Pairs, now: datetime, stapled: bytes | None
    ) -> list[Good | Revoked | CannotAsk]:
        pairs = pairs if self._profile.checks_intermediates else pairs[:1]
        answers = await asyncio.gather(
            *(
                self._revocation.status(
                    IssuedCertificate(certificate=certificate, issuer=issuer),
                    now=now,
                    stapled=None if above else stapled,
                )
                for above, (certificate, issuer) in enumerate(pairs)
            ),
            return_exceptions=True,
        )
        for answer in answers:
            if isinstance(answer, BaseException) and not isinstance(answer, CannotAsk):
                raise answer
        return [
            answer
            for answer in answers
            if not isinstance(answer, BaseException) or isinstance(answer, CannotAsk)
        ]

    async def computed(self, work: Callable[[], T]) -> T:
        """The result of the work. A thread cannot be stopped: one that exceeds its time stays occupied until
        it ends."""
        try:
            async with asyncio.timeout(self._patience):
                await self._free.acquire()
        except TimeoutError:
            raise CannotAsk(
                Reason.REVOCATION_UNAVAILABLE, f"no thread became free within {self._patience:g} s"
            ) from None
        future = asyncio.get_running_loop().run_in_executor(self._threads, work)
        future.add_done_callback(self._freed)
        try:
            async with asyncio.timeout(self._seconds):
                return await asyncio.shield(future)
        except TimeoutError:
            raise CannotAsk(
                Reason.REVOCATION_UNAVAILABLE, f"the examination took longer than {self._seconds:g} s"
            ) from None

    def _freed(self, future: asyncio.Future[T]) -> None:
        self._free.release()
        if not future.cancelled():
            future.exception()  # retrieved, or asyncio logs it if nobody waits for the work any more


def _weighed(
    statuses: list[Good | Revoked | CannotAsk], mode: RevocationMode
) -> tuple[CertificateRefused | None, str | None]:
    """The refusal if any certificate is revoked, even if another status is unknown; otherwise why a status is
    unknown, if the mode accepts that."""
    for status in statuses:
        if isinstance(status, Revoked):
            detail = f"revoked on {status.at:%Y-%m-%d %H:%M:%S} UTC ({status.reason}), says {status.source}"
            return CertificateRefused(reason=Reason.CERTIFICATE_REVOKED, detail=detail), None
    unknown = next((status for status in statuses if isinstance(status, CannotAsk)), None)
    if unknown is not None and mode is RevocationMode.HARD:
        raise unknown
    return None, None if unknown is None else str(unknown)
