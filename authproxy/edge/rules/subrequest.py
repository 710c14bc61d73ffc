"""PURE: auth subrequests of front proxies: which headers carry the original request, and how a decision is
answered to each kind of proxy.

A dialect is data. Each reads one fixed set of headers and never falls back to another. A header of another
convention that disagrees is refused: rivals that guess have had bypasses there. What cannot be read is never
allowed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from authproxy.access import machine_policy
from authproxy.access import target as request_target
from authproxy.access.decision import (
    Allowed,
    AuthenticationRequired,
    Denied,
    Reason,
    Refusal,
    StepUpRequired,
    Unavailable,
)
from authproxy.access.header_names import folded
from authproxy.access.personal_cookies import PersonalCookies
from authproxy.access.routes import Portal
from authproxy.access.target import RequestTarget, TargetRefused
from authproxy.edge.rules import refusals
from authproxy.edge.rules.headers import without_own_cookies
from authproxy.edge.rules.refusals import (
    NEVER_STORED,
    OwnAnswer,
    PageWanted,
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
    """How one kind of front proxy asks, and what answers it understands.

    The original request stands in one header with the URL and one with the method (`url_header`), or in four
    headers (`uri_header`), or is the question itself, whose target has the endpoint in front (neither)."""

    name: str
    url_header: bytes = b""
    """Carries scheme, authority and raw target of the original request."""
    uri_header: bytes = b""
    """Carries the raw target alone."""
    method_header: bytes = b""
    scheme_header: bytes = b""
    host_header: bytes = b""
    schemes: Mapping[bytes, int]
    """The schemes that this proxy names, with their default ports."""
    must_agree: tuple[bytes, ...]
    """Headers of other conventions for the raw target. Each must be absent or equal to what was read."""
    must_agree_on_url: tuple[bytes, ...] = ()
    """The same, for headers that some proxies fill with the raw target and others with the whole URL."""
    must_agree_on_host: tuple[bytes, ...]
    must_agree_on_method: tuple[bytes, ...] = ()
    must_agree_on_scheme: tuple[bytes, ...] = ()
    needs_client: bool = True
    """Whether a question is refused if the client's address is missing, or if the name of a header stands
    there in another spelling."""
    passes_refusals: bool = True
    """Whether the client gets a refusal as it is, so that it may be a redirect or a page. nginx knows only
    401 and 403, drops the body, and can read Location from a 401."""
    passes_faults: bool = True
    """Whether the client gets a 5xx as it is, too."""
    shows_handshakes: bool = True
    """Whether a question shows that it is about a WebSocket, so that the gateway judges who opens it. nginx's
    files judge that themselves."""
    keeps_leave: bool = False
    """Whether this proxy can keep a leave to pass for some seconds, if `X-Accel-Expires` says so, and repeat
    it to like requests."""
    replaces_fields: bool = False
    """Whether it cannot take a value apart, but replaces whole fields of the request by those of the answer.
    The answer then says which `Cookie` and `Authorization` the portal gets."""

    @property
    def is_prefix(self) -> bool:
        """Whether the original target follows the endpoint."""
        return not self.url_header and not self.uri_header


_WEB: Final = {b"https": 443, b"http": 80}
_WEB_AND_SOCKETS: Final = {**_WEB, b"wss": 443, b"ws": 80}
_OTHER_METHODS: Final = (
    b"x-original-method",
    b"x-http-method-override",
    b"x-method-override",
    b"x-http-method",
)
_OTHER_SCHEMES: Final = (b"x-original-proto", b"x-forwarded-scheme", b"x-scheme")


def _forwarding(name: str, schemes: Mapping[bytes, int], *, replaces_fields: bool = False) -> Dialect:
    """A proxy that describes the original request by X-Forwarded-*."""
    return Dialect(
        name=name,
        uri_header=b"x-forwarded-uri",
        method_header=b"x-forwarded-method",
        scheme_header=b"x-forwarded-proto",
        host_header=b"x-forwarded-host",
        schemes=schemes,
        must_agree=(b"x-original-uri", b"x-rewrite-url", b"x-envoy-original-path"),
        must_agree_on_url=(b"x-original-url",),
        must_agree_on_host=(b"x-original-host",),
        must_agree_on_method=_OTHER_METHODS,
        must_agree_on_scheme=_OTHER_SCHEMES,
        replaces_fields=replaces_fields,
    )


NGINX: Final = Dialect(
    name="nginx",
    url_header=b"x-original-url",
    method_header=b"x-original-method",
    schemes=_WEB,
    must_agree=(b"x-original-uri", b"x-forwarded-uri", b"x-rewrite-url"),
    must_agree_on_host=(b"x-forwarded-host", b"x-original-host"),
    must_agree_on_method=(b"x-forwarded-method",),
    needs_client=False,
    passes_refusals=False,
    passes_faults=False,
    shows_handshakes=False,
    keeps_leave=True,
)
CADDY: Final = _forwarding("caddy", _WEB, replaces_fields=True)
TRAEFIK: Final = _forwarding("traefik", _WEB_AND_SOCKETS, replaces_fields=True)
HAPROXY: Final = _forwarding("haproxy", _WEB)
ENVOY: Final = Dialect(
    name="envoy",
    scheme_header=b"x-forwarded-proto",
    schemes=_WEB,
    must_agree=(b"x-original-uri", b"x-forwarded-uri", b"x-rewrite-url", b"x-envoy-original-path"),
    must_agree_on_url=(b"x-original-url",),
    must_agree_on_host=(b"x-forwarded-host", b"x-original-host", b"x-envoy-original-host"),
    must_agree_on_method=(b"x-forwarded-method", *_OTHER_METHODS),
    must_agree_on_scheme=_OTHER_SCHEMES,
    passes_faults=False,
)
ALL: Final = (NGINX, CADDY, TRAEFIK, HAPROXY, ENVOY)
_ENDPOINTS: Final = "/.authproxy/auth/"
DIALECTS: Final = {_ENDPOINTS + dialect.name: dialect for dialect in ALL if not dialect.is_prefix}
"""By the path at which each kind of proxy asks."""
_MAY_BE_ALIAS: Final = re.compile(rb"http-|-|.*(?:[^a-z0-9-]|-$)")
_NAMES: Final = {
    dialect.name: frozenset(
        (
            b"x-forwarded-for",
            dialect.uri_header,
            dialect.method_header,
            dialect.scheme_header,
            dialect.host_header,
            *dialect.must_agree,
            *dialect.must_agree_on_url,
            *dialect.must_agree_on_host,
            *dialect.must_agree_on_method,
            *dialect.must_agree_on_scheme,
        )
    )
    - {b""}
    for dialect in ALL
}
"""The names that a dialect reads or compares. Folded, they stay the same."""
PREFIXED: Final = {_ENDPOINTS + dialect.name: dialect for dialect in ALL if dialect.is_prefix}
"""By what stands in front of the original target."""


_WITH_QUERY: Final = f"{_ENDPOINTS}{CADDY.name}?"


def dialect_at(target: str) -> Dialect | None:
    """The dialect of a question; None if it is none. Caddy asks with the query of the original request,
    unless `uri` in its file ends in `?`. Nobody reads it here: it stands in X-Forwarded-Uri, too."""
    dialect = DIALECTS.get(target)
    if dialect is None and target.startswith(_ENDPOINTS):
        if target.startswith(_WITH_QUERY):
            return CADDY
        for prefix, each in PREFIXED.items():
            if target.startswith(prefix):
                return each
    return dialect


CREDENTIAL_USED: Final = b"X-Authproxy-Used: authorization\r\n"
"""Tells the front proxy that `Authorization` was a credential for the gateway, and must not go to the
portal."""


class SubrequestRefused(ValueError):  # noqa: N818
    """The subrequest does not say unambiguously what the original request was."""


class OriginalUnreadable(SubrequestRefused):
    """The original request itself cannot be read in one way only, whoever says it."""


PortalAt = Callable[[bytes, int], tuple[str, Portal | None]]
"""Canonical host and portal for a raw host and the scheme's default port. Raises TargetRefused."""


