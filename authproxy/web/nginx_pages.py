"""The pages that nginx shows by itself, as a file of its configuration, in the look of the portals.

nginx knows its pages while there is no gateway, so everything that they need stands in the file: words,
style, logo. They are put together from variables whose values depend on the host and the language.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Iterable
from datetime import UTC
from importlib.resources import files
from typing import Final

from authproxy.web.assets import coloured_icon
from authproxy.web.request_context import NO_PORTAL, Locale, PortalPresentation
from authproxy.web.templating import templates

LOCALES: Final[tuple[Locale, ...]] = ("sl", "en")
_LONGEST: Final = 3500
"""Characters of one value; nginx reads none of 4,096 bytes or more."""
_POLICY: Final = (
    "default-src 'none'; style-src 'sha256-{}'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors {}"
)
_HEAD: Final = """\
# In http { }, once, after http.conf. The pages that nginx shows by itself: Slovene, or English for browsers
# that put it first. `authproxy nginx-pages FILE -c authproxy.yaml` writes this file anew with the names,
# colours, logos and contacts of the settings. Browsers apply the style because its digest stands in the
# policy: do not change the style by hand.

map $http_accept_language $authproxy_page_language {
    default sl;
    "~*^en" en;
}
"""


def configuration(portals: Iterable[PortalPresentation] = (), house: PortalPresentation = NO_PORTAL) -> str:
    """The whole file. `house` is what hosts of no portal look like."""
    own = [(re.escape(host_of(portal)), portal) for portal in portals]

    def by_host(name: str, value: Callable[[PortalPresentation], str]) -> str:
        """What is the same for a host as for every other one is left out."""
        values = [(f'"~^{host}$"', value(portal)) for host, portal in own]
        return _map(
            "$host",
            f"page_{name}",
            [("default", value(house)), *(pair for pair in values if pair[1] != value(house))],
        )

    def by_host_and_language(name: str) -> str:
        values = [
            (f'"~^{host} {locale}$"', fragment_of(name, locale, portal))
            for host, portal in own
            for locale in LOCALES
        ]
        others = [("default", fragment_of(name, "sl", house)), ('"~ en$"', fragment_of(name, "en", house))]
        return _map('"$host $authproxy_page_language"', f"page_{name}", [others[0], *values, others[1]])

    def logo_part(number: int) -> str:
        return by_host(f"logo_{number}", lambda portal: "".join(logo_of(portal)[number : number + 1]))

    numbers = range(max(len(logo_of(portal)) for portal in (house, *(portal for _, portal in own))))
    logo = "".join(f"$authproxy_page_logo_{number}" for number in numbers)
    return "\n".join(
        [
            _HEAD,
            by_host("style", style_of),
            by_host("policy", _policy),
            *map(logo_part, numbers),
            by_host_and_language("names"),
            by_host_and_language("contact"),
            *(
                _map(
                    "$authproxy_page_language",
                    f"{name}_page",
                    [("default", page_of(name, "sl", logo)), ("en", page_of(name, "en", logo))],
                )
                for name in ("forbidden", "barred", "framed", "unreadable", "unavailable")
            ),
        ]
    )


def _map(key: str, name: str, values: Iterable[tuple[str, str]]) -> str:
    lines = (f"    {pattern} {_quoted(value)};\n" for pattern, value in values)
    return f"map {key} $authproxy_{name} {{\n{''.join(lines)}}}\n"


def _quoted(value: str) -> str:
    """As a value of nginx's configuration. Only the policy has single quotes, and it has no double ones."""
    return f'"{value}"' if "'" in value else f"'{value}'"


def style_of(portal: PortalPresentation) -> str:
    light, dark = (
        (None, None)
        if portal.colours is None
        else (portal.colours.light["accent"], portal.colours.dark["accent"])
    )
    return _rendered("nginx/page.css", "sl", light=light, dark=dark, has_logo=portal.logo is not None) + "\n"


def _policy(portal: PortalPresentation) -> str:
    return policy_of(portal, framed_by="$authproxy_framed_by")


def policy_of(portal: PortalPresentation, *, framed_by: str) -> str:
    """The content security policy of a page: its own style, its logo, and nothing else."""
    digest = base64.b64encode(hashlib.sha256(style_of(portal).encode()).digest()).decode()
    return _POLICY.format(digest, framed_by)


def logo_of(portal: PortalPresentation) -> list[str]:
    """As a `data:` URL without the scheme, in parts that nginx can read."""
    if portal.logo is not None:
        media_type, body = portal.logo.media_type, portal.logo.body
    else:
        icon = files("authproxy.web").joinpath("static", "icon.svg").read_bytes().strip()
        media_type, body = "image/svg+xml", coloured_icon(icon, portal.colours)
    text = f"{media_type};base64,{base64.b64encode(body).decode()}"
    return [text[at : at + _LONGEST] for at in range(0, len(text), _LONGEST)]


def page_of(name: str, locale: Locale, logo: str, *, has_request_id: bool = True) -> str:
    """A page with `$authproxy_page_…` where portals differ, and `$request_id` where its id stands."""
    return _rendered(f"nginx/{name}.html", locale, logo=logo, has_request_id=has_request_id) + "\n"


def fragment_of(name: str, locale: Locale, portal: PortalPresentation) -> str:
    """A part of a page that has words of an operator. A dollar sign would begin a variable, and nginx has no
    other way to write one."""
    return _rendered(f"nginx/{name}.html", locale, portal=portal).replace("$", "&#36;")


def host_of(portal: PortalPresentation) -> str:
    """As nginx has it in `$host`: in small letters, without the port."""
    return re.sub(r":\d+$", "", portal.origin.partition("://")[2]).lower()


def _rendered(template: str, locale: Locale, **values: object) -> str:
    made = templates(UTC)[locale].get_template(template).render(locale=locale, **values)
    return made.replace("\\", "&#92;").replace("'", "&#39;") if template.endswith(".html") else made
