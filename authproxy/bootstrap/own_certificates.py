"""The gateway's own certificates, which it shows to browsers: it reports when they end, and reads replaced
files while it runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509

from authproxy.settings import own_certificates
from authproxy.settings.schema import Settings
from authproxy.settings.value_types import TlsSettings
from authproxy.telemetry.logging import logger
from authproxy.telemetry.metrics import Metrics
from authproxy.web.management import Check

_LOOKED_EVERY = 60.0


@dataclass(slots=True, kw_only=True)
class _OwnCertificate:
    section: str
    tls: TlsSettings
    hosts: list[str]
    stamp: tuple[tuple[int, int, int], ...]
    chain: list[x509.Certificate]
    renewal_failure: str | None = None
    """Why files that have changed are not used yet."""
    reported: str = ""
    """The troubles of the last log line."""


class OwnCertificates:
    """The certificates of our listeners. Make it before the listeners read their files, so that it notices
    every change after that. Raises OSError or ValueError."""

    def __init__(self, settings: Settings, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self.renewals: dict[str, Callable[[], None]] = {}
        """By section: reads its files anew for all further connections. Raises OSError or ValueError for
        files that cannot be used, and then changes nothing."""
        self._certificates = [
            _OwnCertificate(section=section, tls=tls, hosts=hosts, stamp=_stamp(tls), chain=_chain(tls))
            for section, tls, hosts in own_certificates.shown(
                settings.server, settings.acnlb, settings.portals
            )
        ]

    @property
    def are_there(self) -> bool:
        return bool(self._certificates)

    async def keep_looking(self) -> None:
        """Looks at the files for ever, once a minute."""
        while True:
            self.look()
            await asyncio.sleep(_LOOKED_EVERY)

    def look(self) -> None:
        """Uses files that have changed. If that fails, the earlier certificate is still shown, and the next
        look tries again: certificate and key are two files, and one of them is replaced first."""
        for certificate in self._certificates:
            try:
                stamp = _stamp(certificate.tls)
                if stamp != certificate.stamp:
                    chain = _chain(certificate.tls)
                    self.renewals[certificate.section]()
                    certificate.chain, certificate.stamp = chain, stamp
                    ends_at = f"{chain[0].not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
                    logger("bootstrap").info(
                        "certificate.renewed", section=certificate.section, ends_at=ends_at
                    )
                certificate.renewal_failure = None
            except (OSError, ValueError) as failure:
                certificate.renewal_failure = (
                    f"cannot be renewed, so that the earlier one is still shown: {failure}"
                )
            self._report(certificate)

    def _report(self, certificate: _OwnCertificate) -> None:
        """Logs troubles when they begin, and each day on which fewer days are left."""
        troubles = "; ".join(self._troubles(certificate))
        if troubles and troubles != certificate.reported:
            logger("bootstrap").warning(
                "certificate.in_trouble", section=certificate.section, detail=troubles
            )
        certificate.reported = troubles

    def _troubles(self, certificate: _OwnCertificate) -> list[str]:
        troubles = list(own_certificates.troubles(certificate.chain, certificate.hosts, now=self._clock()))
        return troubles if certificate.renewal_failure is None else [certificate.renewal_failure, *troubles]

    async def check(self) -> Check:
        """For readiness: what is wrong or will be within three weeks, or else how many days are left."""
        troubles = [
            f"{certificate.section}.tls {trouble}"
            for certificate in self._certificates
            for trouble in self._troubles(certificate)
        ]
        left = ", ".join(
            f"{certificate.section}.tls: {self._days_left(certificate)} days left"
            for certificate in self._certificates
        )
        return Check(status="warning" if troubles else "ok", detail="; ".join(troubles)[:500] or left)

    def count(self, metrics: Metrics) -> None:
        for certificate in self._certificates:
            metrics.certificate_days_left[(certificate.section,)] = self._days_left(certificate)

    def _days_left(self, certificate: _OwnCertificate) -> int:
        """Whole days; negative once the certificate has expired."""
        return (certificate.chain[0].not_valid_after_utc - self._clock()).days


def _chain(tls: TlsSettings) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(Path(tls.certificate_file).read_bytes())


def _stamp(tls: TlsSettings) -> tuple[tuple[int, int, int], ...]:
    """Changes when one of the files is written or replaced, also through a link."""
    states = (Path(file).stat() for file in (tls.certificate_file, tls.key_file))
    return tuple((state.st_ino, state.st_mtime_ns, state.st_size) for state in states)