Said = tuple[str, bytes, int, bytes, bytes]
"""What a question says about the original request: method, scheme, the scheme's default port, host and
target. Nothing of it has been decoded or normalised."""


def original(head: RequestHead, dialect: Dialect, portal_at: PortalAt) -> RequestTarget:
    """The original request in canonical form.

    Raises SubrequestRefused if a header is missing, repeated, unreadable or contradicted."""
    try:
        index = head.index()
        asked = said(head, dialect)
        method, _, default_port, raw_host, raw = asked
        host, portal = portal_at(raw_host, default_port)
        target = request_target.parse(
            method=method,
            target=(raw if raw.isascii() else request_target.with_encoded_query(raw)).decode("ascii"),
            host=host,
            accepts_encoded_slash=portal is not None and portal.accepts_encoded_slash,
            accepts_encoded_percent=portal is not None and portal.accepts_encoded_percent,
        )
        for name in dialect.must_agree:
            if name in index:
                _check_targets(index[name], raw)
        for name in dialect.must_agree_on_host:
            if name in index:
                _check_hosts(index[name], host, default_port, portal_at)
        for name in dialect.must_agree_on_method:
            if name in index:
                _check_methods(index[name], method)
        if dialect.needs_client:
            _check_the_rest(index, dialect, asked)
    except (HeadRefused, TargetRefused, UnicodeDecodeError) as refused:
        raise OriginalUnreadable("the original request cannot be read in one way only") from refused
    return target


