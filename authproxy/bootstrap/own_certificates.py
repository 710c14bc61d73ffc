"""The certificates that the gateway shows to browsers: how long they are good, and that replaced files are
taken over while it runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509

from authproxy.settings import own_certificates
from authproxy.settings.forms import Tls
from authproxy.settings.schema import Settings
from authproxy.telemetry.logging import logger
from authproxy.telemetry.metrics import Metrics
from authproxy.web.management import Check

_LOOKED_EVERY = 60.0


@dataclass(slots=True, kw_only=True)
class _Shown:
    section: str
    tls: Tls
    hosts: list[str]
    stamp: tuple[tuple[int, int, int], ...]
    chain: list[x509.Certificate]
    trouble: str | None = None
    """Why files that have changed are not taken over."""
    told: str = ""


class OwnCertificates:
    """Make it before the listeners read their files: what changes after that is noticed. Raises OSError or
    ValueError."""

    def __init__(self, settings: Settings, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self.renewals: dict[str, Callable[[], None]] = {}
        """By section: reads its files anew and shows what is in them from the next connection on. Raises
        OSError or ValueError for files that cannot be used, and changes nothing then."""
        self._shown = [
            _Shown(section=section, tls=tls, hosts=hosts, stamp=_stamp(tls), chain=_chain(tls))
            for section, tls, hosts in own_certificates.shown(
                settings.server, settings.acnlb, settings.portals
            )
        ]

    @property
    def are_there(self) -> bool:
        return bool(self._shown)

    async def keep_looking(self) -> None:
        """Looks at the files for ever, once a minute."""
        while True:
            self.look()
            await asyncio.sleep(_LOOKED_EVERY)

    def look(self) -> None:
        """Takes over what has changed. Where that fails, what was shown before is shown further, and the next
        look tries again: certificate and key are two files, and one is replaced before the other."""
        for each in self._shown:
            try:
                stamp = _stamp(each.tls)
                if stamp != each.stamp:
                    chain = _chain(each.tls)
                    self.renewals[each.section]()
                    each.chain, each.stamp = chain, stamp
                    ends_at = f"{chain[0].not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
                    logger("bootstrap").info("certificate.renewed", section=each.section, ends_at=ends_at)
                each.trouble = None
            except (OSError, ValueError) as failure:
                each.trouble = f"cannot be renewed, so that the earlier one is still shown: {failure}"
            self._tell(each)

    def _tell(self, each: _Shown) -> None:
        """Says what is wrong when it begins, and with every day that is less."""
        troubles = "; ".join(self._troubles(each))
        if troubles and troubles != each.told:
            logger("bootstrap").warning("certificate.in_trouble", section=each.section, detail=troubles)
        each.told = troubles

    def _troubles(self, each: _Shown) -> list[str]:
        found = list(own_certificates.troubles(each.chain, each.hosts, now=self._clock()))
        return found if each.trouble is None else [each.trouble, *found]

    async def check(self) -> Check:
        """For readiness: what is wrong or will be within three weeks, or how many days are left."""
        told = [f"{each.section}.tls {trouble}" for each in self._shown for trouble in self._troubles(each)]
        left = ", ".join(f"{each.section}.tls: {self._days_left(each)} days left" for each in self._shown)
        return Check(status="warning" if told else "ok", detail="; ".join(told)[:500] or left)

    def count(self, metrics: Metrics) -> None:
        for each in self._shown:
            metrics.certificate_days_left[(each.section,)] = self._days_left(each)

    def _days_left(self, each: _Shown) -> int:
        """Whole days; below nought once the certificate has expired."""
        return (each.chain[0].not_valid_after_utc - self._clock()).days


def _chain(tls: Tls) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(Path(tls.certificate_file).read_bytes())


def _stamp(tls: Tls) -> tuple[tuple[int, int, int], ...]:
    """Changes when one of the files is written or replaced, also by way of a link."""
    found = (Path(file).stat() for file in (tls.certificate_file, tls.key_file))
    return tuple((each.st_ino, each.st_mtime_ns, each.st_size) for each in found)
