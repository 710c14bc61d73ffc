"""Signing in with a certificate, put together from the settings: who is trusted, who is asked about
revocation, and the listener."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from aiohttp import web

from authproxy.access.decision import Reason
from authproxy.access.unavailable import CannotAsk
from authproxy.bootstrap import meanings
from authproxy.bootstrap.starting import Unusable
from authproxy.bootstrap.stores import Stores
from authproxy.certificates import presentation
from authproxy.certificates.addresses import SourceAddresses
from authproxy.certificates.fetching import Fetcher, client_session
from authproxy.certificates.presentation import Terminator, TerminatorForm
from authproxy.certificates.profiles import Profile, Sunset
from authproxy.certificates.revocation import RevocationRules, RevocationSources
from authproxy.certificates.status import RevocationMode
from authproxy.certificates.validator import CertificateValidator
from authproxy.dns.resolver import Resolver
from authproxy.edge.client.sockets import Bound
from authproxy.edge.rules.client_address import TrustedProxies
from authproxy.flows.ending.certificate_watch import CertificateWatch
from authproxy.flows.register.membership import Membership
from authproxy.flows.sign_in.attempts import SignInDemand, SignIns
from authproxy.flows.sign_in.certificate import CertificateRules, CertificateSignIn
from authproxy.flows.sign_in.kept_certificates import KeptCertificates
from authproxy.flows.step_up.elevation import Elevations
from authproxy.flows.stores import OctetStore
from authproxy.identity.person import Issuer
from authproxy.settings.certificates import Acnlb, CertificateRevocation
from authproxy.settings.checks.certificates import authority
from authproxy.settings.schema import Settings
from authproxy.telemetry.audit import Audit, Event
from authproxy.telemetry.logging import logger
from authproxy.telemetry.metrics import Metrics
from authproxy.web.certificate_listener import tls
from authproxy.web.certificate_listener.application import (
    CertificateServices,
    Presenting,
    certificate_application,
    forwarded_by,
    shown_to_us,
)
from authproxy.web.management import Check
from authproxy.web.pages import Links
from authproxy.web.rates import Rates
from authproxy.web.request_context import PortalPresentation

Clock = Callable[[], datetime]
_IDLE_FOR = 15.0
"""Seconds that a connection without a request stays open: a browser shows its certificate and goes."""
_BACKLOG = 1024
_REMEMBERED_FOR = timedelta(hours=1)
"""How long readiness tells of a certificate about which nobody may be asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateParts:
    """What the rest of the gateway needs of it."""

    login: CertificateSignIn
    sources: RevocationSources
    profile: Profile
    watch: CertificateWatch
    audit: Audit
    clock: Clock

    async def look(self) -> None:
        """Ends the sessions of certificates that have been revoked since. Raises CannotAsk."""
        looked = await self.watch.look(now=self.clock())
        for summary in looked.ended:
            self.audit.record(
                Event.SESSION_REVOKED,
                session_id=summary.session_id,
                portal=summary.portal,
                method=summary.method,
                by="authority",
                reason=Reason.CERTIFICATE_REVOKED,
            )
        if looked.unknown:
            logger("certificates").warning("certificates.unknown", count=looked.unknown)

    async def keep_looking(self, every: timedelta) -> None:
        """Looks for ever, a little earlier or later each time, so that instances do not ask all at once."""
        while True:
            await asyncio.sleep(every.total_seconds() * (0.9 + secrets.randbelow(2000) / 10_000))
            try:
                await self.look()
            except CannotAsk as failure:
                logger("certificates").warning(
                    "certificates.not_looked_at", reason=failure.reason.value, error=str(failure)
                )

    async def check(self) -> Check:
        """For readiness: whether somebody can say today what is revoked."""
        now = self.clock()
        # What has not been asked yet will be in a moment.
        known = [
            each
            for each in self.sources.freshness(now)
            if each.answered_at is not None or each.failure is not None
        ]
        told = [
            f"{each.source.value} {each.address}: {each.failure or 'out of date'}"
            for each in known
            if not each.is_usable
        ]
        usable = len(known) - len(told)
        last = self.sources.nobody_to_ask_at
        if last is not None and now - last < _REMEMBERED_FOR:
            told.insert(
                0,
                f"at {last:%H:%M:%S} UTC a certificate was shown about which no list and no responder may "
                "be asked: it names no address that `acnlb.revocation` allows",
            )
            usable = 0
        if told:
            return Check(status="warning" if usable else "failed", detail="; ".join(told)[:500])
        return Check(status="ok", detail=f"{usable} sources")

    def count(self, metrics: Metrics) -> None:
        now, known = self.clock(), self.sources.freshness(self.clock())
        metrics.fail_open["session_certificate",] = self.watch.unknown
        metrics.revocation_sources.clear()
        metrics.revocation_age.clear()
        for each in known:
            metrics.revocation_sources[each.source.value, "usable" if each.is_usable else "unusable"] += 1
            said_at = each.this_update or each.answered_at
            if said_at is not None:
                age = int((now - said_at).total_seconds())
                metrics.revocation_age[(each.source.value,)] = max(
                    metrics.revocation_age[(each.source.value,)], age
                )


