"""Whether the certificates on which sessions rest still hold, whether somebody signed in or stepped up by
them: one that its issuer has revoked since ends its sessions, at every portal and on every instance."""

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
class Looked:
    """What a look has brought. `ended` are the sessions that are over now; `unknown` the certificates about
    which nobody could say anything: their people stay signed in, as they do in every outage."""

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
        """How often nobody could say whether a certificate is revoked, over all rounds. For metrics."""

    async def look(self, *, now: datetime) -> Looked:
        """Asks about every certificate on which a session rests, and ends the sessions of the revoked. Raises
        CannotAsk where the store cannot be asked for the sessions. What goes wrong with one certificate is
        `unknown`, and the others are looked at."""
        ended: list[SessionSummary] = []
        good = unknown = 0
        for fingerprint, summaries in (await self._in_use(now)).items():
            try:
                if await self._holds(fingerprint, now):
                    good += 1
                else:
                    gone = await self._sessions.revoke_all([summary.session_id for summary in summaries])
                    ended += [summary for summary in summaries if summary.session_id in gone]
            except CannotAsk:
                unknown += 1
            except Exception:  # noqa: BLE001  (whatever it is: it must not keep the other certificates from being looked at)
                logger("certificates").exception("certificates.look_failed")
                unknown += 1
        self.unknown += unknown
        return Looked(ended=tuple(ended), good=good, unknown=unknown)

    async def _in_use(self, now: datetime) -> dict[str, list[SessionSummary]]:
        found: dict[str, list[SessionSummary]] = {}
        async for summary in self._sessions.all_summaries(now=now):
            for fingerprint in _certificates(summary):
                found.setdefault(fingerprint, []).append(summary)
        return found

    async def _holds(self, fingerprint: str, now: datetime) -> bool:
        certificates = await self._certificates.watched(fingerprint)
        if not certificates:
            # Nobody can watch over it any more (its key was dropped, or the store has lost it).
            return False
        try:
            return isinstance(await self._validator.recheck(*certificates, now=now), Good)
        except ValueError:
            return False  # the authority is none of ours any more


def _certificates(summary: SessionSummary) -> set[str]:
    # Sessions of an older version say it in one place only.
    signed_in_by = (
        {summary.provider_session}
        if summary.method == "acnlb" and summary.provider_session is not None
        else set()
    )
    return signed_in_by | set(summary.certificates)
