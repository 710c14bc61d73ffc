"""PURE: the targets on which a request acts beside its own: the destination of COPY and MOVE, and everything
below a collection (RFC 4918 §9, §10.2, §10.3). Each of them is judged like a request of its own.

A method that does the work of an ordinary one is judged as that one, too. Otherwise a rule for GET would miss
COPY, which makes what it reads readable elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from authproxy.access.decision import Reason
from authproxy.access.own_paths import is_own_path
from authproxy.access.routes import Portal
from authproxy.access.target import RequestTarget, TargetRefused, canonical_host, parse

_ACTS_AS: Final[dict[str, tuple[str, ...]]] = {
    "COPY": ("GET",),
    "MOVE": ("GET", "DELETE"),
    "PROPFIND": ("GET",),
    "REPORT": ("GET",),
    "SEARCH": ("GET",),
    "QUERY": ("GET",),
    "PROPPATCH": ("PUT",),
    "MKCOL": ("PUT",),
    "LOCK": ("PUT",),
    "UNLOCK": ("PUT",),
    "ACL": ("PUT",),
    "MKCALENDAR": ("PUT",),
    "MERGE": ("PATCH",),
}
_TO_DESTINATION: Final = ("PUT", "DELETE")
"""What COPY and MOVE do at their destination: they write, and remove what was there (RFC 4918 §9.8.4)."""
_ON_COLLECTIONS: Final = frozenset({"COPY", "MOVE", "DELETE", "PROPFIND", "LOCK"})
_DEPTH_COUNTS: Final = frozenset({"COPY", "PROPFIND", "LOCK"})
"""Methods that `Depth: 0` limits to the target itself. MOVE and DELETE always act on everything below (RFC
4918 §9.6.1, §9.9.2), whatever `Depth` says."""
_WITH_TARGETS_IN_BODY: Final = frozenset({"REPORT", "SEARCH"})
"""Their bodies may name any path of the portal. Bodies are not read, so these are judged as if they named all
paths."""


def destination_of(portal: Portal, target: RequestTarget, values: Sequence[bytes]) -> RequestTarget | None:
    """The target that `Destination` names for COPY and MOVE; None for other methods, for which the field has
    no meaning. `values` are all values of the field.

    Raises TargetRefused for a destination that can be read in two ways or that does not belong to the
    portal."""
    if target.method not in {"COPY", "MOVE"}:
        return None
    if len(values) != 1:
        raise TargetRefused(Reason.REQUEST_UNREADABLE, "not exactly one Destination")
    try:
        text = values[0].decode("ascii")
    except UnicodeDecodeError:
        raise TargetRefused(Reason.REQUEST_UNREADABLE, "Destination contains raw non-ASCII bytes") from None
    if text[:1] != "/":
        scheme, separator, rest = text.partition("://")
        authority, _, path = rest.partition("/")
        if not separator or scheme.lower() not in {"http", "https"}:
            raise TargetRefused(Reason.REQUEST_UNREADABLE, "Destination is neither a path nor an http URL")
        host = canonical_host(authority, 443 if scheme.lower() == "https" else 80)
        if f"{scheme.lower()}://{host}" != portal.origin:
            raise TargetRefused(Reason.FOREIGN_ORIGIN, "Destination is at another origin")
        text = f"/{path}"
    if "?" in text:
        raise TargetRefused(Reason.REQUEST_UNREADABLE, "Destination has a query")
    destination = parse(
        method=target.method,
        target=text,
        host=target.host,
        accepts_encoded_slash=portal.accepts_encoded_slash,
        accepts_encoded_percent=portal.accepts_encoded_percent,
    )
    if is_own_path(destination):
        raise TargetRefused(Reason.FOREIGN_ORIGIN, "Destination is the gateway's own place")
    return destination


def judged_with(
    portal: Portal, target: RequestTarget, destination: RequestTarget | None, depth: Sequence[bytes]
) -> list[RequestTarget]:
    """The further targets that must be allowed before the request may be. `depth` are all values of
    `Depth`."""
    method = target.method
    here = (method, *_ACTS_AS.get(method, ()))
    further = [_at(target, target.path, name) for name in here[1:]]
    if method in _WITH_TARGETS_IN_BODY:
        further += _below(portal, _at(target, "/", method), here)
    elif (
        portal.webdav
        and method in _ON_COLLECTIONS
        and not (method in _DEPTH_COUNTS and list(depth) == [b"0"])
    ):
        further += _below(portal, target, here)
    if destination is not None:
        there = (method, *_TO_DESTINATION)
        further += [_at(target, destination.path, name) for name in there]
        further += _below(portal, destination, there)
    return list(dict.fromkeys(further))


def _below(portal: Portal, top: RequestTarget, methods: Sequence[str]) -> Iterator[RequestTarget]:
    """The paths of all routes below a collection. A path with several readings stands for several
    collections. A route with a `*` is judged by a path in which the `*` is a name."""
    readings = top.readings(portal.paths)
    for pattern, covered, route in portal.table.rows:
        if any(reading == "/" or pattern.may_cover_below(reading) for reading in readings):
            path = route.path.removesuffix("/**") or "/"
            yield from (_at(top, path, method) for method in methods if not covered or method in covered)


def _at(target: RequestTarget, path: str, method: str) -> RequestTarget:
    return RequestTarget(method, target.host, path, None)
