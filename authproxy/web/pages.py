"""How a page is made: template, language, style sheet and the headers that belong to what the page does. HTML 5, WCAG 2.2 AA."""

from __future__ import annotations

import gettext
import hashlib
import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import tzinfo
from importlib.resources import files
from typing import Any
from urllib.parse import urlencode

from aiohttp import web
from jinja2 import Environment, PackageLoader, StrictUndefined

from authproxy.web.locales.catalogue import translations
from authproxy.web.request_context import Locale, RequestContext

PREFIX = "/.authproxy/"
CONTEXT = web.RequestKey("context", RequestContext)
ASSET_NAMES = ("pages.css", "continue.js", "icon.svg")
_IMMUTABLE = "public, max-age=31536000, immutable"
_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action {form_targets}; base-uri 'none'; "
    "frame-ancestors 'none'; object-src 'none'; require-trusted-types-for 'script'"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """Places outside the gateway that pages lead to. `provider_origins` are those that a sign-in form may end up at."""

    dashboard_url: str
    register_url: str | None
    help_url: str
    provider_origins: tuple[str, ...]


def content_security_policy(form_targets: tuple[str, ...] = ()) -> str:
    """The policy of a page whose forms end at our own origin or at `form_targets`. Chromium applies `form-action` to every redirect
    after a form: without the provider's origin the sign-in button would do nothing at all."""
    return _POLICY.format(form_targets=" ".join(("'self'", *form_targets)))


class Assets:
    """The static files, read once. Their URL names their content, so that browsers may keep them for good."""

    def __init__(self) -> None:
        self._bodies = {name: files("authproxy.web").joinpath("static", name).read_bytes() for name in ASSET_NAMES}
        self._digests = {name: hashlib.sha256(body).hexdigest()[:12] for name, body in self._bodies.items()}

    def url(self, name: str) -> str:
        return f"{PREFIX}static/{name}?v={self._digests[name]}"

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """The file. During an update two versions of the gateway answer under one name: only the version that was asked for is
        kept, the other one is asked for again."""
        name = request.match_info["name"]
        body = self._bodies.get(name)
        if body is None:
            raise web.HTTPNotFound
        etag = f'"{self._digests[name]}"'
        headers = {"ETag": etag, "Cache-Control": _IMMUTABLE if request.query.get("v") == self._digests[name] else "no-cache"}
        if request.headers.get("If-None-Match") == etag:
            return web.Response(status=304, headers=headers)
        return web.Response(body=body, content_type=mimetypes.guess_type(name)[0] or "", charset="utf-8", headers=headers)


class Pages:
    def __init__(self, *, assets: Assets, links: Links, zone: tzinfo) -> None:
        self._links = links
        words: Mapping[Locale, gettext.NullTranslations] = {
            "sl": translations(files("authproxy.web").joinpath("locales", "sl.po").read_text(encoding="utf-8")),
            "en": gettext.NullTranslations(),
        }
        self._templates = {locale: _templates(words[locale], assets, zone) for locale in words}

    def answer(
        self, request: web.Request, template: str, *, status: int = 200, form_targets: tuple[str, ...] | None = None, **values: Any
    ) -> web.Response:
        """The page as an answer. `form_targets` is given for pages with a form; a page without one may send none.

        A page with a form keeps `Referrer-Policy: same-origin`: under `no-referrer` browsers send its forms with `Origin: null`, and
        those without Fetch Metadata could not be told from a stranger's.
        """
        context = request[CONTEXT]
        html = self._templates[context.locale].get_template(template).render(
            context=context, portal=context.portal, portal_name=context.portal.name(context.locale), locale=context.locale,
            links=self._links, link=_Linker(context).link, **values,
        )  # fmt: skip
        answer = web.Response(text=html, status=status, content_type="text/html", charset="utf-8")
        if form_targets is not None:
            answer.headers["Content-Security-Policy"] = content_security_policy(form_targets)
            answer.headers["Referrer-Policy"] = "same-origin"
        return answer


@dataclass(frozen=True, slots=True)
class _Linker:
    context: RequestContext

    def link(self, name: str, **query: str | None) -> str:
        """The URL of a page of ours, in the language that was chosen."""
        if self.context.locale_is_chosen:
            query.setdefault("lang", self.context.locale)
        text = urlencode({key: value for key, value in query.items() if value is not None}, safe="/")
        return f"{PREFIX}{name}?{text}" if text else f"{PREFIX}{name}"


def _templates(words: gettext.NullTranslations, assets: Assets, zone: tzinfo) -> Environment:
    environment = Environment(
        loader=PackageLoader("authproxy.web"),
        autoescape=True,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.policies["ext.i18n.trimmed"] = True
    environment.install_gettext_translations(words, newstyle=True)  # type: ignore[attr-defined]  # added by the extension
    environment.globals["asset"] = assets.url
    environment.filters["local"] = lambda at: at.astimezone(zone)
    return environment