async def certificate_parts(  # noqa: PLR0913  (what is needed is handed over, not looked up)
    settings: Settings,
    acnlb: Acnlb,
    stores: Stores,
    demands: Mapping[str, SignInDemand],
    sign_ins: SignIns,
    elevations: Elevations,
    *,
    audit: Audit,
    clock: Clock,
    resources: AsyncExitStack,
    names: Resolver,
) -> CertificateParts:
    """Raises OSError or ValueError for files and addresses that cannot be used."""
    profile = profile_of(acnlb)
    sources = await _sources(acnlb, stores.shared_octets, profile, clock, resources, names)
    validator = CertificateValidator(profile, sources)
    resources.callback(validator.close)
    kept = KeptCertificates(stores.shared_octets)
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
        certificates=kept,
        demands=demands,
        attempt_for=settings.sessions.attempt,
        clock=clock,
    )
    watch = CertificateWatch(sessions=stores.sessions, certificates=kept, validator=validator)
    return CertificateParts(
        login=login, sources=sources, profile=profile, watch=watch, audit=audit, clock=clock
    )


async def validator_of(
    acnlb: Acnlb, kept: OctetStore, *, clock: Clock, resources: AsyncExitStack, names: Resolver
) -> CertificateValidator:
    """A validator alone, for whoever wants to know about a certificate. Raises OSError or ValueError."""
    profile = profile_of(acnlb)
    validator = CertificateValidator(profile, await _sources(acnlb, kept, profile, clock, resources, names))
    resources.callback(validator.close)
    return validator


async def _sources(
    acnlb: Acnlb, kept: OctetStore, profile: Profile, clock: Clock, resources: AsyncExitStack, names: Resolver
) -> RevocationSources:
    fetcher = Fetcher(
        named=await resources.enter_async_context(client_session(public_only=False, names=names)),
        public=await resources.enter_async_context(client_session(public_only=True, names=names)),
    )
    rules = rules_of(acnlb.revocation)
    return RevocationSources(
        rules, fetcher, kept, authorities=profile.authorities, clock=clock, random_bytes=secrets.token_bytes
    )


def profile_of(acnlb: Acnlb) -> Profile:
    return Profile(
        anchors=(authority(Path(acnlb.root_file)),),
        intermediates=(authority(Path(acnlb.sub_ca_file)),),
        accepted_policies=frozenset(acnlb.accepted_policies),
        refused_policies=frozenset(acnlb.seal_policies),
        requires_key_usage=acnlb.requires_key_usage,
        requires_extended_key_usage=acnlb.requires_extended_key_usage,
        believes_tax_numbers=acnlb.believes_tax_numbers,
        sunset=Sunset(warns_from=_begin_of(acnlb.warn_from), stops_at=_begin_of(acnlb.stop_at)),
    )


def rules_of(settings: CertificateRevocation) -> RevocationRules:
    return RevocationRules(
        addresses=SourceAddresses(
            allowed_hosts=frozenset(settings.allowed_hosts),
            overrides=settings.moved,
            ocsp=settings.ocsp_url,
            crls=settings.crl_urls,
        ),
        ocsp_timeout=settings.timeout,
        max_stale=settings.max_stale,
        refresh_every=settings.refresh_every,
        list_octets=settings.largest_list,
    )


