"""PURE: auth subrequests of front proxies: which headers carry the original request, and how a decision is
answered to each kind of proxy.

A dialect is data. Each reads one fixed set of headers and never falls back to another. A header of another
convention that disagrees is refused: rivals that guess have had bypasses there. What cannot be read is never
allowed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from authproxy.access import machine_policy
from authproxy.access import target as request_target
from authproxy.access.decision import (
    Allowed,
    AuthenticationRequired,
    Decision,
    Denied,
    Reason,
    StepUpRequired,
    Unavailable,
)
from authproxy.access.personal_cookies import PersonalCookies
from authproxy.access.routes import Portal
from authproxy.access.target import RequestTarget, TargetRefused
from authproxy.edge.rules import refusals
from authproxy.edge.rules.headers import without_own_cookies
from authproxy.edge.rules.refusals import (
    NEVER_STORED,
    OwnAnswer,
    bearer_problem,
    is_page_load,
    login_url,
    problem,
    step_up_problem,
    step_up_url,
)
from authproxy.edge.rules.request_head import HeadRefused, RequestHead


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How one kind of front proxy asks, and what answers it understands."""

    name: str
    url_header: bytes
    """Carries scheme, authority and raw target of the original request."""
    method_header: bytes
    must_agree: tuple[bytes, ...]
    """Headers of other conventions for the raw target. Each must be absent or equal to what was read."""
    must_agree_on_host: tuple[bytes, ...]
    redirects: bool
    """Whether the answer may be a redirect. nginx makes a 500 of it, and reads Location from a 401
    instead."""


NGINX: Final = Dialect(
    name="nginx",
    url_header=b"x-original-url",
    method_header=b"x-original-method",
    must_agree=(b"x-original-uri", b"x-forwarded-uri", b"x-rewrite-url"),
    must_agree_on_host=(b"x-forwarded-host", b"x-original-host"),
    redirects=False,
)
DIALECTS: Final = {f"/.authproxy/auth/{dialect.name}": dialect for dialect in (NGINX,)}
"""By the path at which each kind of proxy asks."""


CREDENTIAL_USED: Final = b"X-Authproxy-Used: authorization\r\n"
"""Tells the front proxy that `Authorization` was a credential for the gateway, and must not go to the
portal."""


class SubrequestRefused(ValueError):  # noqa: N818
    """The subrequest does not say unambiguously what the original request was."""


PortalAt = Callable[[bytes, int], tuple[str, Portal | None]]
"""Canonical host and portal for a raw host and the scheme's default port. Raises TargetRefused."""


def original(head: RequestHead, dialect: Dialect, portal_at: PortalAt) -> RequestTarget:
    """The original request in canonical form.

    Raises SubrequestRefused if a header is missing, repeated, unreadable or contradicted."""
    try:
        index = head.index()
        urls, methods = index.get(dialect.url_header), index.get(dialect.method_header)
        if urls is None or methods is None or len(urls) != 1 or len(methods) != 1:
            raise SubrequestRefused("the headers with the original URL and method are not both there once")
        url, method = urls[0], methods[0]
        if url.startswith(b"https://"):
            begin, default_port = 8, 443
        elif url.startswith(b"http://"):
            begin, default_port = 7, 80
        else:
            raise SubrequestRefused("the original URL is not absolute")
        at = url.find(b"/", begin)
        if at < 0:
            at = len(url)
        raw = url[at:]
        host, portal = portal_at(url[begin:at], default_port)
        target = request_target.parse(
            method=method.decode("ascii"),
            target=(raw if raw.isascii() else request_target.with_encoded_query(raw)).decode("ascii"),
            host=host,
            accepts_encoded_slash=portal is not None and portal.accepts_encoded_slash,
            accepts_encoded_percent=portal is not None and portal.accepts_encoded_percent,
        )
        for name in dialect.must_agree:
            values = index.get(name)
            if values is not None and any(value != raw for value in values):
                raise SubrequestRefused("two headers disagree about the original target")
        for name in dialect.must_agree_on_host:
            values = index.get(name)
            if values is not None and any(portal_at(value, default_port)[0] != host for value in values):
                raise SubrequestRefused("two headers disagree about the original host")
    except (HeadRefused, TargetRefused, UnicodeDecodeError) as refused:
        raise SubrequestRefused("the original request cannot be read in one way only") from refused
    return target


