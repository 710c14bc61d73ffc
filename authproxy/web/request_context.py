"""PURE: what every page knows of a request: portal, client, request id, language, and whether a person or a
script is asking.

The `X-Authproxy-*` headers are the edge's word: it strips them from what clients send, and the socket on
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
    """Values (`#rrggbb`) of custom properties of the style sheet, by their names, on white and on dark
    paper."""

    light: Mapping[str, str]
    dark: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalPresentation:
    """A portal as its users see it. `names` is by language, `contact` and `telephone` whom they may ask,
    `help_url` where they may read (None: where everybody may). `house_names` is what stands for the name of
    the gateway, `font` a WOFF2 file."""

    portal_id: str
    origin: str
    names: Mapping[str, str]
    contact: str | None = None
    telephone: str | None = None
    help_url: str | None = None
    house_names: Mapping[str, str] = field(default_factory=dict)
    logo: Logo | None = None
    colours: Colours | None = None
    font: bytes | None = field(default=None, repr=False)
    sign_in: tuple[str, ...] = ("rekono",)
    accepts_encoded_slash: bool = False
    accepts_encoded_percent: bool = False

    def place(self, text: str | None) -> str:
        """The place on the portal that `text` names (`return_to.safe`)."""
        return return_to.safe(
            text,
            origin=self.origin,
            accepts_encoded_slash=self.accepts_encoded_slash,
            accepts_encoded_percent=self.accepts_encoded_percent,
        )

    def name(self, locale: str) -> str:
        """Its name in that language, or in any; empty for no portal."""
        return _name(self.names, locale)

    def house_name(self, locale: str) -> str:
        """What the gateway is called here, in that language or in any; empty for its own name."""
        return _name(self.house_names, locale)

    @property
    def telephone_url(self) -> str:
        """The number as a link (RFC 3966), without what people write between its digits."""
        return "tel:" + "".join(sign for sign in self.telephone or "" if sign in "+0123456789")


def _name(names: Mapping[str, str], locale: str) -> str:
    return names.get(locale) or next(iter(names.values()), "")


NO_PORTAL = PortalPresentation(portal_id="", origin="", names={}, sign_in=())
"""Stands where a host is nobody's: a refusal is shown there, and nothing else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestContext:
    portal: PortalPresentation
    client: str
    request_id: str
    locale: Locale
    locale_is_chosen: bool
    """Whether the person chose the language by its link, so that links go on in it."""
    is_page_load: bool
    base: str = ""
    """The origin of the portal's own pages, where the page stands at another host."""
    client_is_nobody: bool = False
    """Whether `client` is a proxy that does not say for whom it speaks: nothing is counted for it."""

    @property
    def counted_client(self) -> str:
        """The address for which requests and answers are counted; empty for none."""
        return "" if self.client_is_nobody else self.client


def of(
    headers: Mapping[str, str],
    fields: Iterable[tuple[bytes, bytes]],
    *,
    method: str,
    chosen_language: str | None,
    portals: Mapping[str, PortalPresentation],
    nowhere: PortalPresentation = NO_PORTAL,
) -> RequestContext:
    """The context of a request. `headers` finds names in any case, `fields` are the same as they came;
    `chosen_language` is the query's `lang`, `nowhere` stands for a portal that is not among them."""
    request_id = headers.get("X-Request-Id", "")
    chosen = _locale(chosen_language or "")
    return RequestContext(
        portal=portals.get(headers.get("X-Authproxy-Portal", ""), nowhere),
        client=headers.get("X-Authproxy-Client", ""),
        request_id=request_id if _REQUEST_ID.fullmatch(request_id) else "unknown",
        locale=chosen or preferred_locale(headers.get("Accept-Language", "")),
        locale_is_chosen=chosen is not None,
        is_page_load=request_senders.is_page_load(fields, method),
        client_is_nobody="X-Authproxy-Client-Is-Nobody" in headers,
    )


def preferred_locale(accept_language: str) -> Locale:
    """The better liked of our languages (RFC 9110 §12.5.4); Slovene where the browser has no opinion, or an
    unreadable one."""
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
    """Whether a POST was sent by a page of the portal's own origin. Where neither header says so, only a
    SameSite cookie shows that the request did not come from elsewhere."""
    said = request_senders.comes_from(fields, origin)
    return holds_our_cookie if said is None else said


def _locale(text: str) -> Locale | None:
    if text == "sl":
        return "sl"
    return "en" if text == "en" else None
