"""The page that a front proxy shows while there is no gateway, as a file of that proxy's configuration, in
the look of the portals. `nginx_pages.py` does the same for nginx, whose pages are put together from
variables.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Final, Literal

from authproxy.web.nginx_pages import (
    LOCALES,
    fragment_of,
    host_of,
    logo_of,
    page_of,
    policy_of,
    style_of,
)
from authproxy.web.request_context import NO_PORTAL, Locale, PortalPresentation

Proxy = Literal["caddy", "traefik", "envoy", "haproxy"]
_FRAMED_BY: Final = "'self'"
"""The page has nothing to click, so a portal may show it in its own frames."""


def unavailable(portal: PortalPresentation, locale: Locale, *, request_id: str) -> str:
    """The whole page, complete in one text. `request_id` is what the proxy replaces by the id of the request;
    empty if the proxy knows none: then the page has no such line."""
    variables = {
        "$authproxy_page_style": style_of(portal),
        "$authproxy_page_names": _plain(fragment_of("names", locale, portal)),
        "$authproxy_page_contact": _plain(fragment_of("contact", locale, portal)),
        "$request_id": request_id,
    }
    page = page_of("unavailable", locale, "".join(logo_of(portal)), has_request_id=bool(request_id))
    for name, value in variables.items():
        page = page.replace(name, value)
    return page


def _plain(fragment: str) -> str:
    """Words of an operator, in which nothing begins a placeholder of a proxy."""
    return fragment.replace("{", "&#123;").replace("}", "&#125;")


def configuration(
    proxy: Proxy, portals: Iterable[PortalPresentation] = (), house: PortalPresentation = NO_PORTAL
) -> str:
    """The whole file. `house` is what hosts of no portal look like."""
    return _WRITERS[proxy](list(portals), house)


_CADDY: Final = """\
# Import it once, beside authproxy.caddyfile. The page that Caddy shows while the gateway is away: Slovene, or
# English for browsers that put it first. `authproxy proxy-pages caddy FILE -c authproxy.yaml` writes this
# file anew with the names, colours, logos and contacts of the settings. Browsers apply the style because its
# digest stands in the policy: do not change the style by hand.

(authproxy_page) {
	header Content-Type "text/html; charset=utf-8"
"""


def _caddy(portals: list[PortalPresentation], house: PortalPresentation) -> str:
    """A snippet with one `respond` for each portal and language. Caddy takes the first that matches."""
    blocks = []
    for number, portal in enumerate([*portals, house]):
        for locale in reversed(LOCALES):
            matchers = [] if portal is house else [f"host {host_of(portal)}"]
            if locale == "en":
                matchers.append("header Accept-Language en*")
            name = f"@authproxy_page_{number}_{locale}" if matchers else ""
            if matchers:
                blocks.append(f"\t{name} {{\n" + "".join(f"\t\t{line}\n" for line in matchers) + "\t}\n")
            page = unavailable(portal, locale, request_id="{http.request.uuid}").strip()
            blocks.append(
                f"\thandle{' ' if name else ''}{name} {{\n"
                f'\t\theader Content-Security-Policy "{policy_of(portal, framed_by=_FRAMED_BY)}"\n'
                f"\t\trespond <<AUTHPROXY_PAGE\n{page}\nAUTHPROXY_PAGE 503\n\t}}\n"
            )
    return _CADDY + "".join(blocks) + "}\n"


_TRAEFIK: Final = """\
# In the folder of Traefik's file provider. The page that Traefik shows while the gateway is away: Slovene, or
# English for browsers that put it first. `authproxy proxy-pages traefik FILE -c authproxy.yaml` writes this
# file anew with the names, colours, logos and contacts of the settings. Browsers apply the style because its
# digest stands in the policy: do not change the style by hand.
"""


def _traefik(portals: list[PortalPresentation], house: PortalPresentation) -> str:
    """The settings of the plugin `authproxypage`: a page for each host and language; the empty host is every
    other one."""
    pages: dict[str, dict[str, str]] = {}
    for portal in [*portals, house]:
        host = "" if portal is house else host_of(portal)
        for locale in LOCALES:
            pages[f"{host} {locale}"] = {
                "policy": policy_of(portal, framed_by=_FRAMED_BY),
                "body": unavailable(portal, locale, request_id=""),
            }
    # JSON is YAML, and what people wrote cannot end a string of JSON.
    made = {"http": {"middlewares": {"authproxy-page": {"plugin": {"authproxypage": {"pages": pages}}}}}}
    return _TRAEFIK + json.dumps(made, ensure_ascii=False, indent=1) + "\n"


_ENVOY: Final = """\
-- The page that Envoy shows while the gateway or a portal is away: Slovene, or English for browsers that put
-- it first. `authproxy proxy-pages envoy FILE -c authproxy.yaml` writes this file anew with the names,
-- colours, logos and contacts of the settings. Browsers apply the style because its digest stands in the
-- policy: do not change the style by hand.

"""
_ENVOY_SHOWS: Final = """\

-- local_reply_config gives its answers for people a field with host, language and id of the request.
function envoy_on_response(handle)
  local headers = handle:headers()
  local said = headers:get("x-authproxy-page")
  headers:remove("x-authproxy-page")
  if not said or tonumber(headers:get(":status")) < 502 then return end
  local host, id, language = string.match(said, "^([^ :]*)[^ ]* ([^ ]*) (.*)$")
  language = string.match(string.lower(language or ""), "^en") and "en" or "sl"
  local page = pages[string.lower(host or "") .. " " .. language] or pages[" " .. language]
  -- Once the body is there, Envoy has sent the headers.
  headers:replace("content-security-policy", page.policy)
  local body = string.gsub(page.body, "$request_id", id or "")
  handle:body():setBytes(body)
end
"""
_HAPROXY: Final = """\
-- The page that HAProxy shows while the gateway is away: Slovene, or English for browsers that put it first.
-- `authproxy proxy-pages haproxy FILE -c authproxy.yaml` writes this file anew with the names, colours, logos
-- and contacts of the settings. Browsers apply the style because its digest stands in the policy: do not
-- change the style by hand.

"""


def _lua(portals: list[PortalPresentation], house: PortalPresentation) -> str:
    """A table with a page for each host and language; the empty host is every other one. Envoy and HAProxy
    read the same table, each in a file of its own: an operator copies the folder of one proxy, and Envoy runs
    the file where HAProxy's script takes the table from it."""
    entries = []
    for portal in [*portals, house]:
        host = "" if portal is house else host_of(portal)
        for locale in LOCALES:
            page = unavailable(portal, locale, request_id="$request_id").strip()
            # What operators write must not end the text for Lua.
            body = page.replace("]==]", "]=&#61;]")
            entries.append(
                f"  [{json.dumps(f'{host} {locale}')}] = {{\n"
                f'    policy = "{policy_of(portal, framed_by=_FRAMED_BY)}",\n'
                f"    body = [==[\n{body}\n]==],\n  }},\n"
            )
    return "local pages = {\n" + "".join(entries) + "}\n"


def _envoy(portals: list[PortalPresentation], house: PortalPresentation) -> str:
    return _ENVOY + _lua(portals, house) + _ENVOY_SHOWS


def _haproxy(portals: list[PortalPresentation], house: PortalPresentation) -> str:
    return _HAPROXY + _lua(portals, house) + "\nreturn pages\n"


_WRITERS: Final[Mapping[Proxy, Callable[[list[PortalPresentation], PortalPresentation], str]]] = {
    "caddy": _caddy,
    "traefik": _traefik,
    "envoy": _envoy,
    "haproxy": _haproxy,
}
