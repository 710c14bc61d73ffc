"""`portals.<id>.sign_out_url`: which portals are told that a person has signed out, and how."""

from __future__ import annotations

import ssl
from typing import Final
from urllib.parse import urlsplit

from authproxy.access.routes import Portal
from authproxy.bootstrap.components import Components
from authproxy.bootstrap.portals import added_headers
from authproxy.dns.client_sessions import SessionResolver, client_session
from authproxy.flows.ending.portal_sign_out import ToldPortal
from authproxy.settings.schema import PortalSettings

_CONNECTIONS: Final = 8
"""Sign-outs that are told to one portal at a time; more wait, and give up when their time is over."""


def portal_sign_outs(components: Components) -> dict[str, ToldPortal]:
    """By portal id. Their connections are closed with the gateway's other resources."""
    told: dict[str, ToldPortal] = {}
    for portal in components.portals.by_host.values():
        settings = components.settings.portals[portal.portal_id]
        if settings.sign_out_url is not None:
            told[portal.portal_id] = _told(components, portal, settings, settings.sign_out_url)
    return told


def _told(components: Components, portal: Portal, settings: PortalSettings, url: str) -> ToldPortal:
    tls, context = settings.upstream_tls, None
    if url.startswith("https:"):
        context = ssl.create_default_context(cafile=tls.ca_file)
        if tls.certificate_file is not None:
            context.load_cert_chain(tls.certificate_file, tls.key_file)
    client = client_session(SessionResolver(components.names), connections=_CONNECTIONS, context=context)
    components.resources.push_async_callback(client.close)
    # The address may be that of another server, which must not learn the portal's passwords.
    is_portals = urlsplit(url)[:2] == urlsplit(settings.upstream)[:2]
    return ToldPortal(
        portal=portal,
        url=url,
        host=portal.host if settings.preserve_host else urlsplit(url).netloc,
        added=tuple(added_headers(settings)) if is_portals else (),
        client=client,
    )
