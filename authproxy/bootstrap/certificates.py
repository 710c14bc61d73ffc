"""Signing in with a certificate: the section `acnlb` → who is trusted, who is asked about revocation, and how
sessions end whose certificate has been revoked."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

from authproxy.access.decision import Reason
from authproxy.access.unavailable import CannotAsk
from authproxy.bootstrap.stores import Stores
from authproxy.certificates.addresses import SourceAddresses
from authproxy.certificates.fetching import Fetcher, client_session
from authproxy.certificates.profiles import Profile, Sunset
from authproxy.certificates.revocation import RevocationRules, RevocationSources
from authproxy.certificates.status import RevocationMode
from authproxy.certificates.validator import CertificateValidator
from authproxy.dns.resolver import Resolver
from authproxy.flows.ending.certificate_watch import CertificateWatch
from authproxy.flows.register.membership import Membership
from authproxy.flows.sign_in.attempts import SignInDemand, SignIns
from authproxy.flows.sign_in.certificate import CertificateRules, CertificateSignIn
from authproxy.flows.sign_in.kept_certificates import KeptCertificates
from authproxy.flows.step_up.elevation import Elevations
from authproxy.flows.stores import OctetStore
from authproxy.identity.person import Issuer
from authproxy.settings.certificates import AcnlbSettings, RevocationSettings
from authproxy.settings.checks.certificates import authority
from authproxy.settings.schema import Settings
from authproxy.telemetry.audit import Audit, Event
from authproxy.telemetry.logging import logger
from authproxy.telemetry.metrics import Metrics
from authproxy.web.management import Check

Clock = Callable[[], datetime]
_REMEMBERED_FOR = timedelta(hours=1)
"""How long readiness reports a certificate about which nobody may be asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateComponents:
    """Signing in with certificates, and its background work, readiness and metrics."""

    login: CertificateSignIn
    sources: RevocationSources
    profile: Profile
    watch: CertificateWatch
    audit: Audit
    clock: Clock

    async def look(self) -> None:
        """Ends the sessions whose certificate has been revoked since. Raises CannotAsk."""
        result = await self.watch.look(now=self.clock())
        for summary in result.ended:
            self.audit.record(
                Event.SESSION_REVOKED,
                session_id=summary.session_id,
                portal=summary.portal,
                method=summary.method,
                by="authority",
                reason=Reason.CERTIFICATE_REVOKED,
            )
        if result.unknown:
            logger("certificates").warning("certificates.unknown", count=result.unknown)

    async def keep_looking(self, sessions_checked_every: timedelta) -> None:
        """Looks for ever, a little earlier or later each time, so that instances do not all ask at once."""
        seconds = sessions_checked_every.total_seconds()
        while True:
            await asyncio.sleep(seconds * (0.9 + secrets.randbelow(2000) / 10_000))
            try:
                await self.look()
            except CannotAsk as failure:
                logger("certificates").warning(
                    "certificates.not_looked_at", reason=failure.reason.value, error=str(failure)
                )

    async def check(self) -> Check:
        """For readiness: whether any source can say today what is revoked."""
        now = self.clock()
        asked = [
            source
            for source in self.sources.freshness(now)
            if source.answered_at is not None or source.failure is not None
        ]
        problems = [
            f"{source.source.value} {source.address}: {source.failure or 'out of date'}"
            for source in asked
            if not source.is_usable
        ]
        usable = len(asked) - len(problems)
        last = self.sources.nobody_to_ask_at
        if last is not None and now - last < _REMEMBERED_FOR:
            problems.insert(
                0,
                f"at {last:%H:%M:%S} UTC a certificate was shown about which no list and no responder may "
                "be asked: it names no address that `acnlb.revocation` allows",
            )
            usable = 0
        if problems:
            return Check(status="warning" if usable else "failed", detail="; ".join(problems)[:500])
        return Check(status="ok", detail=f"{usable} sources")

    def count(self, metrics: Metrics) -> None:
        now = self.clock()
        metrics.fail_open["session_certificate",] = self.watch.unknown
        metrics.revocation_sources.clear()
        metrics.revocation_age.clear()
        for source in self.sources.freshness(now):
            kind = source.source.value
            metrics.revocation_sources[kind, "usable" if source.is_usable else "unusable"] += 1
            stated_at = source.this_update or source.answered_at
            if stated_at is not None:
                age = int((now - stated_at).total_seconds())
                metrics.revocation_age[(kind,)] = max(metrics.revocation_age[(kind,)], age)