def said(head: RequestHead, dialect: Dialect) -> Said:
    """What the question says, before anything is compared. Raises SubrequestRefused if one of the parts is
    missing or repeated, UnicodeDecodeError if the method is not ASCII."""
    if dialect.url_header:
        return _in_url(head.index(), dialect)
    return _in_parts(head.index(), dialect) if dialect.uri_header else _in_question(head, dialect)


def _in_url(index: dict[bytes, list[bytes]], dialect: Dialect) -> Said:
    urls, methods = index.get(dialect.url_header), index.get(dialect.method_header)
    if urls is None or methods is None or len(urls) != 1 or len(methods) != 1:
        raise SubrequestRefused("x-original-url and x-original-method are not both there once")
    url, method = urls[0], methods[0].decode("ascii")
    if url.startswith(b"https://"):
        begin, default_port, scheme = 8, 443, b"https"
    elif url.startswith(b"http://"):
        begin, default_port, scheme = 7, 80, b"http"
    else:
        raise SubrequestRefused("the original URL is not absolute")
    at = url.find(b"/", begin)
    if at < 0:
        at = len(url)
    return method, scheme, default_port, url[begin:at], url[at:]


def _in_parts(index: dict[bytes, list[bytes]], dialect: Dialect) -> Said:
    method = _only(index, dialect.method_header).decode("ascii")
    scheme, default_port = _scheme(index, dialect)
    raw = _origin_form(_only(index, dialect.uri_header))
    return method, scheme, default_port, _only(index, dialect.host_header), raw


def _in_question(head: RequestHead, dialect: Dialect) -> Said:
    scheme, default_port = _scheme(head.index(), dialect)
    raw = head.target[len(_ENDPOINTS) + len(dialect.name) :].encode("ascii")
    return head.method, scheme, default_port, head.host, _origin_form(raw)


def _scheme(index: dict[bytes, list[bytes]], dialect: Dialect) -> tuple[bytes, int]:
    scheme = _only(index, dialect.scheme_header)
    default_port = dialect.schemes.get(scheme)
    if default_port is None:
        raise SubrequestRefused("the original scheme is not one that this kind of proxy names")
    return scheme, default_port


def _origin_form(raw: bytes) -> bytes:
    # In absolute-form the authority could be another one than the host that is judged.
    if not raw.startswith(b"/"):
        raise OriginalUnreadable("the original target does not begin with a slash")
    return raw


def _only(index: dict[bytes, list[bytes]], name: bytes) -> bytes:
    values = index.get(name)
    if values is None or len(values) != 1:
        raise SubrequestRefused(f"{name.decode()} is not there once")
    return values[0]


def _check_targets(values: list[bytes], raw: bytes) -> None:
    if any(value != raw for value in values):
        raise SubrequestRefused("two headers disagree about the original target")


def _check_hosts(values: list[bytes], host: str, default_port: int, portal_at: PortalAt) -> None:
    if any(portal_at(value, default_port)[0] != host for value in values):
        raise SubrequestRefused("two headers disagree about the original host")


def _check_methods(values: list[bytes], method: str) -> None:
    if any(value != method.encode("ascii") for value in values):
        raise SubrequestRefused("two headers disagree about the original method")


def _check_the_rest(index: dict[bytes, list[bytes]], dialect: Dialect, asked: Said) -> None:
    """What every dialect but nginx demands. Raises SubrequestRefused."""
    if b"x-forwarded-for" not in index:
        # Without it the proxy itself would be judged by its address.
        raise SubrequestRefused("x-forwarded-for is missing")
    _, scheme, _, host, raw = asked
    if _is_contradicted(
        index, dialect.must_agree_on_url, (raw, b"%s://%s%s" % (scheme, host, raw))
    ) or _is_contradicted(index, dialect.must_agree_on_scheme, (scheme,)):
        raise SubrequestRefused("two headers disagree about the original request")
    for name in index:
        # `X_Forwarded_Uri` is X-Forwarded-Uri to some portals.
        if _MAY_BE_ALIAS.match(name) and folded(name) in _NAMES[dialect.name]:
            raise SubrequestRefused("a header about the original request stands there in another spelling")


