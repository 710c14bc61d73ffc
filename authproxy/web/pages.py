"""Renders pages: template, language, style sheet, and the security headers that each page needs. Pages are
HTML 5 and keep to WCAG 2.2 AA."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final, Literal
from urllib.parse import urlencode

from aiohttp import hdrs, web
from markupsafe import Markup

from authproxy.access import own_paths
from authproxy.web.assets import Assets
from authproxy.web.request_context import RequestContext
from authproxy.web.request_keys import CONTEXT
from authproxy.web.templating import Templates

PREFIX = own_paths.PREFIX
_NOTHING_KEPT: Final[Mapping[str, str]] = MappingProxyType({})
_POLICY = (
    "default-src 'none'; base-uri 'none'; frame-ancestors {}; object-src 'none'; "
    "require-trusted-types-for 'script'"
)
_BY_NOBODY: Final = "'none'"
_BY_THE_PORTAL: Final = "'self'"
"""Our pages share the portal's origin."""
_LOADS = "; style-src {static}; script-src {static}; img-src {static}; connect-src {own}"
_STAYS = "; form-action 'self'"

FORMS: Final[Mapping[str, Literal["leads out", "stays"]]] = {
    "login.html": "leads out",  # to the provider, or to the certificate host
    "refusals/level_too_low.html": "leads out",  # these go to the provider again
    "refusals/tax_number_missing.html": "leads out",
    "refusals/tax_number_invalid.html": "leads out",
    "refusals/tax_number_incomplete.html": "leads out",
    "refusals/personal_data_missing.html": "leads out",
    "refusals/claims_contradict.html": "leads out",
    "refusals/not_a_member.html": "leads out",
    "refusals/essential_claim_missing.html": "leads out",
    "refusals/proof_too_old.html": "leads out",
    "refusals/code_wrong.html": "leads out",
    # The methods that are left: at the provider, or at the certificate host.
    "refusals/step_up_blocked.html": "leads out",
    "step_up.html": "leads out",  # to the provider, or to the certificate host
    "step_up_code.html": "leads out",  # back to the portal, which may redirect to any origin
    "step_up_waiting.html": "leads out",
    "step_up_send.html": "leads out",  # to the portal, which may redirect to any origin
    "logout.html": "leads out",  # to the provider's end of session, which may redirect to any origin
    "signed_out.html": "leads out",
    "session.html": "leads out",  # it has a sign-out too
    "method_totp.html": "stays",  # these forms lead to our own pages only
    "method_push.html": "stays",
    "method_removal.html": "stays",
}
"""Pages with a form, and whether submitting it may lead to an origin that is not the portal's.

Chromium applies `form-action` to every redirect that follows a form, and stops the navigation without telling
the person. Nobody can list the origins that a provider redirects through: its authorization endpoint may be
at another origin than its issuer, and lead on to a third one. So a page whose forms lead out has no
`form-action`. The actions of these forms are written by our templates only, which escape every value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """URLs outside the gateway that pages link to."""

    dashboard_url: str
    register_url: str | None
    help_url: str


NOTHING_LOADED: Final = _POLICY.format(_BY_NOBODY) + _STAYS
"""The Content-Security-Policy of an answer that is not a page."""


def content_security_policy(template: str, context: RequestContext, *, is_framed: bool = False) -> str:
    """The Content-Security-Policy of one of our pages. `is_framed` lets pages of the portal frame it; such a
    page has no form.

    Styles, scripts and pictures may come from our own folder only: `'self'` would allow every file of the
    portal, which is at the same origin. Without a scheme before the host, the scheme is that of the page."""
    host = context.portal.origin.rpartition("/")[2]
    # The certificate host, and a host without a portal, serve nothing but our files, so `'self'` is right
    # there. It is also used for IPv6 addresses, which a policy cannot name.
    is_named = bool(host) and not context.base and not host.startswith("[")
    static, own = (f"{host}{PREFIX}static/", f"{host}{PREFIX}") if is_named else ("'self'", "'self'")
    font = f"; font-src {static}" if context.portal.font is not None else ""
    return (
        _POLICY.format(_BY_THE_PORTAL if is_framed else _BY_NOBODY)
        + _LOADS.format(static=static, own=own)
        + font
        + ("" if FORMS.get(template) == "leads out" and not is_framed else _STAYS)
    )


class Pages:
    def __init__(self, *, templates: Templates, assets: Assets, links: Links) -> None:
        self._templates = templates
        self._assets = assets
        self._links = links

    def answer(
        self,
        request: web.Request,
        template: str,
        *,
        status: int = 200,
        here: str | None = None,
        keep: Mapping[str, str] = _NOTHING_KEPT,
        whole: str | None = None,
        **values: Any,
    ) -> web.Response:
        """The page as an answer. With `whole` it is for a frame: pages of the portal may frame it, so it does
        nothing but link to this address, which opens in the whole window.

        A page with a form gets `Referrer-Policy: same-origin`. Under `no-referrer`, browsers send its forms
        with `Origin: null`. If the browser also sends no Fetch Metadata, we could not tell such a form from
        one that another site has sent.

        `here` is the path of a page that can be loaded again without harm. Its switch to the other language
        is a link with the query `keep`. All other pages contain both languages. They are at an address of the
        portal, or at one with a code that works once, or they say what has just been done, which may not be
        true any more when the page is loaded again."""
        context = request[CONTEXT]
        other: Markup | None = None
        if here is None:
            other_language = replace(
                context, locale="sl" if context.locale == "en" else "en", locale_is_chosen=True
            )
            other = Markup(  # noqa: S704  (our own page)
                self._rendered(
                    other_language,
                    template,
                    here=None,
                    keep=keep,
                    other=None,
                    is_other=True,
                    whole=whole,
                    **values,
                )
            )
        html = self._rendered(
            context,
            template,
            here=here,
            keep=keep,
            other=other,
            is_other=False,
            whole=whole,
            **values,
        )
        answer = web.Response(text=html, status=status, content_type="text/html", charset="utf-8")
        answer.headers["Content-Security-Policy"] = content_security_policy(
            template, context, is_framed=whole is not None
        )
        if whole is not None:
            answer.headers["X-Frame-Options"] = "SAMEORIGIN"
        elif template in FORMS:
            answer.headers["Referrer-Policy"] = "same-origin"
        return answer

    def _rendered(self, context: RequestContext, template: str, **values: Any) -> str:
        return (
            self._templates[context.locale]
            .get_template(template)
            .render(
                context=context,
                portal=context.portal,
                portal_name=context.portal.name(context.locale),
                locale=context.locale,
                links=self._links,
                help_url=context.portal.help_url or self._links.help_url,
                link=_Linker(context).link,
                asset=lambda name: self._assets.url(name, context.portal),
                logo_url=self._assets.logo_url,
                look_url=self._assets.look_url(context.portal),
                house_name=context.portal.house_name(context.locale),
                **values,
            )
        )


def see(request: web.Request, name: str, query: Mapping[str, str] = _NOTHING_KEPT) -> web.Response:
    """303 to one of our pages, in the language that the person has chosen. The location begins with the
    portal's origin, so that nothing in the path can be read as a host."""
    context = request[CONTEXT]
    chosen = {"lang": context.locale} if context.locale_is_chosen else {}
    text = urlencode(chosen | {**query}, safe="/")
    return web.Response(
        status=303,
        headers={hdrs.LOCATION: f"{context.portal.origin}{PREFIX}{name}{'?' if text else ''}{text}"},
    )


@dataclass(frozen=True, slots=True)
class _Linker:
    context: RequestContext

    def link(self, name: str, **query: str | None) -> str:
        """The URL of one of our pages, in the language that the person has chosen."""
        if self.context.locale_is_chosen:
            query.setdefault("lang", self.context.locale)
        text = urlencode({key: value for key, value in query.items() if value is not None}, safe="/")
        url = f"{self.context.base}{PREFIX}{name}"
        return f"{url}?{text}" if text else url
