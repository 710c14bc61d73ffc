"""What pages look like: the settings `pages` of a portal, and where they are silent those of all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from authproxy.access.routes import Portal, Portals
from authproxy.bootstrap import meanings
from authproxy.identity.assurance import SignInMethod
from authproxy.settings import colours
from authproxy.settings.checks.logos import PNG
from authproxy.settings.schema import Look, PortalSettings, Settings
from authproxy.web import nginx_pages as pages_of_nginx
from authproxy.web.request_context import NO_PORTAL, Colours, Logo, PortalPresentation

_NOTHING_OF_ITS_OWN = Look()


def presentations(settings: Settings, portals: Portals) -> dict[str, PortalPresentation]:
    """Every portal as its users see it. Raises OSError as below."""
    return {
        portal.portal_id: presentation(portal, own, settings.pages, meanings.ways(settings, own))
        for portal in portals.by_host.values()
        for own in [settings.portals[portal.portal_id]]
    }


def nginx_pages(settings: Settings) -> str:
    """The file of nginx's configuration with the pages that it shows by itself. Raises OSError as below."""
    return pages_of_nginx.configuration(
        presentations(settings, meanings.portals(settings)).values(), nowhere(settings.pages)
    )


def presentation(
    known: Portal, settings: PortalSettings, pages: Look, sign_in: tuple[SignInMethod, ...]
) -> PortalPresentation:
    """A portal as its users see it. Raises OSError where a file is gone since `check-config` has looked into
    it."""
    own = settings.pages
    return PortalPresentation(
        portal_id=known.portal_id,
        origin=known.origin,
        names=_names(settings.name),
        house_names=_names(own.name or pages.name),
        contact=own.contact or settings.contact or pages.contact,
        telephone=own.telephone or settings.telephone or pages.telephone,
        help_url=settings.help_url,
        logo=_logo(own.logo_file or settings.logo_file or pages.logo_file),
        colours=_colours(own.colour or pages.colour),
        font=_font(own.font_file or pages.font_file),
        sign_in=sign_in,
        accepts_encoded_slash=settings.accepts_encoded_slash,
        accepts_encoded_percent=settings.accepts_encoded_percent,
    )


def nowhere(pages: Look) -> PortalPresentation:
    """What stands where it is not known which portal is meant. Raises OSError as above."""
    if pages == _NOTHING_OF_ITS_OWN:
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