def _is_contradicted(
    index: dict[bytes, list[bytes]], names: tuple[bytes, ...], allowed: tuple[bytes, ...]
) -> bool:
    return any(value not in allowed for name in names for value in index.get(name, ()))


def is_handshake(head: RequestHead) -> bool:
    """Whether the question is about a WebSocket. Some proxies take `Upgrade` out of it, and HTTP/2 has none
    (RFC 8441), but every browser says which version it speaks."""
    return bool(head.upgrade) or b"sec-websocket-version" in head.index()


def leave(decision: Allowed, head: RequestHead, dialect: Dialect, request_id: str) -> OwnAnswer:
    """The answer that lets the client pass: exactly 200 with all identity headers and no cookie."""
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
    if dialect.replaces_fields:
        lines += portal_fields(decision, head)
    elif decision.portal.personal_cookies is not None:
        lines += portal_cookies(decision.portal.personal_cookies, decision.cookie_owner, head.cookies)
    return OwnAnswer(200, lines)


def may_be_kept(decision: Allowed, original: RequestTarget, dialect: Dialect) -> bool:
    """Whether the front proxy may give the same leave to like requests of the same client for some seconds:
    only to read, and only where nothing but the end of the session could change the answer meanwhile."""
    route = decision.route
    return (
        dialect.keeps_leave
        and original.method in {"GET", "HEAD"}
        and not route.strict
        and not route.requirement.varies
        and decision.machine is None
        and decision.portal.personal_cookies is None
    )


def answer(
    decision: Refusal, *, original: RequestTarget, head: RequestHead, dialect: Dialect, request_id: str
) -> OwnAnswer | PageWanted:
    """A refusal, as the front proxy understands it. A failure of ours stays a 503 and never becomes a
    401."""
    if dialect.passes_refusals:
        return _whole_refusal(decision, original, head, dialect, request_id)
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
        return OwnAnswer(401, refusal.headers + b"Location: %s\r\n" % location.encode(), refusal.body)
    return refusal


def _whole_refusal(
    decision: Refusal, original: RequestTarget, head: RequestHead, dialect: Dialect, request_id: str
) -> OwnAnswer | PageWanted:
    """The refusal for a proxy that passes it on as it is: what a client of ours would get. A form is not
    kept, because the proxy has it, and its person is told so before the sign-in and not after it."""
    if isinstance(decision, Unavailable) and not dialect.passes_faults:
        return problem(503, decision.reason, request_id)
    if isinstance(decision, AuthenticationRequired) and decision.reason is Reason.NOT_SENT:
        return refusals.form_lost(decision, original, head)
    answer = refusals.answer(decision, target=original, head=head, request_id=request_id)
    if isinstance(answer, OwnAnswer):
        if answer.status == 303:
            answer.status = 302
        elif answer.status == 403:
            answer.headers += b"X-Authproxy-Reason: %s\r\n" % decision.reason.encode()
    return answer


def sign_out(portal: Portal, dialect: Dialect) -> OwnAnswer:
    """The same as `refusals.sign_out`, as a redirect that this kind of proxy understands."""
    answer = refusals.sign_out(portal)
    answer.status = 302 if dialect.passes_refusals else 401
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


def portal_fields(decision: Allowed, head: RequestHead) -> bytes:
    """`Cookie` and `Authorization` as the portal gets them, for a proxy that replaces whole fields: without
    the gateway's cookies and those of another person, and without a credential that was for the gateway.
    What is not there, or is there twice, the portal does not get."""
    cookies = head.cookies
    personal = decision.portal.personal_cookies
    if personal is not None:
        owner = decision.cookie_owner or personal.owner(None)
        cookies = personal.kept(cookies, owner, marked_by_proxy=True)
    kept = without_own_cookies(cookies)
    lines = b"Cookie: %s\r\n" % kept if kept else b""
    credentials = head.all(b"authorization")
    if len(credentials) == 1 and not (
        decision.portal.machines is not None and machine_policy.is_for_gateway(decision, credentials)
    ):
        lines += b"Authorization: %s\r\n" % credentials[0]
    return lines


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
    """A 403 with the reason in a header as well: a front proxy that drops the body chooses a page by it."""
    answer = problem(403, reason, request_id)
    return OwnAnswer(403, answer.headers + b"X-Authproxy-Reason: %s\r\n" % reason.encode(), answer.body)