def terminator_of(acnlb: Acnlb) -> Terminator:
    """The form of the settings, with the header names of the settings where there are some."""
    usual = presentation.terminator(TerminatorForm(acnlb.presented_by))
    return Terminator(
        form=usual.form,
        certificate_header=acnlb.certificate_header or usual.certificate_header,
        chain_header=acnlb.chain_header or usual.chain_header,
        verify_header=acnlb.verify_header or usual.verify_header,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateListener:
    """The listener where certificates are shown. `address` are its host and port; None on a Unix socket."""

    address: tuple[str, int] | None
    bound: Bound
    servers: tuple[asyncio.AbstractServer, ...]
    renew: Callable[[], None]
    """Reads the listener's own certificate anew. Raises OSError or ValueError, and changes nothing then."""

    def stop(self) -> None:
        """Takes no more connections; those that are open are served."""
        self.bound.withdraw()
        for server in self.servers:
            server.close()


def _client_of(trusted: TrustedProxies) -> Callable[[str, Iterable[bytes]], tuple[str, bool]]:
    return lambda peer, forwarded: (trusted.client(peer, forwarded), trusted.is_nobody(peer, forwarded))


async def serve_certificates(  # noqa: PLR0913  (what is needed is handed over, not looked up)
    acnlb: Acnlb,
    sign_in: CertificateParts,
    portals: Mapping[str, PortalPresentation],
    *,
    nowhere: PortalPresentation,
    bound: Bound,
    links: Links,
    metrics: Metrics,
    rates: Rates,
    hsts: str | None,
    zone: ZoneInfo,
    resources: AsyncExitStack,
) -> CertificateListener:
    """Opens the listener. Raises OSError or ValueError."""
    trusted = TrustedProxies.of(acnlb.trusted_terminators)
    is_own = acnlb.presented_by == "listener"
    presenting: Presenting = shown_to_us if is_own else forwarded_by(terminator_of(acnlb), trusted.trusts)
    services = CertificateServices(
        login=sign_in.login,
        presenting=presenting,
        client_of=(lambda peer, _forwarded: (peer, False)) if is_own else _client_of(trusted),
        portals=portals,
        nowhere=nowhere,
        links=links,
        audit=sign_in.audit,
        metrics=metrics,
        rates=rates,
        hsts=hsts,
        clock=sign_in.clock,
        fresh=lambda: secrets.token_hex(8),
        zone=zone,
    )
    # A chain in a header may be longer than aiohttp's own limit.
    runner = web.AppRunner(
        certificate_application(services),
        access_log=None,
        handle_signals=False,
        keepalive_timeout=_IDLE_FOR,
        shutdown_timeout=0.5,
        max_field_size=presentation.MAX_HEADER_CHARACTERS,
    )
    await runner.setup()
    resources.push_async_callback(runner.cleanup)
    assert runner.server is not None  # noqa: S101  # after `setup` there is one
    connections: Callable[[], asyncio.Protocol] = runner.server
    own: tls.TlsConnections | None = None
    if is_own:
        connections = own = tls.TlsConnections(_tls(acnlb, sign_in), connections)
        resources.callback(own.abort)

    def renew() -> None:
        if own is not None:
            own.renew(_tls(acnlb, sign_in))

    loop = asyncio.get_running_loop()
    servers = []
    for listening in bound.sockets:
        servers.append(await loop.create_server(connections, sock=listening, backlog=_BACKLOG))
        resources.callback(servers[-1].close)
    bound.publish()
    name = bound.sockets[0].getsockname()
    address = (name[0], name[1]) if isinstance(name, tuple) else None
    return CertificateListener(address=address, bound=bound, servers=tuple(servers), renew=renew)


def _tls(acnlb: Acnlb, sign_in: CertificateParts) -> tls.TlsContext:
    if acnlb.tls is None:
        raise Unusable("acnlb.tls: is missing")
    meanings.refuse_expired("acnlb.tls", acnlb.tls, sign_in.clock())
    try:
        return tls.context(
            certificate_file=acnlb.tls.certificate_file,
            key_file=acnlb.tls.key_file,
            authorities=sign_in.profile.authorities,
        )
    except ValueError as error:
        raise Unusable(f"acnlb.tls: {error}") from None


def _begin_of(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
