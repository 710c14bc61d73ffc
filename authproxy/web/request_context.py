"""PURE: what every page knows about a request: portal, client, request id, language, and whether a person or
a script asks.

Only the edge can set the `X-Authproxy-*` headers: it removes them from clients' requests, and the socket on
which they arrive is private.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from authproxy.access import request_senders
from authproxy.web import return_to

Locale = Literal["sl", "en"]

_REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_LANGUAGE_RANGE = re.compile(
    r"\s*([A-Za-z]{1,8}|\*)(?:-[A-Za-z0-9-]+)?\s*(?:;\s*q\s*=\s*(0(?:\.\d{1,3})?|1(?:\.0{1,3})?))?\s*",
    re.ASCII,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Logo:
    body: bytes = field(repr=False)
    media_type: Literal["image/svg+xml", "image/png"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Colours:
    """Values (`#rrggbb`) of the style sheet's custom properties by name, for light and for dark pages."""

    light: Mapping[str, str]
    dark: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalPresentation:
    """A portal as its users see it. Names are by language."""

    portal_id: str
    origin: str
    names: Mapping[str, str]
    contact: str | None = None
    telephone: str | None = None
    help_url: str | None = None
    """None: the help link of all portals."""
    house_names: Mapping[str, str] = field(default_factory=dict)
    """Replace the name of the gateway."""
    logo: Logo | None = None
    colours: Colours | None = None
    font: bytes | None = field(default=None, repr=False)
    """A WOFF2 file."""
    sign_in: tuple[str, ...] = ("rekono",)
    accepts_encoded_slash: bool = False
    accepts_encoded_percent: bool = False

    def return_to(self, text: str | None) -> str:
        """The return-to that `text` names at this portal, or `/` (`return_to.safe`)."""
        return return_to.safe(
            text,
            origin=self.origin,
            accepts_encoded_slash=self.accepts_encoded_slash,
            accepts_encoded_percent=self.accepts_encoded_percent,
        )

    def name(self, locale: str) -> str:
        """Its name in that language, else in another one; empty for no portal."""
        return _name(self.names, locale)

    def house_name(self, locale: str) -> str:
        """The gateway's name at this portal, in that language, else in another one; empty for its usual
        name."""
        return _name(self.house_names, locale)

    @property
    def telephone_url(self) -> str:
        """The number as a link (RFC 3966 §5.1.1), without spaces and other separators."""
        return "tel:" + "".join(sign for sign in self.telephone or "" if sign in "+0123456789")


def _name(names: Mapping[str, str], locale: str) -> str:
    return names.get(locale) or next(iter(names.values()), "")


NO_PORTAL = PortalPresentation(portal_id="", origin="", names={}, sign_in=())
"""For a host that belongs to no portal: only refusals are shown there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestContext:
    portal: PortalPresentation
    client: str
    request_id: str
    locale: Locale
    locale_is_chosen: bool
    """Whether the person chose the language by its link. Links then carry it on."""
    is_page_load: bool
    base: str = ""
    """The origin of the portal's pages, if this page is at another host."""
    client_is_nobody: bool = False
    """Whether `client` is a proxy that names no client. Nothing is counted for its address."""

    @property
    def counted_client(self) -> str:
        """The address under which requests and answers are counted; empty if they are not counted."""
        return "" if self.client_is_nobody else self.client


def of(
    headers: Mapping[str, str],
    fields: Iterable[tuple[bytes, bytes]],
    *,
    method: str,
    chosen_language: str | None,
    portals: Mapping[str, PortalPresentation],
    no_portal: PortalPresentation = NO_PORTAL,
) -> RequestContext:
    """The context of a request. `headers` finds names in any case; `fields` are the same headers as they
    arrived. `chosen_language` is `lang` of the query. `no_portal` stands for a portal that is unknown."""
    request_id = headers.get("X-Request-Id", "")
    chosen = _locale(chosen_language or "")
    return RequestContext(
        portal=portals.get(headers.get("X-Authproxy-Portal", ""), no_portal),
        client=headers.get("X-Authproxy-Client", ""),
        request_id=request_id if is_request_id(request_id) else "unknown",
        locale=chosen or preferred_locale(headers.get("Accept-Language", "")),
        locale_is_chosen=chosen is not None,
        is_page_load=request_senders.is_page_load(fields, method),
        client_is_nobody="X-Authproxy-Client-Is-Nobody" in headers,
    )


def is_request_id(text: str) -> bool:
    """Whether the text can be the id of a request."""
    return _REQUEST_ID.fullmatch(text) is not None


def preferred_locale(accept_language: str) -> Locale:
    """Slovene or English, whichever the browser prefers (RFC 9110 §12.5.4); Slovene if it states no
    preference that can be read."""
    best: Locale = "sl"
    best_quality = 0.0
    for item in accept_language[:500].split(","):
        match = _LANGUAGE_RANGE.fullmatch(item)
        locale = _locale(match[1].lower()) if match else None
        quality = float(match[2] or 1) if match else 0.0
        if locale is not None and quality > best_quality:
            best, best_quality = locale, quality
    return best


def comes_from_us(fields: Iterable[tuple[bytes, bytes]], *, origin: str, holds_our_cookie: bool) -> bool:
    """Whether a POST was sent by a page of the portal's own origin. If neither header tells, the SameSite
    cookie decides: browsers do not send it with a POST from another site."""
    stated = request_senders.comes_from(fields, origin)
    return holds_our_cookie if stated is None else stated


def _locale(text: str) -> Locale | None:
    if text == "sl":
        return "sl"
    return "en" if text == "en" else None
