"""The listener where browsers show their certificates, or where a proxy forwards those that it was shown."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from aiohttp import web

from authproxy.bootstrap.certificates import CertificateComponents
from authproxy.bootstrap.components import ZONE, Components
from authproxy.bootstrap.management import ASKS_WITHIN, ENDS_WITHIN
from authproxy.bootstrap.provider import links
from authproxy.bootstrap.server import certificate_address, hsts, refuse_expired
from authproxy.bootstrap.starting import Unusable
from authproxy.certificates import presentation
from authproxy.certificates.presentation import Terminator, TerminatorForm
from authproxy.edge.client.sockets import BoundAddress
from authproxy.edge.rules.client_address import TrustedProxies
from authproxy.settings.certificates import AcnlbSettings
from authproxy.web.certificate_listener import tls
from authproxy.web.certificate_listener.application import (
    CertificateServices,
    Presenting,
    certificate_application,
    forwarded_by,
    shown_to_us,
)

_IDLE_FOR = 15.0
"""Seconds that a connection without a request stays open: a browser shows its certificate and leaves."""
_BACKLOG = 1024
_LOOKED_EVERY = 0.05
"""Seconds between two looks whether everything has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateListener:
    bound: BoundAddress
    application: web.Server
    tls: tls.TlsConnections | None
    """None if a proxy ends TLS."""
    renew: Callable[[], None]
    """Reads the listener's own certificate anew. Raises OSError or ValueError, and then changes nothing."""
    servers: list[asyncio.AbstractServer] = field(default_factory=list)

    @property
    def address(self) -> tuple[str, int] | None:
        """Its host and port; None on a Unix socket."""
        name = self.bound.sockets[0].getsockname()
        return (name[0], name[1]) if isinstance(name, tuple) else None

    async def open(self) -> None:
        """Accepts connections from now on. Raises OSError or ValueError."""
        loop = asyncio.get_running_loop()
        for listening in self.bound.sockets:
            server = await loop.create_server(
                self.application if self.tls is None else self.tls, sock=listening, backlog=_BACKLOG
            )
            self.servers.append(server)
        self.bound.publish()

    def close(self) -> None:
        """Accepts no more connections. May be called again."""
        self.bound.withdraw()
        for server in self.servers:
            server.close()

    async def stop(self) -> None:
        """Accepts no more connections, and closes those without a request `ASKS_WITHIN` later: a proxy that
        keeps its connections then asks the gateway that follows. May be called again."""
        self.close()
        await asyncio.sleep(ASKS_WITHIN)
        self.application.pre_shutdown()

    async def finish(self, within: float, *, is_hurried: Callable[[], bool]) -> None:
        """After `stop`: lets requests and TLS handshakes end, for at most `within` seconds. A browser is in
        its handshake while its person chooses a certificate."""
        # `stop` alone leaves a connection without a request open, and nobody would answer the next one on it.
        closing = asyncio.get_running_loop().create_task(self.application.shutdown(within))
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(within):
                    while self._is_in_use and not is_hurried():  # noqa: ASYNC110  (aiohttp tells nobody of an end)
                        await asyncio.sleep(_LOOKED_EVERY)
        finally:
            closing.cancel()

    @property
    def _is_in_use(self) -> bool:
        return bool(self.application.connections) or (self.tls is not None and self.tls.count > 0)


async def make_certificate_listener(
    components: Components, sign_in: CertificateComponents
) -> CertificateListener:
    """The listener, which is opened later. Raises OSError or ValueError."""
    acnlb = components.settings.acnlb
    assert acnlb is not None  # noqa: S101  # or there would be no `sign_in`
    trusted = TrustedProxies.of(acnlb.trusted_terminators)
    ends_tls = acnlb.presented_by == "listener"
    presenting: Presenting = shown_to_us if ends_tls else forwarded_by(terminator_of(acnlb), trusted.trusts)
    services = CertificateServices(
        login=sign_in.login,
        presenting=presenting,
        client_of=(lambda peer, _forwarded: (peer, False)) if ends_tls else _client_of(trusted),
        portals=components.presentations,
        no_portal=components.no_portal,
        links=links(components.settings.rekono),
        audit=sign_in.audit,
        metrics=components.metrics,
        rates=components.rates,
        hsts=hsts(components.settings.server.hsts),
        clock=sign_in.clock,
        new_request_id=lambda: secrets.token_hex(8),
        zone=ZONE,
    )
    runner = web.AppRunner(
        certificate_application(services),
        access_log=None,
        handle_signals=False,
        keepalive_timeout=_IDLE_FOR,
        shutdown_timeout=ENDS_WITHIN,
        # A chain in a header may be longer than aiohttp's own limit.
        max_field_size=presentation.MAX_HEADER_CHARACTERS,
    )
    await runner.setup()
    components.resources.push_async_callback(runner.cleanup)
    assert runner.server is not None  # noqa: S101  # after `setup` there is one
    tls_connections: tls.TlsConnections | None = None
    if ends_tls:
        tls_connections = tls.TlsConnections(_tls(acnlb, sign_in), runner.server)
        components.resources.callback(tls_connections.abort)

    def renew() -> None:
        if tls_connections is not None:
            tls_connections.renew(_tls(acnlb, sign_in))

    bound = components.bound[certificate_address(components.settings.server, acnlb)]
    listener = CertificateListener(bound=bound, application=runner.server, tls=tls_connections, renew=renew)
    components.resources.callback(listener.close)
    return listener


def terminator_of(acnlb: AcnlbSettings) -> Terminator:
    """The headers in which the proxy forwards certificates: those of the settings, or else the usual ones."""
    usual = presentation.terminator(TerminatorForm(acnlb.presented_by))
    return Terminator(
        form=usual.form,
        certificate_header=acnlb.certificate_header or usual.certificate_header,
        chain_header=acnlb.chain_header or usual.chain_header,
        verify_header=acnlb.verify_header or usual.verify_header,
    )


def _client_of(trusted: TrustedProxies) -> Callable[[str, Iterable[bytes]], tuple[str, bool]]:
    return lambda peer, forwarded: (trusted.client(peer, forwarded), trusted.is_nobody(peer, forwarded))


def _tls(acnlb: AcnlbSettings, sign_in: CertificateComponents) -> tls.TlsContext:
    if acnlb.tls is None:
        raise Unusable("acnlb.tls: is missing")
    refuse_expired("acnlb.tls", acnlb.tls, sign_in.clock())
    try:
        return tls.context(
            certificate_file=acnlb.tls.certificate_file,
            key_file=acnlb.tls.key_file,
            authorities=sign_in.profile.authorities,
        )
    except ValueError as error:
        raise Unusable(f"acnlb.tls: {error}") from None