def answer(
    decision: Decision, *, original: RequestTarget, head: RequestHead, dialect: Dialect, request_id: str
) -> OwnAnswer:
    """The answer to a front proxy. To allow is exactly 200 with all identity headers and no cookie. A failure
    of ours stays a 503 and never becomes a 401."""
    if isinstance(decision, Allowed):
        used = (
            CREDENTIAL_USED
            if decision.portal.machines is not None
            and machine_policy.is_for_gateway(decision, head.all(b"authorization"))
            else b""
        )
        lines = b"%s%s%sX-Request-Id: %s\r\n" % (
            NEVER_STORED,
            decision.identity_headers,
            used,
            request_id.encode(),
        )
        return OwnAnswer(200, lines)
    if isinstance(decision, AuthenticationRequired):
        lost = request_id if decision.reason is Reason.NOT_SENT else None
        location = login_url(decision.portal, original, head, lost=lost)
        refusal = problem(401, decision.reason, request_id, login_url=location, portal=decision.portal)
    elif isinstance(decision, StepUpRequired):
        # The front proxy has the body of a form and keeps none, so the page says that it is lost.
        location = step_up_url(decision, original, head)
        refusal = step_up_problem(decision, request_id, location)
    elif isinstance(decision, Denied) and decision.bearer_error is not None:
        return bearer_problem(decision, decision.bearer_error, request_id)
    elif isinstance(decision, Unavailable):
        return problem(503, decision.reason, request_id)
    else:
        return _forbidden(decision.reason, request_id)
    if is_page_load(head, original.method):
        status = 302 if dialect.redirects else 401
        return OwnAnswer(status, refusal.headers + b"Location: %s\r\n" % location.encode(), refusal.body)
    return refusal


def sign_out(portal: Portal, dialect: Dialect) -> OwnAnswer:
    """The same as `refusals.sign_out`, as a redirect that this kind of proxy understands."""
    answer = refusals.sign_out(portal)
    answer.status = 302 if dialect.redirects else 401
    return answer


def portal_cookies(personal: PersonalCookies, owner: bytes, cookies: bytes) -> bytes:
    """Lines for a portal with cookies that belong to one person: the Cookie value that it may get (`-` for
    none), and the mark that the proxy sets beside such a cookie, because the portal's answer does not pass
    the gateway."""
    owner = owner or personal.owner(None)
    kept = without_own_cookies(personal.kept(cookies, owner, marked_by_proxy=True))
    return b"X-Authproxy-Cookie: %s\r\nX-Authproxy-Cookie-Mark: %s\r\n" % (
        kept or b"-",
        personal.proxy_mark(owner),
    )


def passed(request_id: str) -> OwnAnswer:
    """The answer to a front proxy for a CORS preflight that may go to the portal, without identity
    headers."""
    return OwnAnswer(200, NEVER_STORED + b"X-Request-Id: %s\r\n" % request_id.encode())


def refusal(reason: Reason, request_id: str, *, status: int = 403) -> OwnAnswer:
    """The answer to a subrequest of an untrusted peer, or to one that cannot be read. It never allows: a
    rival's bypass of CVSS 10 began with a parse error that was answered 200. 503 stands for a fault of ours.
    nginx makes a 500 of every status but 401 and 403."""
    return problem(status, reason, request_id) if status != 403 else _forbidden(reason, request_id)


def _forbidden(reason: Reason, request_id: str) -> OwnAnswer:
    """With the reason in a header too, by which a front proxy that drops the body can choose a page."""
    answer = problem(403, reason, request_id)
    return OwnAnswer(403, answer.headers + b"X-Authproxy-Reason: %s\r\n" % reason.encode(), answer.body)
