"""PURE: checks of programs that come in without a person: the issuer of access tokens, and the routes that
let programs in."""

from __future__ import annotations

from collections.abc import Iterator

from authproxy.access.header_names import PRESETS
from authproxy.settings.checks import urls
from authproxy.settings.findings import KeyPath, Remark, shown
from authproxy.settings.schema import MachineRouteSettings, MachineSettings, PortalSettings
from authproxy.settings.validation import Sections
from authproxy.settings.values import is_local, url_of


def remarks(sections: Sections) -> Iterator[Remark]:
    """Remarks about the section `machines`, and about `machines` of every route."""
    if sections.machines is not None:
        yield from _issuer(sections.machines, sections)
    takes_tokens = False
    for name, portal in sections.portals.items():
        for at, route in enumerate(portal.routes):
            if route.machines is not None:
                path: KeyPath = ("portals", name, "routes", at, "machines")
                takes_tokens = takes_tokens or route.machines.tokens
                yield from _route(path, route.machines, sections)
                yield from _told(path, portal)
    is_whole = bool(sections.portals) and "portals" not in sections.faulty
    if sections.machines is not None and is_whole and not takes_tokens:
        yield Remark(
            path=("machines",),
            problem="has no effect: no route takes access tokens",
            valid="`machines: {tokens: true}` at a route",
            severity="warning",
        )


def _issuer(machines: MachineSettings, sections: Sections) -> Iterator[Remark]:
    path, url = ("machines", "jwks_url"), url_of(machines.jwks_url)
    yield from urls.asked(path, machines.jwks_url, valid="`https://host/path` without user and fragment")
    if (
        url is not None
        and url.scheme == "http"
        and not (is_local(url.hostname) and machines.issuer.startswith("http:"))
    ):
        yield Remark(
            path=path,
            problem="is not `https`: whoever is on the way could give us keys of their own",
            read=shown(machines.jwks_url),
            valid="`http` is for an issuer with `http` on localhost only",
        )
    if sections.assertions is not None and machines.issuer == sections.assertions.issuer:
        yield Remark(
            path=("machines", "issuer"),
            problem="is the gateway itself: a portal could come in with the assertion about a person that it "
            "has received",
            read=shown(machines.issuer),
        )
    rekono = sections.rekono
    if rekono is not None and (machines.issuer, machines.audience) == (rekono.issuer, rekono.client_id):
        yield Remark(
            path=("machines", "audience"),
            problem="is `rekono.client_id`: ID tokens of people name the same audience",
            read=shown(machines.audience),
            valid="a name of its own for this gateway as the server that access tokens are for",
        )


def _told(path: KeyPath, portal: PortalSettings) -> Iterator[Remark]:
    """A portal with the header names of another gateway has none for the method and the level."""
    names = PRESETS[portal.headers.preset]
    method, level = (
        getattr(names, key) if getattr(portal.headers, key) is None else getattr(portal.headers, key)
        for key in ("method", "level")
    )
    if not method and not level:
        yield Remark(
            path=path,
            problem="lets programs in that the portal could take for people: neither `headers.method` nor "
            "`headers.level` tells it",
            valid="`headers: {method: X-Auth-Method}`, or a portal that reads `client_id` in the assertion",
            severity="warning",
        )


def _route(path: KeyPath, machines: MachineRouteSettings, sections: Sections) -> Iterator[Remark]:
    if machines.tokens and sections.machines is None and "machines" not in sections.faulty:
        yield Remark(
            path=(*path, "tokens"),
            problem="lets nobody in: there is no section `machines` that names the issuer",
        )
    if not machines.tokens and not machines.keys:
        yield Remark(
            path=path,
            problem="has no effect: neither `tokens` nor `keys` is true",
            severity="warning",
        )
