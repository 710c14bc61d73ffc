"""PURE: checks of the portals: hosts, upstreams, HTTP methods, routes without effect, header names,
origins."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Iterator
from dataclasses import fields
from datetime import timedelta
from typing import get_args

from authproxy.access import methods, target
from authproxy.access.header_names import PRESETS, HeaderNames, folded, folded_beginning
from authproxy.access.own_paths import is_own_path
from authproxy.access.path_patterns import PathPattern
from authproxy.access.path_readings import Paths, as_compared
from authproxy.access.pattern_faults import fault_of
from authproxy.access.routes import RouteAccess
from authproxy.settings.checks import demands, networks, urls
from authproxy.settings.findings import KeyPath, Remark, shown
from authproxy.settings.schema import FrontProxy, PortalSettings, RouteSettings, ServerSettings
from authproxy.settings.validation import Sections
from authproxy.settings.values import SocketPath, TcpAddress, is_local, listen_address, url_of

# A token (RFC 9110 §5.6.2), without characters that no header name needs.
_HEADER_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}", re.ASCII)
# A token as well, without the characters that some servers read as something else.
_COOKIE_NAME = re.compile(r"[A-Za-z0-9_.~!#&^-]{1,128}|[A-Za-z0-9_.~!#&^-]{3,128}\*", re.ASCII)
_RESERVED = {
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "traceparent",
    "tracestate",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-request-id",
}
_WRITTEN_FOR_EACH_REQUEST = {
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-request-id",
    "traceparent",
    "tracestate",
    "via",
}
_NEEDED_BY_PORTALS = (
    "accept",
    "authorization",
    "if-none-match",
    "origin",
    "range",
    "referer",
    "sec-websocket-key",
    "user-agent",
    "x-csrf-token",
    "x-requested-with",
)
_JUDGED = {"destination", "depth"}
"""What the gateway judges of a WebDAV request must be what the portal gets."""
_FIELD_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}", re.ASCII)
_TOKEN_68 = re.compile(r"[A-Za-z0-9._~+/-]+=*", re.ASCII)


def remarks(sections: Sections) -> Iterator[Remark]:
    """Remarks about every portal, and about portals that collide."""
    hosts: dict[str, str] = {}
    default = sections.server.default_portal if sections.server else None
    if default is not None and sections.portals and default not in sections.portals:
        path: KeyPath = ("server", "default_portal")
        yield Remark(
            path=path, problem="is no portal", read=shown(default), valid=", ".join(sorted(sections.portals))
        )
    for name, portal in sections.portals.items():
        path = ("portals", name)
        yield from _url(path, portal, hosts, name)
        yield from urls.linked((*path, "help_url"), portal.help_url)
        yield from _reachable(path, portal, sections.server)
        yield from _upstreams(path, portal, sections.server)
        if sections.server:
            yield from _among_proxies(name, portal, sections.server)
        yield from _times(path, portal, sections.server)
        yield from demands.remarks(path, portal, sections)
        yield from _methods(path, portal)
        yield from _routes(path, portal)
        yield from _headers(path, portal)
        yield from _stripped(path, portal)
        yield from _added(path, portal)
        yield from _authorization(path, portal)
        yield from _origins(path, portal)
        yield from _personal_cookies(path, portal, sections.server)
        yield from _sign_out(path, portal, sections.server)


def _url(path: KeyPath, portal: PortalSettings, hosts: dict[str, str], name: str) -> Iterator[Remark]:
    url = url_of(portal.url)
    if url is None or not url.hostname:
        yield Remark(
            path=(*path, "url"),
            problem="is no URL of a portal",
            read=shown(portal.url),
            valid="`https://host[:port]`",
        )
        return
    if url.scheme == "http" and not is_local(url.hostname):
        problem = (
            "is not `https`: browsers would keep no `__Host-` cookie, and anybody on the way could read along"
        )
        yield Remark(
            path=(*path, "url"), problem=problem, read=shown(portal.url), valid="`http` is for localhost only"
        )
    try:
        host = target.canonical_host(url.netloc, 443 if url.scheme == "https" else 80)
    except target.TargetRefused as refused:
        yield Remark(path=(*path, "url"), problem=str(refused), read=shown(portal.url))
        return
    if host in hosts:
        yield Remark(
            path=(*path, "url"), problem=f"has the same host as portal {hosts[host]}", read=shown(portal.url)
        )
    hosts.setdefault(host, name)


def _reachable(path: KeyPath, portal: PortalSettings, server: ServerSettings | None) -> Iterator[Remark]:
    if server is None or not portal.url.startswith("https:") or server.tls or server.trusted_proxies:
        return
    if not any(text.startswith("unix:") for text in server.listen):
        problem = (
            "is https, but the gateway neither ends TLS (`server.tls`) nor trusts a proxy that does "
            "(`server.trusted_proxies`)"
        )
        yield Remark(path=(*path, "url"), problem=problem, read=shown(portal.url), severity="warning")


def _upstreams(path: KeyPath, portal: PortalSettings, server: ServerSettings | None) -> Iterator[Remark]:
    named = list(upstreams(path, portal))
    for at, text in named:
        yield from _upstream(at, text, server)
    if portal.upstream_tls != type(portal.upstream_tls)() and not any(
        text.startswith("https:") for _, text in named
    ):
        yield Remark(
            path=(*path, "upstream_tls"),
            problem="has no effect: the upstream is not `https`",
            severity="warning",
        )
    if (portal.upstream_tls.certificate_file is None) != (portal.upstream_tls.key_file is None):
        yield Remark(
            path=(*path, "upstream_tls"), problem="has only one of `certificate_file` and `key_file`"
        )


def upstreams(path: KeyPath, portal: PortalSettings) -> Iterator[tuple[KeyPath, str]]:
    """The key and the text of every upstream of a portal: its own, and those of its routes."""
    yield (*path, "upstream"), portal.upstream
    for at, route in enumerate(portal.routes):
        if route.upstream is not None:
            yield (*path, "routes", at, "upstream"), route.upstream


def _among_proxies(name: str, portal: PortalSettings, server: ServerSettings) -> Iterator[Remark]:
    """A portal's server in a network of proxies could name any address as a client's, and ask who somebody is
    at another portal."""
    urls_of_servers = [url_of(text) for _, text in upstreams((), portal)]
    hosts = {url.hostname for url in urls_of_servers if url is not None and url.hostname}
    for at, proxies in enumerate(server.trusted_proxies):
        for host in sorted(hosts):
            if networks.overlap(host, proxies) and not is_local(host):
                yield Remark(
                    path=("server", "trusted_proxies", at),
                    problem=f"also holds {host}, the server of portal {name}, which is no front proxy",
                    read=shown(proxies),
                    valid="the addresses of your front proxies",
                    severity="warning",
                )


def _upstream(path: KeyPath, text: str, server: ServerSettings | None) -> Iterator[Remark]:
    url = url_of(text)
    if text.startswith("unix:"):
        address: TcpAddress | SocketPath = SocketPath(text.removeprefix("unix:"))
    elif url is None or not url.hostname or not _is_host(url.netloc):
        yield Remark(path=path, problem="is no URL of a server", read=shown(text))
        return
    else:
        address = TcpAddress(
            "127.0.0.1" if is_local(url.hostname) else url.hostname,
            url.port or (443 if url.scheme == "https" else 80),
        )
    if address in set(_listeners(server)):
        problem = "is the gateway itself: requests would go round in circles"
        yield Remark(path=path, problem=problem, read=shown(text))


def _is_host(authority: str) -> bool:
    try:
        target.canonical_host(authority, 0)
    except target.TargetRefused:
        return False
    return True


def _times(path: KeyPath, portal: PortalSettings, server: ServerSettings | None) -> Iterator[Remark]:
    said = [(path, portal.timeouts)]
    said += [((*path, "routes", at), route.timeouts) for at, route in enumerate(portal.routes)]
    for at_path, timeouts in said:
        for name in ("connect", "first_byte", "body", "upstream_idle"):
            if getattr(timeouts, name) == timedelta(0):
                yield Remark(
                    path=(*at_path, "timeouts", name),
                    problem="is nothing at all: every request would end there",
                    read="0s",
                )
        wholes = (timeouts.whole, portal.timeouts.whole, server.timeouts.whole if server else None)
        whole = next((span for span in wholes if span is not None), timedelta(0))
        if timeouts.first_byte is not None and timedelta(0) < whole <= timeouts.first_byte:
            problem = "has no effect: the end of the answer must be there before, by `timeouts.whole`"
            yield Remark(
                path=(*at_path, "timeouts", "first_byte"),
                problem=problem,
                read=f"{timeouts.first_byte.total_seconds():g}s",
                valid=f"less than {whole.total_seconds():g}s, or another `whole` beside it",
                severity="warning",
            )


def _listeners(server: ServerSettings | None) -> Iterator[TcpAddress | SocketPath]:
    for text in (*server.listen, server.management) if server else ():
        try:
            address = listen_address(text)
        except ValueError:
            continue
        # All spellings of "this machine" become one, so that they can be compared.
        if isinstance(address, TcpAddress) and (is_local(address.host) or address.host in {"0.0.0.0", "::"}):  # noqa: S104
            address = TcpAddress("127.0.0.1", address.port)
        yield address


def _methods(path: KeyPath, portal: PortalSettings) -> Iterator[Remark]:
    named = portal.methods or ()
    for at, method in enumerate(named):
        if method in methods.WEBDAV and not portal.webdav:
            problem = "is a method of WebDAV, which acts on more than its target"
            yield Remark(
                path=(*path, "methods", at),
                problem=problem,
                read=shown(method),
                valid="`webdav: true` passes all of them on",
            )
        else:
            yield from _method((*path, "methods", at), method)
    if "HEAD" in named and "GET" not in named:
        yield Remark(
            path=(*path, "methods"), problem="have `HEAD` without `GET`, whose head it is", severity="warning"
        )
    if portal.preflight == "pass" and portal.methods is not None and "OPTIONS" not in named:
        yield Remark(
            path=(*path, "preflight"), problem="has no effect: `methods` lack `OPTIONS`", severity="warning"
        )


def _method(path: KeyPath, method: str) -> Iterator[Remark]:
    if method not in methods.KNOWN:
        nearest = f'; did you mean "{method.upper()}"?' if method.upper() in methods.KNOWN else ""
        valid = ", ".join(sorted(methods.KNOWN))
        yield Remark(
            path=path, problem=f"is no method that is passed on{nearest}", read=shown(method), valid=valid
        )


def _routes(path: KeyPath, portal: PortalSettings) -> Iterator[Remark]:
    earlier: list[tuple[int, PathPattern, RouteSettings]] = []
    passed = (methods.ORDINARY if portal.methods is None else frozenset(portal.methods)) | (
        methods.WEBDAV if portal.webdav else set()
    )
    for at, settings in enumerate(portal.routes):
        route_path = (*path, "routes", at)
        faults = list(_route(route_path, settings, portal.paths))
        yield from faults
        if faults:
            continue
        yield from _leaves_its_top(route_path, settings, portal)
        pattern = PathPattern(settings.path, portal.paths)
        covered = {method for method in settings.methods or passed if method in passed}
        if not covered:
            problem = (
                "is a rule that has no effect: the portal's `methods` and `webdav` pass none of its methods "
                "on"
            )
            yield Remark(
                path=(*route_path, "methods"),
                problem=problem,
                read=", ".join(settings.methods),
                severity="warning",
            )
        else:
            yield from _never_reached(
                route_path,
                portal,
                settings,
                covered,
                [
                    (position, route)
                    for position, before, route in earlier
                    if before.includes(pattern) and (not route.methods or covered.intersection(route.methods))
                ],
            )
        earlier.append((at, pattern, settings))


def _leaves_its_top(path: KeyPath, settings: RouteSettings, portal: PortalSettings) -> Iterator[Remark]:
    """`/admin/*` looks as if it protected everything at `/admin`."""
    top, star, _ = settings.path.removesuffix("/**").rpartition("/*")
    others = (PathPattern(other.path, portal.paths) for other in portal.routes if other is not settings)
    if star and not any(other.covers(as_compared(top or "/", portal.paths)) for other in others):
        yield Remark(
            path=(*path, "path"),
            problem=f"leaves `{top or '/'}` itself to the portal's own demands",
            read=settings.path,
            valid=f"`{top or '/'}` covers it and everything below",
            severity="warning",
        )


def _never_reached(
    path: KeyPath,
    portal: PortalSettings,
    settings: RouteSettings,
    covered: set[str],
    before: list[tuple[int, RouteSettings]],
) -> Iterator[Remark]:
    """`before` are the earlier routes that cover every path of this one. The first match counts."""
    if not all(
        any(not route.methods or method in route.methods for _, route in before) for method in covered
    ):
        return
    by = " and ".join(f"`routes[{position}]`" for position, _ in before)
    problem = f"is a rule that has no effect: earlier ones cover every request of it ({by})"
    if any(_demands_less(route, settings, portal) for _, route in before):
        problem += ", and demand less"
    yield Remark(
        path=(*path, "path"), problem=problem, read=settings.path, valid="before them", severity="warning"
    )


def _demands_less(one: RouteSettings, other: RouteSettings, portal: PortalSettings) -> bool:
    """Whether the first might let somebody in whom the second would not."""
    strictness: tuple[RouteAccess, ...] = ("public", "required", "deny")
    if one.access != other.access:
        return strictness.index(one.access) < strictness.index(other.access)
    one_step_up, other_step_up = one.step_up or portal.step_up, other.step_up or portal.step_up
    return (
        (one.level or portal.level) < (other.level or portal.level)
        or (other_step_up.required and not one_step_up.required)
        or (one_step_up.max_age != other_step_up.max_age and other_step_up.max_age is not None)
        or not set(other.required_claims) <= set(one.required_claims)
        or _is_wider(one.roles, other.roles)
        or _is_wider(one.networks, other.networks)
        or _is_wider(one.sign_in or portal.sign_in, other.sign_in or portal.sign_in)
        or (one.machines is not None and one.machines != other.machines)
    )


def _is_wider(one: Collection[str] | None, other: Collection[str] | None) -> bool:
    """Whether the first list has something that the second has not. None stands for everything."""
    return other is not None and (one is None or not set(one) <= set(other))


def _route(path: KeyPath, route: RouteSettings, paths: Paths) -> Iterator[Remark]:
    for at, method in enumerate(route.methods):
        yield from _method((*path, "methods", at), method)
    path = (*path, "path")
    fault = fault_of(route.path, paths)
    if fault is not None:
        valid = fault.spelling
        if valid and route.access == "public":
            # It may cover more than was meant: the folder of `/css/*.css`.
            valid += ", if everybody may see all of it"
        yield Remark(path=path, problem=fault.problem, read=shown(route.path), valid=valid)
    elif is_own_path(target.parse(method="GET", target=route.path, host="localhost")):
        yield Remark(
            path=path,
            problem="is the gateway's own: no rule of a portal applies there",
            read=shown(route.path),
        )


def _path_of_sign_out(path: KeyPath, text: str, paths: Paths) -> Iterator[Remark]:
    try:
        canonical = target.parse(method="GET", target=text, host="localhost")
    except target.TargetRefused as refused:
        valid = "a path such as `/logout`, without scheme, host and query"
        yield Remark(path=path, problem=f"covers no request: {refused}", read=shown(text), valid=valid)
        return
    # Paths are compared with canonical ones. A path in another form would never match.
    if canonical.path != text or canonical.query is not None or len(canonical.readings(paths)) != 1:
        valid = "a path as requests carry it: no query, no `;`, no `//`, nothing escaped that need not be"
        yield Remark(path=path, problem="covers no request", read=shown(text), valid=valid)
    elif is_own_path(canonical):
        yield Remark(
            path=path,
            problem="is the gateway's own: no rule of a portal applies there",
            read=shown(text),
        )


def _headers(path: KeyPath, portal: PortalSettings) -> Iterator[Remark]:
    taken: dict[str, str] = {}
    for key in (field.name for field in fields(portal.headers)):
        if key in {"encoding", "preset"}:
            continue
        own = getattr(portal.headers, key)
        name = getattr(PRESETS[portal.headers.preset], key) if own is None else own
        if not name:
            continue
        # Portals that get headers as variables (CGI, WSGI) cannot distinguish `_` from `-`.
        at, folded = (*path, "headers", key), name.lower().replace("_", "-")
        if folded in taken:
            yield Remark(path=at, problem=f"is the same header as `{taken[folded]}`", read=shown(name))
        elif own is not None and not _HEADER_NAME.fullmatch(
            name
        ):  # the names of a preset are those of another product
            valid = "letters, digits, `-` and `_`, beginning with a letter"
            yield Remark(path=at, problem="is no header name", read=shown(name), valid=valid)
        elif own is not None and (
            folded in _RESERVED or folded.startswith(("x-forwarded-", "x-authproxy-", "sec-", "proxy-"))
        ):
            yield Remark(path=at, problem="is a header that has a meaning of its own", read=shown(name))
        elif own is not None and "_" in name:
            problem = "has an underscore: an nginx before the portal drops such a header without a word"
            yield Remark(
                path=at,
                problem=problem,
                read=shown(name),
                valid="`underscores_in_headers on` there, or `-`",
                severity="warning",
            )
        taken.setdefault(folded, key)
    if all(
        getattr(portal.headers, field.name) == ""
        for field in fields(portal.headers)
        if field.name not in {"encoding", "preset", "roles"}
    ):
        yield Remark(
            path=(*path, "headers"),
            problem="are all empty: the portal would not learn who it is",
            severity="warning",
        )


def _stripped(path: KeyPath, portal: PortalSettings) -> Iterator[Remark]:
    for at, name in enumerate(portal.strip):
        beginning = folded_beginning(name[:-1].encode()).decode() if name.endswith("*") else None
        covered = [
            each
            for each in sorted(_RESERVED)
            if (each.startswith(beginning) if beginning is not None else each == _folded(name))
        ]
        if covered:
            problem = (
                f"covers `{covered[0]}`, which the gateway writes itself, or a request cannot do without"
            )
            yield Remark(path=(*path, "strip", at), problem=problem, read=shown(name))
        elif beginning is not None:
            needed = [each for each in _NEEDED_BY_PORTALS if each.startswith(beginning)]
            if needed:
                yield Remark(
                    path=(*path, "strip", at),
                    problem=f"also removes `{needed[0]}`, which portals need",
                    read=shown(name),
                    severity="warning",
                )


def _added(path: KeyPath, portal: PortalSettings) -> Iterator[Remark]:
    mapped = dataclasses.asdict(portal.headers).values()
    own = [*mapped, *PRESETS[portal.headers.preset].used, *HeaderNames().used]
    ours = {_folded(name) for name in own if name} | _WRITTEN_FOR_EACH_REQUEST
    taken: dict[str, str] = {}
    for name, value in portal.set.items():
        at, form = (*path, "set", name), _folded(name)
        if not _FIELD_NAME.fullmatch(name):
            yield Remark(path=at, problem="is no header name", read=shown(name))
        elif form == "authorization":
            yield Remark(path=at, problem="has a key of its own", valid="`authorization: {basic|bearer}`")
        elif form in ours or form.startswith("x-authproxy-"):
            yield Remark(path=at, problem="is a header that the gateway writes for each request")
        elif form in _RESERVED | _JUDGED or form.startswith(("sec-", "proxy-auth", "content-")):
            yield Remark(path=at, problem="is a header that has a meaning of its own")
        elif form in taken:
            yield Remark(path=at, problem=f"is the same header as `{taken[form]}`")
        yield from _printable(at, value.get_secret_value())
        taken.setdefault(form, name)


def _authorization(path: KeyPath, portal: PortalSettings) -> Iterator[Remark]:
    basic, bearer = portal.authorization.basic, portal.authorization.bearer
    at = (*path, "authorization")
    if basic is not None and bearer is not None:
        yield Remark(path=at, problem="has `basic` and `bearer`; a request has one of them")
    if basic is not None:
        text = basic.get_secret_value()
        if ":" not in text or not text.isprintable():
            yield Remark(path=(*at, "basic"), problem="is no `user:password`")
    if bearer is not None and not _TOKEN_68.fullmatch(bearer.get_secret_value()):
        yield Remark(path=(*at, "bearer"), problem="is no token (RFC 6750 §2.1)")
    public = [number for number, route in enumerate(portal.routes) if route.access == "public"]
    if public and (basic is not None or bearer is not None):
        which = " and ".join(f"`routes[{number}]`" for number in public)
        yield Remark(
            path=at,
            problem=f"also goes out with requests of people who are not signed in, by the public {which}",
            valid="a portal that lets nobody do more because of it",
            severity="warning",
        )


def _printable(at: KeyPath, value: str) -> Iterator[Remark]:
    if not value.isascii() or not value.isprintable():
        problem = "has a character that a header cannot hold"
        yield Remark(path=at, problem=problem, valid="printable ASCII")
    elif value != value.strip():
        yield Remark(path=at, problem="has blanks at its beginning or end")


def _folded(name: str) -> str:
    return folded(name.encode()).decode()


def _origins(path: KeyPath, portal: PortalSettings) -> Iterator[Remark]:
    for at, origin in enumerate(portal.websocket_origins):
        url = url_of(origin)
        is_origin = (
            url is not None
            and url.scheme in {"http", "https"}
            and url.hostname
            and origin == f"{url.scheme}://{url.netloc}"
        )
        if not is_origin or "@" in origin or "*" in origin:
            yield Remark(
                path=(*path, "websocket_origins", at),
                problem="is no origin",
                read=shown(origin),
                valid="`https://host[:port]`",
            )


def _personal_cookies(
    path: KeyPath, portal: PortalSettings, server: ServerSettings | None
) -> Iterator[Remark]:
    if portal.cookies.end_with_session and server is not None:
        silent = [name for name in server.subrequests if name in {"caddy", "traefik"}]
        # The default names all and says nothing about what is there.
        if silent and set(server.subrequests) != set(get_args(FrontProxy)):
            problem = (
                f"these cookies never reach a portal behind {' or '.join(silent)}, where nothing marks them "
                "when the portal sets them"
            )
            yield Remark(
                path=(*path, "cookies", "end_with_session"),
                problem=problem,
                read=", ".join(portal.cookies.end_with_session),
                valid="send this portal through the gateway (`upstream`), or leave it empty",
                severity="warning",
            )
    for at, name in enumerate(portal.cookies.end_with_session):
        here = (*path, "cookies", "end_with_session", at)
        if not _COOKIE_NAME.fullmatch(name):
            valid = "a cookie's name, or its beginning (at least three characters) and `*`"
            yield Remark(path=here, problem="is no name of a cookie", read=shown(name), valid=valid)
        elif name.lower().startswith("__host-authproxy"):
            yield Remark(path=here, problem="is a cookie of the gateway itself", read=shown(name))


def _sign_out(path: KeyPath, portal: PortalSettings, server: ServerSettings | None) -> Iterator[Remark]:
    if portal.sign_out_url is not None:
        here = (*path, "sign_out_url")
        yield from urls.asked(here, portal.sign_out_url, valid="`https://host[:port]/path`")
        url = url_of(portal.sign_out_url)
        if url is not None and url.hostname:
            host = "127.0.0.1" if is_local(url.hostname) else url.hostname
            port = url.port or (443 if url.scheme == "https" else 80)
            valid = "an address of the portal's server, like `upstream`"
            if TcpAddress(host, port) in set(_listeners(server)):
                problem = "is the gateway itself, where the session has ended by then"
                yield Remark(path=here, problem=problem, read=shown(portal.sign_out_url), valid=valid)
            elif f"{url.scheme}://{url.netloc}".lower() == portal.url.rstrip("/").lower():
                problem = (
                    "is the portal's public address, where the gateway asks for a session that has ended"
                )
                yield Remark(
                    path=here,
                    problem=problem,
                    read=shown(portal.sign_out_url),
                    valid=valid,
                    severity="warning",
                )
    if not portal.activity:
        problem = "is empty: every session would end `idle` after its sign-in, whatever its person does"
        yield Remark(path=(*path, "activity"), problem=problem, valid="`[requests]`")
    elif "requests" not in portal.activity:
        problem = "lacks `requests`: people who read and click are signed out `idle` after their sign-in"
        yield Remark(path=(*path, "activity"), problem=problem, severity="warning")
    for at, text in enumerate(portal.sign_out_paths):
        here = (*path, "sign_out_paths", at)
        if text == "/":
            yield Remark(path=here, problem="is the portal's front page, which nobody could open any more")
        else:
            yield from _path_of_sign_out(here, text, portal.paths)
