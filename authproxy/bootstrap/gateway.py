"""The running gateway: what is opened in which order, what runs in the background, and how it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from authproxy import __version__
from authproxy.bootstrap.audited_register import AuditedRegister, register_in
from authproxy.bootstrap.background import Background
from authproxy.bootstrap.clock import utc_now
from authproxy.bootstrap.command_audit import CommandAudit, move_command_events, record_ended_sessions
from authproxy.bootstrap.components import Clock, Components, assemble
from authproxy.bootstrap.diagnosis import GatewayDiagnosis
from authproxy.bootstrap.edge import make_gate
from authproxy.bootstrap.log_outputs import LogOutputs
from authproxy.bootstrap.management import TIME_LIMITS, serve_management
from authproxy.bootstrap.own_certificates import OwnCertificates
from authproxy.bootstrap.pages import serve_pages
from authproxy.bootstrap.reloads import Reloads
from authproxy.bootstrap.server import edge_addresses, server_tls
from authproxy.bootstrap.step_up import make_held_requests
from authproxy.challenges.recovery import COST, Cost
from authproxy.edge.client.listener import Listener
from authproxy.edge.client.occupancy import Seat
from authproxy.edge.client.sockets import BoundAddress, ListenAddress
from authproxy.edge.site import Gate
from authproxy.oidc.provider import OpenIdProvider
from authproxy.oidc.token_issuer import TokenIssuer
from authproxy.settings.schema import Settings
from authproxy.storage.redis import invalidation
from authproxy.telemetry import logging as logs
from authproxy.telemetry.audit import Event

if TYPE_CHECKING:  # imported where the settings need it
    from authproxy.bootstrap.certificate_listener import CertificateListener
    from authproxy.bootstrap.certificates import CertificateComponents

_PROVIDER_ASKED_EVERY = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """A gateway that answers. `addresses` are host and port of its TCP listeners, `management` those of the
    management listener."""

    addresses: tuple[tuple[str, int], ...]
    management: tuple[str, int] | None
    settings: Settings
    bound: Mapping[ListenAddress, BoundAddress]
    outputs: LogOutputs
    listener: Listener
    certificates: CertificateComponents | None
    certificate_listener: CertificateListener | None
    own_certificates: OwnCertificates
    register: AuditedRegister
    stop_management: Callable[[], Awaitable[None]]
    exposition: Callable[[], str]
    """The metrics of this gateway alone."""
    release: Callable[[], None]
    """Gives up what only one gateway can have (binds at message centres)."""

    async def hand_over(self, successor: Gateway) -> None:
        """The successor answers from now on, without a gap. What has begun here goes on here."""
        for address, bound in successor.bound.items():
            if address in self.bound:
                bound.take_over(self.bound[address])
        self.listener.hand_over(successor.listener)
        self.release()
        await asyncio.gather(self._stop_certificates(), self.stop_management())

    async def hand_out(self, give: Callable[[int], bool]) -> None:
        """As `hand_over`, to other processes, which listen on the same sockets: `give` takes descriptors of
        idle connections there, and says whether it could."""
        self.release()
        await asyncio.gather(self._stop_certificates(), self.listener.hand_out(give))

    async def drain(self, settings: Settings) -> None:
        """Says in /readyz that it is ending, closes its listeners, and finishes running requests. The
        management listener answers meanwhile. After `hand_over` only running requests are left."""
        timeouts = settings.server.timeouts
        within = timeouts.drain.total_seconds()
        if self.listener.is_handed_over:
            await asyncio.gather(self.listener.finish(within), self._finish_certificates(within))
            return
        await self.listener.leave(timeouts.leave.total_seconds())
        if self.certificate_listener is not None:
            self.certificate_listener.close()
        await asyncio.gather(self.listener.drain(within), self._finish_certificates(within))

    async def _stop_certificates(self) -> None:
        if self.certificate_listener is not None:
            await self.certificate_listener.stop()

    async def _finish_certificates(self, within: float) -> None:
        if self.certificate_listener is not None:
            await self._stop_certificates()
            await self.certificate_listener.finish(within, is_hurried=lambda: self.listener.is_hurried)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """That of one of several workers. `hold` is awaited when everything is ready, before clients can connect;
    `is_reload` if it follows workers with other settings."""

    hold: Callable[[], Awaitable[None]]
    seat: Seat | None
    is_reload: bool


@asynccontextmanager
async def running(
    settings: Settings,
    *,
    clock: Clock = utc_now,
    sheet_cost: Cost = COST,
    lent: Iterable[BoundAddress] | None = None,
    predecessor: Gateway | None = None,
    reloads: Reloads | None = None,
    place: Place | None = None,
) -> AsyncIterator[Gateway]:
    """The gateway, from the moment it answers until the block ends; then it drains. A block that fails ends
    it at once. Raises OSError or ValueError if it cannot start. `sheet_cost` is how slowly recovery codes are
    hashed; `lent` are its addresses, if they are bound already. From a `predecessor` in this process it takes
    over, or changes nothing if it cannot start. `reloads` tells of reloads of this process; None if there are
    none here. `place` is for one of several workers.

    It starts without the provider and without the store: what needs one of them is answered 503 until it
    answers."""
    background = Background(clock=clock)
    async with AsyncExitStack() as resources:
        try:
            components = await assemble(settings, clock, background, resources, sheet_cost, lent)
            is_reload = predecessor is not None or (place is not None and place.is_reload)
            gateway = await _open(components, reloads, place, is_reload=is_reload)
            if predecessor is not None:
                await predecessor.hand_over(gateway)
            yield gateway
            await gateway.drain(settings)
        finally:
            await background.end()


async def _open(
    components: Components,
    reloads: Reloads | None,
    place: Place | None,
    *,
    is_reload: bool,
) -> Gateway:
    """Opens the listeners, and starts what runs in the background."""
    own_certificates = OwnCertificates(components.settings, components.clock)
    held_requests = make_held_requests(components)
    diagnosis = GatewayDiagnosis(components)
    pages_socket = await serve_pages(components, held_requests, diagnosis)
    gate = make_gate(components, pages_socket, held_requests)
    listener = Listener(
        gate,
        tls=server_tls(components.settings.server, components.clock()),
        last_descriptor=components.descriptors.last_for_clients,
        seat=None if place is None else place.seat,
    )
    if not components.descriptors.are_enough:
        logs.logger("bootstrap").warning("descriptors.too_few", detail=components.descriptors.problem)
    certificate_listener = None
    if components.certificates is not None:
        from authproxy.bootstrap.certificate_listener import make_certificate_listener  # noqa: PLC0415

        certificate_listener = await make_certificate_listener(components, components.certificates)
    _start_tasks(components, listener, gate)
    own_certificates.renewals = _renewals(components, listener, certificate_listener)
    if own_certificates.are_there:
        components.background.keep("certificate_files", own_certificates.keep_looking)
    management = await serve_management(components, listener, gate, own_certificates, reloads)
    diagnosis.checks = management.checks
    # The listeners of clients come last: whatever cannot be made has cut nobody, and a client that connects
    # finds everything behind them ready.
    if place is not None:
        await place.hold()
    if certificate_listener is not None:
        await certificate_listener.open()
    opened = await listener.open(components.bound[at] for at in edge_addresses(components.settings.server))
    # The block of `running` may fail before the gateway drains. A socket that is closed without its server
    # stays registered in the event loop by its number, and the next socket of that number would hear nothing.
    components.resources.callback(listener.cut)
    started = Event.SETTINGS_RELOADED if is_reload else Event.GATEWAY_STARTED
    components.audit.record(started, detail=__version__)
    components.resources.callback(_record_end, components, listener)
    return Gateway(
        addresses=opened,
        management=management.address,
        stop_management=management.stop,
        exposition=management.exposition,
        release=components.delivery.release,
        settings=components.settings,
        bound=components.bound,
        outputs=components.outputs,
        listener=listener,
        certificates=components.certificates,
        certificate_listener=certificate_listener,
        own_certificates=own_certificates,
        register=register_in(
            components.stores, CommandAudit(components.audit), components.settings, components.clock
        ),
    )


def _record_end(components: Components, listener: Listener) -> None:
    if not listener.is_handed_over:
        components.audit.record(Event.GATEWAY_STOPPED)


def _renewals(
    components: Components, listener: Listener, certificate_listener: CertificateListener | None
) -> dict[str, Callable[[], None]]:
    """For each section of the settings with a certificate: how its listener reads the files anew."""

    def renew_edge() -> None:
        context = server_tls(components.settings.server, components.clock())
        if context is not None:
            listener.renew_tls(context)

    return {"server": renew_edge} | (
        {} if certificate_listener is None else {"acnlb": certificate_listener.renew}
    )


def _start_tasks(components: Components, listener: Listener, gate: Gate) -> None:
    """Starts the tasks that run as long as the gateway. Gateways for text messages start their own
    (`text_messages.py`)."""
    keep, stores = components.background.keep, components.stores
    pools = (*(pool for site in gate.sites.values() for pool in site.pools()), gate.pages)
    keep(TIME_LIMITS, lambda: listener.watch(pools))
    keep("provider_refresh", lambda: _refresh(components.provider))
    if components.machines is not None and components.machines.issuer is not None:
        issuer = components.machines.issuer
        keep("token_issuer_refresh", lambda: _refresh(issuer))
    if components.notices.can_send:
        keep("notices", components.notices.run)
    if stores.connection is not None:
        connection = stores.connection
        keep(
            "invalidation",
            lambda: invalidation.listen(connection, stores.near_cache, clock=components.clock),
        )
    if stores.heartbeat is not None:
        heartbeat = stores.heartbeat
        keep("store_pulse", lambda: heartbeat.run(components.clock))
    if stores.audit_queue is not None:
        audit_queue = stores.audit_queue
        keep("operators_acts", lambda: move_command_events(audit_queue, components.outputs))
    if stores.open_sessions is not None:
        open_sessions = stores.open_sessions
        keep(
            "ended_sessions",
            lambda: record_ended_sessions(open_sessions, components.audit, components.clock),
        )
    acnlb, certificates = components.settings.acnlb, components.certificates
    if acnlb is not None and certificates is not None:
        keep("revocation_lists", certificates.sources.run)
        keep("certificate_watch", lambda: certificates.keep_looking(acnlb.revocation.sessions_checked_every))


async def _refresh(provider: OpenIdProvider | TokenIssuer) -> None:
    """Keeps metadata and keys fresh, so that no sign-in and no program waits for them."""
    while True:
        await provider.refresh()
        await asyncio.sleep(_PROVIDER_ASKED_EVERY)
