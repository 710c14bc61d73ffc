"""The running gateway: what is opened in which order, what runs in the background, and how it ends."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from aiohttp import web

from authproxy import __version__
from authproxy.assertions.keys import read_ring
from authproxy.assertions.signer import AssertionSigner
from authproxy.bootstrap import auditing, looks, meanings
from authproxy.bootstrap.accounts import account_checks
from authproxy.bootstrap.acts import Act, take_over, tell_of_ended
from authproxy.bootstrap.auditing import Writing
from authproxy.bootstrap.background import Background
from authproxy.bootstrap.certificates import (
    CertificateListener,
    CertificateParts,
    certificate_parts,
    serve_certificates,
)
from authproxy.bootstrap.clock import utc_now
from authproxy.bootstrap.delivery import delivery
from authproxy.bootstrap.descriptors import descriptors
from authproxy.bootstrap.desk import Desk
from authproxy.bootstrap.names import resolver
from authproxy.bootstrap.notices import notices
from authproxy.bootstrap.own_certificates import OwnCertificates
from authproxy.bootstrap.own_folders import own_folder
from authproxy.bootstrap.parts import Clock, Parts
from authproxy.bootstrap.step_up import held_requests, step_up_services
from authproxy.bootstrap.stores import stores
from authproxy.bootstrap.supervision import ENDS_WITHIN, TIME_LIMITS, serve_management
from authproxy.challenges.recovery import COST, Cost
from authproxy.edge.client.listener import Listener
from authproxy.edge.client.sockets import bind
from authproxy.edge.rules.client_address import TrustedProxies
from authproxy.edge.rules.shares import Shares
from authproxy.edge.rules.via import Via
from authproxy.edge.site import Gate, Holding
from authproxy.edge.upstream.pool import Upstream, UpstreamPool
from authproxy.flows.access import Access
from authproxy.flows.ending.back_channel_logout import BackChannelLogout
from authproxy.flows.ending.logout import Logout
from authproxy.flows.held.requests import HeldRequests
from authproxy.flows.register.membership import Membership
from authproxy.flows.register.operators import People
from authproxy.flows.sign_in.attempts import SignIns
from authproxy.flows.sign_in.browser_names import described
from authproxy.flows.sign_in.kept_certificates import KeptCertificates
from authproxy.flows.sign_in.openid import OpenIdSignIn
from authproxy.flows.step_up.elevation import Elevations
from authproxy.identity.person import Issuer
from authproxy.oidc.exchange import client_session
from authproxy.oidc.provider import OpenIdProvider
from authproxy.settings.schema import Settings
from authproxy.storage.redis import invalidation
from authproxy.telemetry import logging as logs
from authproxy.telemetry.access_log import AccessLog
from authproxy.telemetry.audit import Audit, Event
from authproxy.telemetry.identifiers import Identifiers
from authproxy.telemetry.metrics import Metrics
from authproxy.telemetry.requests import RequestRecorder
from authproxy.web.application import Services, application
from authproxy.web.messages import TextMessages
from authproxy.web.templating import templates

_ZONE = ZoneInfo("Europe/Ljubljana")
_PROVIDER_ASKED_EVERY = 300.0
_LOG_FLUSHED_WITHIN = 0.2
_HEADERS_OF_THE_EDGE = 16
"""More than it ever adds to a request for our pages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """A gateway that answers. `addresses` are host and port of its TCP listeners, `management` those of the
    management listener."""

    addresses: tuple[tuple[str, int], ...]
    management: tuple[str, int] | None
    writing: Writing
    listener: Listener
    certificates: CertificateParts | None
    certificate_listener: CertificateListener | None
    own_certificates: OwnCertificates
    desk: Desk

    async def drain(self, settings: Settings) -> None:
        """Says that it is going, leaves, and finishes what runs. The management listener answers
        meanwhile."""
        timeouts = settings.server.timeouts
        await self.listener.leave(timeouts.leave.total_seconds())
        if self.certificate_listener is not None:
            self.certificate_listener.stop()
        await self.listener.drain(timeouts.drain.total_seconds())


@asynccontextmanager
async def running(
    settings: Settings, *, clock: Clock = utc_now, sheet_cost: Cost = COST
) -> AsyncIterator[Gateway]:
    """The gateway, from the moment it answers until the block ends; then it drains. A block that fails ends
    it at once. Raises OSError or ValueError if it cannot start. `sheet_cost` is how slowly recovery codes are
    hashed.

    It starts without the provider and without the store: what cannot be asked is answered 503 until it
    can."""
    background = Background(clock=clock)
    async with AsyncExitStack() as resources:
        try:
            parts = await _assembled(settings, clock, background, resources, sheet_cost)
            gateway = await _opened(parts)
            yield gateway
            await gateway.drain(settings)
        finally:
            await background.end()


