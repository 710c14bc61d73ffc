"""How a page is made: template, language, style sheet and the headers that belong to what the page does. HTML 5, WCAG 2.2 AA."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final, Protocol
from urllib.parse import urlencode

from aiohttp import hdrs, web
from markupsafe import Markup

from authproxy.access import own_place
from authproxy.web.request_context import PortalPresentation, RequestContext
from authproxy.web.templating import Templates

PREFIX = own_place.PREFIX
CONTEXT = web.RequestKey("context", RequestContext)
_NOTHING_KEPT: Final[Mapping[str, str]] = MappingProxyType({})
_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action {form_targets}; "
    "base-uri 'none'; frame-ancestors 'none'; object-src 'none'; require-trusted-types-for 'script'"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """Places outside the gateway that pages lead to. `provider_origins` are those that a sign-in form may end up at."""

    dashboard_url: str
    register_url: str | None
    help_url: str
    provider_origins: tuple[str, ...]


class AssetUrls(Protocol):
    def url(self, name: str) -> str: ...
    def logo_url(self, portal: PortalPresentation) -> str: ...


def content_security_policy(form_targets: tuple[str, ...] = ()) -> str:
    """The policy of a page whose forms end at our own origin or at `form_targets`. Chromium applies `form-action` to every redirect
    after a form: without the provider's origin the sign-in button would do nothing at all."""
    return _POLICY.format(form_targets=" ".join(("'self'", *form_targets)))


class Pages:
    def __init__(self, *, templates: Templates, assets: AssetUrls, links: Links) -> None:
        self._templates = templates
        self._assets = assets
        self._links = links

    def answer(
        self, request: web.Request, template: str, *, status: int = 200, form_targets: tuple[str, ...] | None = None,
        here: str | None = None, keep: Mapping[str, str] = _NOTHING_KEPT, **values: Any,
    ) -> web.Response:  # fmt: skip
        """The page as an answer. `form_targets` is given for pages with a form; a page without one may send none.

        A page with a form keeps `Referrer-Policy: same-origin`: under `no-referrer` browsers send its forms with `Origin: null`, and
        those without Fetch Metadata could not be told from a stranger's.

        `here` names the page if asking for it again is harmless: its other language is then a link, which carries the query `keep`. A
        page that stands at somebody else's address, or says what has just been done, holds both languages: its URL is the portal's, or
        has a code in it that is worth nothing the second time, and what it says may not be true any more when it is asked again.
        """
        context = request[CONTEXT]
        other: Markup | None = None
        if here is None:
            spoken = replace(context, locale="sl" if context.locale == "en" else "en", locale_is_chosen=True)
            other = Markup(self._rendered(spoken, template, here=None, keep=keep, other=None, is_other=True, **values))  # noqa: S704  (our own page)
        html = self._rendered(context, template, here=here, keep=keep, other=other, is_other=False, **values)
        answer = web.Response(text=html, status=status, content_type="text/html", charset="utf-8")
        if form_targets is not None:
            answer.headers["Content-Security-Policy"] = content_security_policy(form_targets)
            answer.headers["Referrer-Policy"] = "same-origin"
        return answer

    def _rendered(self, context: RequestContext, template: str, **values: Any) -> str:
        return self._templates[context.locale].get_template(template).render(
            context=context, portal=context.portal, portal_name=context.portal.name(context.locale), locale=context.locale,
            links=self._links, help_url=context.portal.help_url or self._links.help_url, link=_Linker(context).link,
            asset=self._assets.url, logo_url=self._assets.logo_url, **values,
        )  # fmt: skip


def see(request: web.Request, name: str, query: Mapping[str, str] = _NOTHING_KEPT) -> web.Response:
    """303 to a page of ours, in the language that was chosen. The portal's origin stands before the path, so that nothing in it can become
    a host."""
    context = request[CONTEXT]
    chosen = {"lang": context.locale} if context.locale_is_chosen else {}
    text = urlencode(chosen | {**query}, safe="/")
    return web.Response(status=303, headers={hdrs.LOCATION: f"{context.portal.origin}{PREFIX}{name}{'?' if text else ''}{text}"})


@dataclass(frozen=True, slots=True)
class _Linker:
    context: RequestContext

    def link(self, name: str, **query: str | None) -> str:
        """The URL of a page of ours, in the language that was chosen."""
        if self.context.locale_is_chosen:
            query.setdefault("lang", self.context.locale)
        text = urlencode({key: value for key, value in query.items() if value is not None}, safe="/")
        place = f"{self.context.base}{PREFIX}{name}"
        return f"{place}?{text}" if text else place
