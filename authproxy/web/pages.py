"""How a page is made: template, language, style sheet and the headers that belong to what the page does. HTML
5, WCAG 2.2 AA."""

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
    "default-src 'none'; base-uri 'none'; frame-ancestors 'none'; object-src 'none'; "
    "require-trusted-types-for 'script'"
)
_LOADS = "; style-src {static}; script-src {static}; img-src {static}; connect-src {own}"
_STAYS = "; form-action 'self'"

FORMS: Final[Mapping[str, Literal["leads out", "stays"]]] = {
    "login.html": "leads out",  # to the provider or to where certificates are shown
    "refusals/level_too_low.html": "leads out",  # these ask the provider anew
    "refusals/tax_number_missing.html": "leads out",
    "refusals/tax_number_invalid.html": "leads out",
    "refusals/tax_number_incomplete.html": "leads out",
    "refusals/personal_data_missing.html": "leads out",
    "refusals/claims_contradict.html": "leads out",
    "refusals/not_a_member.html": "leads out",
    "refusals/essential_claim_missing.html": "leads out",
    "refusals/proof_too_old.html": "leads out",
    "refusals/code_wrong.html": "leads out",
    # The ways that are left: at the provider or where certificates are shown.
    "refusals/step_up_blocked.html": "leads out",
    "step_up.html": "leads out",  # to the provider or to where certificates are shown
    "step_up_code.html": "leads out",  # back to the portal, which may redirect to any place
    "step_up_waiting.html": "leads out",
    "step_up_send.html": "leads out",  # a form of the portal, whose answer may be a redirect to any place
    "logout.html": "leads out",  # to the provider's end of session, and from there wherever that leads
    "signed_out.html": "leads out",
    "session.html": "leads out",  # it has a sign-out, too
    "method_totp.html": "stays",  # whatever these forms answer is another page of ours
    "method_push.html": "stays",
    "method_removal.html": "stays",
}
"""Pages with a form, and whether a click on it may end at an origin that is not the portal's.

Chromium applies `form-action` to every redirect that follows a form, and stops the navigation without a word
to the person. Which origins a provider redirects through nobody can list: its authorization endpoint may
stand at another origin than its issuer, and lead on to a third one. So a page whose forms lead out has no
`form-action`. Their actions are written by our templates alone, which escape every value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """Places outside the gateway that pages lead to."""

    dashboard_url: str
    register_url: str | None
    help_url: str


NOTHING_LOADED: Final = _POLICY + _STAYS
"""The policy of an answer that is no page."""


def content_security_policy(template: str, context: RequestContext) -> str:
    """The policy of a page of ours.

    Style, script and pictures are named by their folder: `'self'` would let in whatever the portal keeps at
    the same origin. The scheme is that of the page, because none is written before the host."""
    host = context.portal.origin.rpartition("/")[2]
    # At the certificate host the origin is the gateway's alone. So it is where there is no portal. A policy
    # cannot name an IPv6 address.
    is_named = bool(host) and not context.base and not host.startswith("[")
    static, own = (f"{host}{PREFIX}static/", f"{host}{PREFIX}") if is_named else ("'self'", "'self'")
    font = f"; font-src {static}" if context.portal.font is not None else ""
    return (
        _POLICY
        + _LOADS.format(static=static, own=own)
        + font
        + ("" if FORMS.get(template) == "leads out" else _STAYS)
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
        **values: Any,
    ) -> web.Response:
        """The page as an answer.

        A page with a form keeps `Referrer-Policy: same-origin`: under `no-referrer` browsers send its forms
        with `Origin: null`, and those without Fetch Metadata could not be told from a stranger's.

        `here` names the page if asking for it again is harmless: its other language is then a link, which
        carries the query `keep`. A page that stands at somebody else's address, or says what has just been
        done, holds both languages: its URL is the portal's, or has a code in it that is worth nothing the
        second time, and what it says may not be true any more when it is asked again.
        """
        context = request[CONTEXT]
        other: Markup | None = None
        if here is None:
            spoken = replace(context, locale="sl" if context.locale == "en" else "en", locale_is_chosen=True)
            other = Markup(  # noqa: S704  (our own page)
                self._rendered(spoken, template, here=None, keep=keep, other=None, is_other=True, **values)
            )
        html = self._rendered(context, template, here=here, keep=keep, other=other, is_other=False, **values)
        answer = web.Response(text=html, status=status, content_type="text/html", charset="utf-8")
        answer.headers["Content-Security-Policy"] = content_security_policy(template, context)
        if template in FORMS:
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
    """303 to a page of ours, in the language that was chosen. The portal's origin stands before the path, so
    that nothing in it can become a host."""
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
        """The URL of a page of ours, in the language that was chosen."""
        if self.context.locale_is_chosen:
            query.setdefault("lang", self.context.locale)
        text = urlencode({key: value for key, value in query.items() if value is not None}, safe="/")
        place = f"{self.context.base}{PREFIX}{name}"
        return f"{place}?{text}" if text else place