async def _assembled(
    settings: Settings, clock: Clock, background: Background, resources: AsyncExitStack, sheet_cost: Cost
) -> Parts:
    writing = auditing.writing(settings, clock, resources)
    audit = writing.audit
    # Before anything else: a second gateway by mistake ends here, before it has touched anything.
    bound = {each.address: each for each in bind(meanings.all_addresses(settings))}
    for each in bound.values():
        resources.callback(each.close)
    names = await resources.enter_async_context(resolver(settings))
    opened = await resources.enter_async_context(stores(settings, names=names, clock=clock, audit=audit))
    session = await resources.enter_async_context(
        client_session(settings.rekono.ca_file, settings.rekono.timeout, names)
    )
    signer = _signer(settings, audit)
    provider = OpenIdProvider(
        meanings.relying_party(settings.rekono), session, clock=clock, random_text=secrets.token_urlsafe
    )
    accounts = account_checks(settings.rekono, opened, provider, audit)
    access = Access(
        sessions=opened.sessions,
        near_cache=opened.near_cache,
        signer=signer,
        assertion_lifetime=settings.assertions.lifetime,
        header_names={
            portal_id: meanings.header_names(portal) for portal_id, portal in settings.portals.items()
        },
        spawn=background.spawn,
        look_at_account=None if accounts is None else accounts.look,
        used_proofs=opened.used_proofs,
    )
    portals = meanings.portals(settings)
    demands = {
        portal.portal_id: meanings.sign_in_demand(settings, portal) for portal in portals.by_host.values()
    }
    sent = await delivery(
        settings.step_up, clock=clock, background=background, resources=resources, names=names
    )
    texts = TextMessages(templates(_ZONE), looks.presentations(settings, portals))
    told, watch = notices(opened, sent, texts, clock=clock)
    sign_ins = SignIns(
        attempts=opened.attempts,
        sessions=opened.sessions,
        attempt_for=settings.sessions.attempt,
        random_bytes=secrets.token_bytes,
        random_text=secrets.token_urlsafe,
        describe_browser=described,
        **({} if watch is None else {"greet": watch.signed_in}),
    )
    elevations = Elevations(
        sessions=opened.sessions,
        random_bytes=secrets.token_bytes,
        register=Membership(store=opened.people),
        witness=writing.witness,
    )
    certificates = None
    if settings.acnlb is not None:
        certificates = await certificate_parts(
            settings,
            settings.acnlb,
            opened,
            demands,
            sign_ins,
            elevations,
            audit=audit,
            clock=clock,
            resources=resources,
            names=names,
        )
    return Parts(
        settings=settings,
        sheet_cost=sheet_cost,
        portals=portals,
        stores=opened,
        provider=provider,
        signer=signer,
        access=access,
        audit=audit,
        metrics=Metrics(version=__version__),
        clock=clock,
        background=background,
        bound=bound,
        descriptors=descriptors(settings),
        resources=resources,
        demands=demands,
        sign_ins=sign_ins,
        elevations=elevations,
        delivery=sent,
        notices=told,
        texts=texts,
        names=names,
        certificates=certificates,
        accounts=accounts,
        rates=meanings.rates(settings),
        writing=writing,
    )


async def _opened(parts: Parts) -> Gateway:
    own = OwnCertificates(parts.settings, parts.clock)
    held = held_requests(parts)
    gate = _gate(parts, await _serve_pages(parts, held), held)
    listener = Listener(
        gate,
        tls=meanings.server_tls(parts.settings, parts.clock()),
        last_descriptor=parts.descriptors.last_for_clients,
    )
    if not parts.descriptors.are_enough:
        logs.logger("bootstrap").warning("descriptors.too_few", detail=parts.descriptors.problem)
    certificate_listener = await _serve_certificates(parts)
    _keep(parts, listener, gate)
    own.renewals = _renewals(parts, listener, certificate_listener)
    if own.are_there:
        parts.background.keep("certificate_files", own.keep_looking)
    management_address = await serve_management(parts, listener, gate, own)
    # Last: nobody finds a socket of ours before everything behind it is there.
    addresses = await listener.open(parts.bound[address] for address in meanings.addresses(parts.settings))
    # Whoever runs the gateway may fail before it drains. A socket that is closed without its server stays in
    # the event loop, by its number, and the next one of that number is never heard.
    parts.resources.callback(listener.cut)
    parts.audit.record(Event.GATEWAY_STARTED, detail=__version__)
    parts.resources.callback(parts.audit.record, Event.GATEWAY_STOPPED)
    return Gateway(
        addresses=addresses,
        management=management_address,
        writing=parts.writing,
        listener=listener,
        certificates=parts.certificates,
        certificate_listener=certificate_listener,
        own_certificates=own,
        desk=_desk(parts),
    )