async def certificate_components(  # noqa: PLR0913  (what is needed is handed over, not looked up)
    settings: Settings,
    acnlb: AcnlbSettings,
    stores: Stores,
    demands: Mapping[str, SignInDemand],
    sign_ins: SignIns,
    elevations: Elevations,
    *,
    audit: Audit,
    clock: Clock,
    resources: AsyncExitStack,
    names: Resolver,
) -> CertificateComponents:
    """Raises OSError or ValueError for files and addresses that cannot be used."""
    profile = profile_of(acnlb)
    sources = await _sources(
        acnlb, stores.shared_octets, profile, clock=clock, resources=resources, names=names
    )
    validator = CertificateValidator(profile, sources)
    resources.callback(validator.close)
    certificates = KeptCertificates(stores.shared_octets)
    login = CertificateSignIn(
        rules=CertificateRules(
            url=acnlb.url.rstrip("/"),
            issuer=Issuer(settings.assertions.issuer),
            level=acnlb.level,
            modes={
                portal_id: RevocationMode(portal.revocation) for portal_id, portal in settings.portals.items()
            },
        ),
        validator=validator,
        membership=Membership(store=stores.people),
        seals=stores.seals,
        sign_ins=sign_ins,
        elevations=elevations,
        certificates=certificates,
        demands=demands,
        attempt_for=settings.sessions.attempt,
        clock=clock,
    )
    watch = CertificateWatch(sessions=stores.sessions, certificates=certificates, validator=validator)
    return CertificateComponents(
        login=login, sources=sources, profile=profile, watch=watch, audit=audit, clock=clock
    )


async def validator_of(
    acnlb: AcnlbSettings,
    shared_octets: OctetStore,
    *,
    clock: Clock,
    resources: AsyncExitStack,
    names: Resolver,
) -> CertificateValidator:
    """A validator without sign-in, for `certificate explain`. Raises OSError or ValueError."""
    profile = profile_of(acnlb)
    sources = await _sources(acnlb, shared_octets, profile, clock=clock, resources=resources, names=names)
    validator = CertificateValidator(profile, sources)
    resources.callback(validator.close)
    return validator


async def _sources(
    acnlb: AcnlbSettings,
    shared_octets: OctetStore,
    profile: Profile,
    *,
    clock: Clock,
    resources: AsyncExitStack,
    names: Resolver,
) -> RevocationSources:
    fetcher = Fetcher(
        named=await resources.enter_async_context(client_session(public_only=False, names=names)),
        public=await resources.enter_async_context(client_session(public_only=True, names=names)),
    )
    return RevocationSources(
        rules_of(acnlb.revocation),
        fetcher,
        shared_octets,
        authorities=profile.authorities,
        clock=clock,
        random_bytes=secrets.token_bytes,
    )


def profile_of(acnlb: AcnlbSettings) -> Profile:
    return Profile(
        anchors=(authority(Path(acnlb.root_file)),),
        intermediates=(authority(Path(acnlb.sub_ca_file)),),
        accepted_policies=frozenset(acnlb.accepted_policies),
        seal_policies=frozenset(acnlb.seal_policies),
        requires_key_usage=acnlb.requires_key_usage,
        requires_extended_key_usage=acnlb.requires_extended_key_usage,
        believes_tax_numbers=acnlb.believes_tax_numbers,
        sunset=Sunset(warn_from=_midnight(acnlb.warn_from), stop_at=_midnight(acnlb.stop_at)),
    )


def rules_of(settings: RevocationSettings) -> RevocationRules:
    return RevocationRules(
        addresses=SourceAddresses(
            allowed_hosts=frozenset(settings.allowed_hosts),
            moved=settings.moved,
            ocsp_url=settings.ocsp_url,
            crl_urls=settings.crl_urls,
        ),
        ocsp_timeout=settings.timeout,
        max_stale=settings.max_stale,
        refresh_every=settings.refresh_every,
        largest_list=settings.largest_list,
    )


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
