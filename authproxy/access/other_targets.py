"""PURE: the places, beside the one that it is sent to, on which a request acts: the destination of COPY and
MOVE, and what lies below a collection (RFC 4918 §9, §10.2, §10.3). Each of them is judged as a target of its
own.

A method that does what an ordinary one does is judged as that, too. Otherwise a rule for GET would not know
of COPY, which makes what it reads readable elsewhere.
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
"""What COPY and MOVE do there: they write, and an earlier resource of that name is removed."""
_ON_COLLECTIONS: Final = frozenset({"COPY", "MOVE", "DELETE", "PROPFIND", "LOCK"})
_DEPTH_COUNTS: Final = frozenset({"COPY", "PROPFIND", "LOCK"})
"""Methods which `Depth: 0` keeps to the place itself. MOVE and DELETE take everything along, whatever stands
there."""
_WITH_TARGETS_IN_BODY: Final = frozenset({"REPORT", "SEARCH"})
"""Their bodies may name any place of the portal, and no body is read: they are judged as if they named them
all."""


def destination_of(portal: Portal, target: RequestTarget, values: Sequence[bytes]) -> RequestTarget | None:
    """Where COPY and MOVE lead, by all values of `Destination`; None for other methods, to which the field
    means nothing.

    Raises TargetRefused for what cannot be read in one way only, or is no place of the portal."""
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
    found = parse(
        method=target.method,
        target=text,
        host=target.host,
        accepts_encoded_slash=portal.accepts_encoded_slash,
        accepts_encoded_percent=portal.accepts_encoded_percent,
    )
    if is_own_path(found):
        raise TargetRefused(Reason.FOREIGN_ORIGIN, "Destination is the gateway's own place")
    return found


def judged_with(
    portal: Portal, target: RequestTarget, destination: RequestTarget | None, depth: Sequence[bytes]
) -> list[RequestTarget]:
    """What else must be allowed before the target may be. `depth` is all values of `Depth`."""
    method = target.method
    here = (method, *_ACTS_AS.get(method, ()))
    found = [_at(target, target.path, name) for name in here[1:]]
    if method in _WITH_TARGETS_IN_BODY:
        found += _below(portal, _at(target, "/", method), here)
    elif (
        portal.webdav
        and method in _ON_COLLECTIONS
        and not (method in _DEPTH_COUNTS and list(depth) == [b"0"])
    ):
        found += _below(portal, target, here)
    if destination is not None:
        there = (method, *_TO_DESTINATION)
        found += [_at(target, destination.path, name) for name in there]
        found += _below(portal, destination, there)
    return list(dict.fromkeys(found))


def _below(portal: Portal, top: RequestTarget, methods: Sequence[str]) -> Iterator[RequestTarget]:
    """The places of all rules below a collection. A path that can be read in several ways is several
    collections."""
    prefixes = tuple(reading if reading.endswith("/") else f"{reading}/" for reading in top.readings())
    for route in portal.routes:
        if route.path.startswith(prefixes):
            yield from (
                _at(top, route.path, method)
                for method in methods
                if not route.methods or method in route.methods
            )


def _at(target: RequestTarget, path: str, method: str) -> RequestTarget:
    return RequestTarget(method, target.host, path, None)