def _renewals(
    parts: Parts, listener: Listener, certificate_listener: CertificateListener | None
) -> dict[str, Callable[[], None]]:
    """How each listener reads its certificate anew."""

    def renew_edge() -> None:
        made = meanings.server_tls(parts.settings, parts.clock())
        if made is not None:
            listener.renew_tls(made)

    return {"server": renew_edge} | (
        {} if certificate_listener is None else {"acnlb": certificate_listener.renew}
    )


def _keep(parts: Parts, listener: Listener, gate: Gate) -> None:
    """Everything that must go on for as long as the process lives (gateways for text messages keep theirs in
    `delivery`)."""
    keep, stores = parts.background.keep, parts.stores
    pools = (*(site.pool for site in gate.sites.values()), gate.pages)
    keep(TIME_LIMITS, lambda: listener.watch(pools))
    keep("provider_refresh", lambda: _ask_provider(parts.provider))
    if parts.notices.has_a_way:
        keep("notices", parts.notices.run)
    if stores.connection is not None:
        connection = stores.connection
        keep("invalidation", lambda: invalidation.listen(connection, stores.near_cache, clock=parts.clock))
    if stores.heartbeat is not None:
        heartbeat = stores.heartbeat
        keep("store_pulse", lambda: heartbeat.run(parts.clock))
    if stores.audit_queue is not None:
        acts = stores.audit_queue
        keep("operators_acts", lambda: take_over(acts, parts.writing))
    if stores.open_sessions is not None:
        opened = stores.open_sessions
        keep("ended_sessions", lambda: tell_of_ended(opened, parts.audit, parts.clock))
    acnlb, certificates = parts.settings.acnlb, parts.certificates
    if acnlb is not None and certificates is not None:
        keep("revocation_lists", certificates.sources.run)
        keep("certificate_watch", lambda: certificates.keep_looking(acnlb.revocation.sessions_checked_every))


def _desk(parts: Parts) -> Desk:
    kept = parts.stores
    people = People(
        store=kept.people,
        sessions=kept.sessions,
        limits=kept.limits,
        enrolments=kept.enrolments,
        clock=parts.clock,
    )
    return Desk(
        people,
        Act(parts.audit),
        Issuer(parts.settings.assertions.issuer),
        KeptCertificates(kept.shared_octets),
    )


async def _ask_provider(provider: OpenIdProvider) -> None:
    """Keeps metadata and keys warm, so that the first person in the morning does not wait for them."""
    while True:
        await provider.refresh()
        await asyncio.sleep(_PROVIDER_ASKED_EVERY)


def _signer(settings: Settings, audit: Audit) -> AssertionSigner:
    keys = settings.assertions
    ring = read_ring(meanings.key_files(settings), keys.algorithm)
    for place, key in (("current", ring.current), ("next", ring.upcoming), ("retiring", ring.retiring)):
        if key is not None:
            audit.record(Event.KEY_LOADED, detail=f"{place} {key.key_id}")
    return AssertionSigner(
        ring, issuer=keys.issuer, lifetime=keys.lifetime, random_text=secrets.token_urlsafe
    )


def _login(parts: Parts) -> OpenIdSignIn:
    return OpenIdSignIn(
        provider=parts.provider,
        attempts=parts.stores.attempts,
        seals=parts.stores.seals,
        sign_ins=parts.sign_ins,
        elevations=parts.elevations,
        membership=Membership(store=parts.stores.people),
        demands=parts.demands,
        rules=meanings.claim_rules(parts.settings.rekono, parts.portals),
        clock=parts.clock,
        accounts=None if parts.accounts is None else parts.accounts.watch,
    )


def _logout(parts: Parts, origins: Mapping[str, str]) -> Logout:
    def forget_grant(grant: str) -> None:
        if parts.accounts is not None:
            parts.background.spawn(parts.accounts.watch.forget(grant))

    return Logout(
        sessions=parts.stores.sessions,
        provider=parts.provider,
        origins=origins,
        random_text=secrets.token_urlsafe,
        forget_grant=forget_grant,
    )


