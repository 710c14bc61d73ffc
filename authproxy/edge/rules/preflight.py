"""PURE: CORS preflights (Fetch §4.8): a browser asks before a script of another origin may send a request
that no form could send.

Preflights never carry credentials. A request with credentials is judged like every other one.
"""

from __future__ import annotations

from dataclasses import dataclass

from authproxy.access import policy
from authproxy.access.routes import Portal
from authproxy.access.sender import Sender
from authproxy.access.target import RequestTarget
from authproxy.edge.rules.request_head import RequestHead


@dataclass(frozen=True, slots=True, kw_only=True)
class Preflight:
    """A preflight that is passed on without a session and without identity headers."""

    portal: Portal


def is_preflight(head: RequestHead, method: str) -> bool:
    """Whether it is a preflight. `method` is that of the original request; in a subrequest it is not the
    head's."""
    return (
        method == "OPTIONS"
        and len(head.all(b"origin")) == len(head.all(b"access-control-request-method")) == 1
        and not (
            head.cookies
            or head.has_body
            or head.upgrade
            or head.all(b"authorization")
            or head.all(b"proxy-authorization")
        )
    )


def is_passed(portal: Portal, head: RequestHead, target: RequestTarget, sender: Sender) -> bool:
    """Whether it is a preflight that the portal answers. Where nobody may enter, or not from this address, it
    is judged like every other request; also where the request after it may not."""
    if not portal.passes_preflights or not is_preflight(head, target.method):
        return False
    for each in (target, announced(head, target)):
        route = policy.route_of(portal, each)
        if route is None or policy.barred(route, sender) is not None:
            return False
    return True


def announced(head: RequestHead, target: RequestTarget) -> RequestTarget:
    """The request that a preflight announces."""
    method = head.all(b"access-control-request-method")[0].decode("latin-1")
    return RequestTarget(method, target.host, target.path, target.query)
