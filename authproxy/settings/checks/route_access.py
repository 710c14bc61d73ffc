"""PURE: checks of who may come in on a route: `access`, `networks` and `roles`.

What a public route says about people would have no effect, and its operator would believe that it had. That
is an error. What a closed route says is useless, but closes nothing less.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from authproxy.settings.checks import networks
from authproxy.settings.findings import KeyPath, Remark, shown
from authproxy.settings.schema import PortalSettings, RouteSettings, ServerSettings
from authproxy.settings.validation import Sections


def remarks(
    path: KeyPath, route: RouteSettings, portal: PortalSettings, sections: Sections
) -> Iterator[Remark]:
    """Remarks about one route."""
    of_people = [
        key
        for key, is_stated in (
            ("sign_in", route.sign_in is not None),
            ("level", route.level is not None),
            ("required_claims", bool(route.required_claims)),
            ("roles", route.roles is not None),
            ("step_up", route.step_up is not None and route.step_up.required),
        )
        if is_stated
    ]
    if route.access == "public":
        for key in of_people:
            problem = "contradicts `access: public`, which lets everybody in without a sign-in"
            yield Remark(path=(*path, key), problem=problem, valid="leave out one of the two")
        if not route.path.strip("/*"):
            problem = "opens everything to everybody that no route before this one covers"
            yield Remark(path=(*path, "access"), problem=problem, read="public", severity="warning")
        elif portal.webdav and not route.methods:
            problem = "lets everybody write and delete there as well: the portal has `webdav: true`"
            yield Remark(path=(*path, "methods"), problem=problem, valid="`[GET, HEAD]`", severity="warning")
    elif route.access == "deny":
        for key in [*of_people, *(["networks"] if route.networks is not None else [])]:
            problem = "has no effect: `access: deny` lets nobody in"
            yield Remark(path=(*path, key), problem=problem, severity="warning")
    if route.networks is not None:
        yield from _of_networks((*path, "networks"), route.networks, portal, sections.server)
    if route.roles is not None and sections.store and sections.store.url == "memory://":
        problem = "lets nobody in: a store in this process takes no register of people, which gives roles"
        yield Remark(
            path=(*path, "roles"), problem=problem, valid="`store.url` of a Redis", severity="warning"
        )


def _of_networks(
    path: KeyPath, stated: Sequence[str], portal: PortalSettings, server: ServerSettings | None
) -> Iterator[Remark]:
    for at, text in enumerate(stated):
        yield from networks.remarks((*path, at), text)
        if networks.holds_everybody(text):
            problem = "holds every address, so it keeps nobody out"
            yield Remark(path=(*path, at), problem=problem, read=shown(text), severity="warning")
        for proxies in () if server is None else server.trusted_proxies:
            if networks.overlap(text, proxies):
                problem = (
                    f"overlaps {proxies} of `server.trusted_proxies`: whoever has an address in that "
                    "network can name any other one as the client's"
                )
                yield Remark(
                    path=(*path, at),
                    problem=problem,
                    read=shown(text),
                    valid="only the proxies themselves in `server.trusted_proxies`",
                    severity="warning",
                )
    if _sees_a_proxy_only(portal, server):
        problem = (
            "is compared with the address of the front proxy, which every client seems to have: "
            "`server.trusted_proxies` names no proxy"
        )
        yield Remark(path=path, problem=problem, severity="warning")


def _sees_a_proxy_only(portal: PortalSettings, server: ServerSettings | None) -> bool:
    """Whether some proxy must end TLS before the gateway, and is not believed when it names the client. On a
    Unix socket it always is."""
    return (
        server is not None
        and portal.url.startswith("https:")
        and not server.tls
        and not server.trusted_proxies
        and not any(text.startswith("unix:") for text in server.listen)
    )
