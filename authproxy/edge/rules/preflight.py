"""PURE: CORS preflights (Fetch §4.8): what a browser asks before a script of another origin may send what no
form could.

They never carry credentials. A request that has any of them is judged like every other one.
"""

from __future__ import annotations

from dataclasses import dataclass

from authproxy.access.routes import Portal
from authproxy.edge.rules.request_head import RequestHead


@dataclass(frozen=True, slots=True, kw_only=True)
class Preflight:
    """Passed on for nobody: without a session, and without identity headers."""

    portal: Portal


def is_preflight(head: RequestHead, method: str) -> bool:
    """Whether it is a preflight and nothing else. `method` is the original one, which in a subrequest is not
    the head's."""
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
