"""The pages: the services behind them, and the private socket on which the edge reaches them."""

from __future__ import annotations

import secrets

from aiohttp import web

from authproxy.bootstrap.components import ZONE, Components
from authproxy.bootstrap.diagnosis import GatewayDiagnosis
from authproxy.bootstrap.management import ENDS_WITHIN
from authproxy.bootstrap.own_folders import own_folder
from authproxy.bootstrap.portal_sign_outs import portal_sign_outs
from authproxy.bootstrap.provider import claim_rules, links
from authproxy.bootstrap.server import hsts
from authproxy.bootstrap.step_up import step_up_services
from authproxy.flows.ending.back_channel_logout import BackChannelLogout
from authproxy.flows.ending.logout import Logout
from authproxy.flows.ending.portal_sign_out import PortalSignOuts
from authproxy.flows.held.requests import HeldRequests
from authproxy.flows.register.membership import Membership
from authproxy.flows.sign_in.openid import OpenIdSignIn
from authproxy.web.application import Services, application
from authproxy.web.doctor import DoctorPage

_HEADERS_OF_THE_EDGE = 16
"""More than it ever adds to a request for our pages."""
_BACKLOG = 1024


async def serve_pages(
    components: Components, held_requests: HeldRequests, diagnosis: GatewayDiagnosis
) -> str:
    """The path of the socket. Only this process's user can open it, and only the edge knows where it is."""
    path = str(components.resources.enter_context(own_folder()) / "pages.sock")
    limits = components.settings.server.limits
    largest = limits.head_size + limits.target_size
    runner = web.AppRunner(
        application(_services(components, held_requests, diagnosis)),
        access_log=None,
        handle_signals=False,
        shutdown_timeout=ENDS_WITHIN,
        # The edge enforces the limits. If aiohttp's own (8,190 bytes) were lower, it would answer with a line
        # of text instead of a page.
        max_line_size=largest,
        max_field_size=largest,
        max_headers=limits.header_count + _HEADERS_OF_THE_EDGE,
    )
    await runner.setup()
    components.resources.push_async_callback(runner.cleanup)
    # A full queue of a Unix socket refuses at once, and the edge would answer 503. The queue takes as many
    # connections as the edge may open in one moment.
    await web.UnixSite(runner, path, backlog=_BACKLOG).start()
    return path


def _services(components: Components, held_requests: HeldRequests, diagnosis: GatewayDiagnosis) -> Services:
    certificates, stores = components.certificates, components.stores
    login = _login(components)
    return Services(
        login=login,
        logout=_logout(components),
        back_channel_logout=BackChannelLogout(
            provider=components.provider, sessions=stores.sessions, tokens=stores.logout_tokens
        ),
        sessions=components.access,
        portals=components.presentations,
        no_portal=components.no_portal,
        links=links(components.settings.rekono),
        jwks=components.signer.jwks,
        audit=components.audit,
        metrics=components.metrics,
        clock=components.clock,
        random_text=secrets.token_urlsafe,
        zone=ZONE,
        rates=components.rates,
        hsts=hsts(components.settings.server.hsts),
        step_up=step_up_services(components, login, held_requests),
        seals=stores.seals,
        return_to_fits=stores.seals.return_to_fits,
        certificate_login=None if certificates is None else certificates.login,
        personal_cookies={
            portal.portal_id: portal.personal_cookies
            for portal in components.portals.by_host.values()
            if portal.personal_cookies is not None
        },
        doctor=DoctorPage(consents=components.consents, diagnosis=diagnosis.of, clock=components.clock),
        certificates_end=lambda now: None if certificates is None else certificates.profile.ends_at(now),
    )


def _login(components: Components) -> OpenIdSignIn:
    return OpenIdSignIn(
        provider=components.provider,
        attempts=components.stores.attempts,
        seals=components.stores.seals,
        sign_ins=components.sign_ins,
        elevations=components.elevations,
        membership=Membership(store=components.stores.people),
        demands=components.demands,
        rules=claim_rules(components.settings.rekono, components.portals),
        clock=components.clock,
        accounts=None if components.accounts is None else components.accounts.watch,
    )


def _logout(components: Components) -> Logout:
    def forget_grant(grant: str) -> None:
        if components.accounts is not None:
            components.background.spawn(components.accounts.watch.forget(grant))

    return Logout(
        sessions=components.stores.sessions,
        provider=components.provider,
        origins={portal.portal_id: portal.origin for portal in components.portals.by_host.values()},
        random_text=secrets.token_urlsafe,
        forget_grant=forget_grant,
        portals=PortalSignOuts(
            portal_sign_outs(components),
            identity=components.access.identity,
            spawn=components.background.spawn,
        ),
    )