def _services(parts: Parts, held: HeldRequests) -> Services:
    every = {portal.portal_id: portal for portal in parts.portals.by_host.values()}
    origins = {portal_id: portal.origin for portal_id, portal in every.items()}
    login, presentations = _login(parts), looks.presentations(parts.settings, parts.portals)
    return Services(
        login=login,
        logout=_logout(parts, origins),
        back_channel_logout=BackChannelLogout(
            provider=parts.provider, sessions=parts.stores.sessions, tokens=parts.stores.logout_tokens
        ),
        sessions=parts.access,
        portals=presentations,
        nowhere=looks.nowhere(parts.settings.pages),
        links=meanings.links(parts.settings),
        jwks=parts.signer.jwks,
        audit=parts.audit,
        metrics=parts.metrics,
        clock=parts.clock,
        fresh=secrets.token_urlsafe,
        zone=_ZONE,
        rates=parts.rates,
        hsts=meanings.hsts(parts.settings.server.hsts),
        step_up=step_up_services(parts, login, parts.texts, held),
        seals=parts.stores.seals,
        keeps=parts.stores.seals.keeps,
        certificate_login=None if parts.certificates is None else parts.certificates.login,
        certificates_end=lambda now: (
            None if parts.certificates is None else parts.certificates.profile.ends_at(now)
        ),
    )


async def _serve_certificates(parts: Parts) -> CertificateListener | None:
    """The listener where certificates are shown, if there is one."""
    acnlb, certificates = parts.settings.acnlb, parts.certificates
    if acnlb is None or certificates is None:
        return None
    return await serve_certificates(
        acnlb,
        certificates,
        looks.presentations(parts.settings, parts.portals),
        nowhere=looks.nowhere(parts.settings.pages),
        bound=parts.bound[meanings.certificate_address(parts.settings, acnlb)],
        links=meanings.links(parts.settings),
        metrics=parts.metrics,
        rates=parts.rates,
        hsts=meanings.hsts(parts.settings.server.hsts),
        zone=_ZONE,
        resources=parts.resources,
    )


async def _serve_pages(parts: Parts, held: HeldRequests) -> str:
    """The pages on a socket that only this process's user can reach; the edge alone knows where it is."""
    path = str(parts.resources.enter_context(own_folder()) / "pages.sock")
    sizes = parts.settings.server.limits
    largest = sizes.head_size + sizes.target_size
    runner = web.AppRunner(
        application(_services(parts, held)),
        access_log=None,
        handle_signals=False,
        shutdown_timeout=ENDS_WITHIN,
        # What the edge lets through is bounded there; less would be answered with a line of text (of 8,190
        # bytes by default).
        max_line_size=largest,
        max_field_size=largest,
        max_headers=sizes.header_count + _HEADERS_OF_THE_EDGE,
    )
    await runner.setup()
    parts.resources.push_async_callback(runner.cleanup)
    # A full queue of a Unix socket refuses at once, and the edge would answer 503: it holds as many as the
    # edge may open in one moment.
    await web.UnixSite(runner, path, backlog=1024).start()
    return path


def _recorder(parts: Parts) -> RequestRecorder:
    log = None
    if parts.settings.telemetry.access_log:
        loop = asyncio.get_running_loop()
        log = AccessLog(
            parts.writing.log.stream("access"),
            clock=parts.clock,
            later=lambda flush: loop.call_later(_LOG_FLUSHED_WITHIN, flush),
        )
        parts.resources.callback(log.flush)
    return RequestRecorder(access_log=log, metrics=parts.metrics, audit=parts.audit)


def _gate(parts: Parts, pages_socket: str, held: HeldRequests) -> Gate:
    recorder = _recorder(parts)
    server = parts.settings.server
    every = parts.portals.by_host

    forwarder = Via(server.via)

    def pool(upstream: Upstream, reuses: bool, via: Via = forwarder) -> UpstreamPool:  # noqa: FBT001  (called here and by `meanings.site`)
        return UpstreamPool(
            upstream,
            limit=server.limits.upstream_connections,
            connect_for=server.timeouts.connect.total_seconds(),
            idle_for=server.timeouts.upstream_idle.total_seconds(),
            streams=server.limits.upstream_streams,
            reuses=reuses,
            names=parts.names,
            via=via,
        )

    sites = {
        host: meanings.site(portal, parts.settings.portals[portal.portal_id], pool)
        for host, portal in every.items()
    }
    return Gate(
        sites=sites,
        default_site=meanings.default_site(sites, server.default_portal),
        pages=pool(Upstream(unix_path=pages_socket, authority=b"localhost"), True, Via()),
        access=parts.access,
        trusted=TrustedProxies.of(server.trusted_proxies),
        limits=meanings.limits(parts.settings),
        addresses=Shares(server.limits.connections_per_address),
        sessions=Shares(server.limits.connections_per_session),
        observer=recorder,
        holding=Holding(requests=held, kept=recorder.held, released=recorder.released),
        identifiers=Identifiers(secrets.token_bytes),
        clock=parts.clock,
        time=asyncio.get_running_loop().time,
        spawn=parts.background.spawn,
        default_port=443 if all(portal.origin.startswith("https:") for portal in every.values()) else 80,
    )
