"""What pages look like: a portal's own `pages`, and `pages` of all portals for what it leaves out.

Reads logos and fonts: OSError means that a file has gone since `check-config` has read it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from authproxy.access.routes import Portal, Portals
from authproxy.bootstrap.portals import all_portals, sign_in_methods
from authproxy.identity.assurance import SignInMethod
from authproxy.settings import colours
from authproxy.settings.checks.logos import PNG
from authproxy.settings.schema import PageSettings, PortalSettings, Settings
from authproxy.web import nginx_pages as pages_of_nginx
from authproxy.web import proxy_pages as pages_of_proxies
from authproxy.web.request_context import NO_PORTAL, Colours, Logo, PortalPresentation

_DEFAULT_LOOK = PageSettings()


def presentations(settings: Settings, portals: Portals) -> dict[str, PortalPresentation]:
    """Every portal as its users see it, by its id. Raises OSError."""
    return {
        portal.portal_id: presentation(
            portal, portal_settings, settings.pages, sign_in_methods(settings, portal_settings)
        )
        for portal in portals.by_host.values()
        for portal_settings in [settings.portals[portal.portal_id]]
    }


def nginx_pages(settings: Settings) -> str:
    """The nginx configuration with the pages that nginx shows while the gateway is away. Raises OSError."""
    return pages_of_nginx.configuration(
        presentations(settings, all_portals(settings)).values(), no_portal(settings.pages)
    )


def proxy_pages(proxy: pages_of_proxies.Proxy, settings: Settings) -> str:
    """A file of another front proxy, with the page that it shows while the gateway is away. Raises
    OSError."""
    return pages_of_proxies.configuration(
        proxy, presentations(settings, all_portals(settings)).values(), no_portal(settings.pages)
    )


def presentation(
    portal: Portal, settings: PortalSettings, pages: PageSettings, sign_in: tuple[SignInMethod, ...]
) -> PortalPresentation:
    """A portal as its users see it. Raises OSError."""
    look = settings.pages
    return PortalPresentation(
        portal_id=portal.portal_id,
        origin=portal.origin,
        names=_names(settings.name),
        house_names=_names(look.name or pages.name),
        contact=look.contact or settings.contact or pages.contact,
        telephone=look.telephone or settings.telephone or pages.telephone,
        help_url=settings.help_url,
        logo=_logo(look.logo_file or settings.logo_file or pages.logo_file),
        colours=_colours(look.colour or pages.colour),
        font=_font(look.font_file or pages.font_file),
        sign_in=sign_in,
        accepts_encoded_slash=settings.accepts_encoded_slash,
        accepts_encoded_percent=settings.accepts_encoded_percent,
    )


def no_portal(pages: PageSettings) -> PortalPresentation:
    """What stands for the portal at a host that belongs to none. Raises OSError."""
    if pages == _DEFAULT_LOOK:
        return NO_PORTAL
    return PortalPresentation(
        portal_id="",
        origin="",
        names={},
        house_names=_names(pages.name),
        contact=pages.contact,
        telephone=pages.telephone,
        logo=_logo(pages.logo_file),
        colours=_colours(pages.colour),
        font=_font(pages.font_file),
        sign_in=(),
    )


def _names(name: Mapping[Literal["sl", "en"], str] | str | None) -> dict[str, str]:
    if name is None:
        return {}
    return {"sl": name} if isinstance(name, str) else {str(locale): text for locale, text in name.items()}


def _logo(file: str | None) -> Logo | None:
    if file is None:
        return None
    body = Path(file).read_bytes()
    return Logo(body=body, media_type="image/png" if body.startswith(PNG) else "image/svg+xml")


def _font(file: str | None) -> bytes | None:
    return None if file is None else Path(file).read_bytes()


def _colours(colour: str | None) -> Colours | None:
    if colour is None:
        return None
    light, dark = colours.shades(colour.lower())
    return Colours(light=light, dark=dark)
