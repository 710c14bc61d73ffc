"""Whether the certificates on which sessions rest are still valid. They may have signed somebody in, or given
a fresh proof. If a certificate has been revoked, its sessions end, at every portal and on every instance."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from authproxy.access.unavailable import CannotAsk
from authproxy.certificates.status import Good
from authproxy.certificates.validator import CertificateValidator
from authproxy.flows.sign_in.kept_certificates import KeptCertificates
from authproxy.flows.stores import SessionStore
from authproxy.identity.session import SessionSummary
from authproxy.telemetry.logging import logger


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchResult:
    """`ended` are the sessions that have ended. `good` and `unknown` count certificates. If nobody can say
    whether a certificate is revoked, its people stay signed in, as they do in every outage."""

    ended: tuple[SessionSummary, ...] = ()
    good: int = 0
    unknown: int = 0


class CertificateWatch:
    def __init__(
        self, *, sessions: SessionStore, certificates: KeptCertificates, validator: CertificateValidator
    ) -> None:
        self._sessions = sessions
        self._certificates = certificates
        self._validator = validator
        self.unknown = 0
        """How often nobody could say whether a certificate is revoked, over all rounds, for metrics."""

    async def look(self, *, now: datetime) -> WatchResult:
        """Asks about every certificate on which a session rests, and ends the sessions of those that are
        revoked. A certificate with which something goes wrong counts as `unknown`, and the others are still
        asked about. Raises CannotAsk if the store cannot be asked for the sessions."""
        ended: list[SessionSummary] = []
        good = unknown = 0
        for fingerprint, summaries in (await self._in_use(now)).items():
            try:
                if await self._is_valid(fingerprint, now):
                    good += 1
                else:
                    revoked = await self._sessions.revoke_all([summary.session_id for summary in summaries])
                    ended += [summary for summary in summaries if summary.session_id in revoked]
            except CannotAsk:
                unknown += 1
            except Exception:  # noqa: BLE001  (one certificate must not keep the others from being asked about)
                logger("certificates").exception("certificates.look_failed")
                unknown += 1
        self.unknown += unknown
        return WatchResult(ended=tuple(ended), good=good, unknown=unknown)

    async def _in_use(self, now: datetime) -> dict[str, list[SessionSummary]]:
        in_use: dict[str, list[SessionSummary]] = {}
        async for summary in self._sessions.all_summaries(now=now):
            for fingerprint in _certificates(summary):
                in_use.setdefault(fingerprint, []).append(summary)
        return in_use

    async def _is_valid(self, fingerprint: str, now: datetime) -> bool:
        certificates = await self._certificates.watched(fingerprint)
        if not certificates:
            # It cannot be asked about any more: its key was dropped, or the store has lost it.
            return False
        try:
            return isinstance(await self._validator.recheck(*certificates, now=now), Good)
        except ValueError:
            return False  # the settings no longer name its authority


def _certificates(summary: SessionSummary) -> set[str]:
    # Sessions of an older version name the certificate of the sign-in as their provider session only.
    signed_in_by = (
        {summary.provider_session}
        if summary.method == "acnlb" and summary.provider_session is not None
        else set()
    )
    return signed_in_by | set(summary.certificates)
