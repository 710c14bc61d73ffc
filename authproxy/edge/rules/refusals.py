"""PURE: a decision that is not Allowed, or a failure of the edge itself, as status, headers and body.

People get a redirect or a page, scripts get `application/problem+json` (RFC 9457). Fetch Metadata decides
first which of them asks. Only a page load begins a sign-in; a script never gets a redirect. RFC 9470 §3: a
script learns from a challenge that a fresh proof is missing. In a frame no sign-in begins, because our pages
load in none: the person gets a page whose link opens the sign-in in the whole window.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Final, NamedTuple
from urllib.parse import quote

from authproxy.access import bearer, methods, own_paths, problems, request_senders
from authproxy.access.decision import (
    AuthenticationRequired,
    Denied,
    Reason,
    Refusal,
    StepUpRequired,
    Unavailable,
)
from authproxy.access.routes import Portal
from authproxy.access.target import RequestTarget
from authproxy.edge.rules.headers import connection_line
from authproxy.edge.rules.request_head import RequestHead
from authproxy.identity.assurance import Level

_RETRY: Final = b"Retry-After: %d\r\n" % problems.RETRY_AFTER[503]
NEVER_STORED: Final = (
    b"Cache-Control: no-store\r\nVary: Cookie, Accept, Sec-Fetch-Mode\r\nX-Content-Type-Options: nosniff\r\n"
)
_PROBLEM: Final = NEVER_STORED + b"Content-Type: %s; charset=utf-8\r\n" % problems.MEDIA_TYPE.encode()
_STATUS_LINES: Final = {
    status.value: b"HTTP/1.1 %d %s\r\n" % (status.value, status.phrase.encode()) for status in HTTPStatus
}
_LONGEST_PATH: Final = 2048
_PRINTABLE: Final = "".join(map(chr, range(0x21, 0x7F)))
_STATUSES: Final = {
    Reason.HELD_REQUEST_GONE: 410,
    Reason.MACHINE_TOKEN_INVALID: 401,
    Reason.TOO_MANY_REQUESTS: 429,
}
"""Statuses of denials other than 403."""


class OwnAnswer:
    """A complete answer of the gateway itself. `headers` are finished lines without framing and
    Connection."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: bytes = b"", body: bytes = b"") -> None:
        self.status = status
        self.headers = headers
        self.body = body


class PageWanted(NamedTuple):
    """The answer is a page, which our own pages render."""

    status: int
    reason: Reason
    particulars: bytes = b""
    """Header lines for the pages: where the person wanted to go, who they are, which level is missing, and
    for a frame, where its link leads."""


def is_page_load(head: RequestHead, method: str) -> bool:
    """Whether a person waits for a page. `method` is that of the original request; in a subrequest it is not
    the head's."""
    return not head.upgrade and request_senders.is_page_load(head.fields, method)


def is_entry(head: RequestHead, method: str) -> bool:
    """Whether a person has sent something with this request: a form, and no link or address."""
    return method not in {"GET", "HEAD"} and is_page_load(head, method)


def login_url(
    portal: Portal,
    target: RequestTarget,
    head: RequestHead,
    *,
    held: str | None = None,
    lost: str | None = None,
) -> str:
    """The chooser of sign-in methods, with the path to return to: the page itself, or the page that has sent
    a request which cannot be repeated, or that contains the frame; and the fate of a form: the
    name under which it is kept, or the id of the request with which it is lost."""
    url = f"{portal.origin}/.authproxy/login?rt={_way_back(portal, target, head)}{_cut_mark(target)}"
    if held is not None:
        return f"{url}&held={held}"
    return url if lost is None else f"{url}&lost={lost}"


def step_up_url(
    required: StepUpRequired, target: RequestTarget, head: RequestHead, *, held: str | None = None
) -> str:
    """The page that asks for a fresh proof, with the path to return to, the name of the route that demands
    the proof, and the fate of a form: the name under which it is kept, or that it is lost."""
    portal = required.portal
    route = quote(required.route.name, safe="/")
    url = f"{portal.origin}/.authproxy/step-up?rt={_way_back(portal, target, head)}&for={route}"
    if held is not None:
        return f"{url}&held={held}"
    return f"{url}&lost=yes" if is_entry(head, target.method) else url


def _way_back(portal: Portal, target: RequestTarget, head: RequestHead) -> str:
    """As `_return_path`. From a frame it leads to the page around it: by itself, the frame's page is often of
    no use."""
    around = _path_of_own_referer(portal, head) if request_senders.is_in_frame(head.fields) else None
    return _return_path(portal, target, head) if around is None else quote(around, safe="/")


def _return_path(portal: Portal, target: RequestTarget, head: RequestHead) -> str:
    path = target.origin_form
    if target.method not in {"GET", "HEAD"}:
        path = _path_of_own_referer(portal, head) or "/"
    if len(path) > _LONGEST_PATH:
        path = target.path if len(target.path) <= _LONGEST_PATH and target.method in {"GET", "HEAD"} else "/"
    return quote(path, safe="/")


def _cut_mark(target: RequestTarget) -> str:
    """Tells the chooser that the path to return to has lost its query, so that it can tell the person."""
    return "&cut=yes" if len(target.origin_form) > _LONGEST_PATH and target.method in {"GET", "HEAD"} else ""


def _path_of_own_referer(portal: Portal, head: RequestHead) -> str | None:
    """The portal's page that has caused the request; None if it is not known, is one of ours, or is too
    long."""
    referers = [value for name, value in head.fields if name.lower() == b"referer"]
    prefix = portal.origin + "/"
    text = referers[0].decode("latin-1") if len(referers) == 1 else ""
    if not text.startswith(prefix):
        return None
    # Old browsers write the characters of an address as octets of some charset.
    path = quote(text.removeprefix(portal.origin), safe=_PRINTABLE, encoding="latin-1")
    return None if path.startswith(("//", own_paths.PREFIX)) or len(path) > _LONGEST_PATH else path


def answer(
    refusal: Refusal, *, target: RequestTarget, head: RequestHead, request_id: str, held: str | None = None
) -> OwnAnswer | PageWanted:
    """The answer to a client. Only here do decisions become HTTP in reverse-proxy mode. `held` is the name
    under which the form in the request is kept."""
    is_page = is_page_load(head, target.method)
    if isinstance(refusal, StepUpRequired):
        location = step_up_url(refusal, target, head, held=held)
        if is_page:
            return _led_to(location, refusal.reason, head)
        return step_up_problem(refusal, request_id, location)
    if isinstance(refusal, AuthenticationRequired):
        lost = request_id if refusal.reason is Reason.NOT_SENT else None
        location = login_url(refusal.portal, target, head, held=held, lost=lost)
        # A request without a host comes from a load balancer, not from a browser. It takes a redirect for a
        # sign of life, and a 401 for a failure.
        if is_page or (head.is_http_1_0 and not head.host and head.method in {"GET", "HEAD"}):
            return _led_to(location, refusal.reason, head)
        return problem(401, refusal.reason, request_id, login_url=location, portal=refusal.portal)
    status = 503 if isinstance(refusal, Unavailable) else _STATUSES.get(refusal.reason, 403)
    if is_page:
        return PageWanted(status, refusal.reason, _particulars(refusal, target, head))
    if isinstance(refusal, Denied) and refusal.bearer_error is not None:
        return bearer_problem(refusal, refusal.bearer_error, request_id)
    return problem(status, refusal.reason, request_id, levels=_levels(refusal))


def bearer_problem(denied: Denied, error: bearer.Error, request_id: str) -> OwnAnswer:
    """The answer to a program, with the challenge of RFC 6750 §3. If scopes are lacking, or may be, it names
    those that the route demands."""
    answer = problem(_STATUSES.get(denied.reason, 403), denied.reason, request_id)
    demand = None if denied.route is None else denied.route.requirement.machines
    scopes = demand.scopes if demand is not None and error == "insufficient_scope" else ()
    if denied.portal is not None:
        challenge = bearer.challenge(denied.portal.portal_id, error, scopes).encode()
        answer.headers += b"WWW-Authenticate: %s\r\n" % challenge
    return answer


def _led_to(location: str, reason: Reason, head: RequestHead) -> OwnAnswer | PageWanted:
    """A person is led to one of our pages."""
    if request_senders.is_in_frame(head.fields):
        return PageWanted(401, reason, b"X-Authproxy-Location: %s\r\n" % location.encode())
    return OwnAnswer(303, NEVER_STORED + b"Location: %s\r\n" % location.encode())


def form_lost(required: AuthenticationRequired, target: RequestTarget, head: RequestHead) -> PageWanted:
    """The page for a person who is not signed in, and whose form nobody has kept."""
    if request_senders.is_in_frame(head.fields):
        location = login_url(required.portal, target, head)
        return PageWanted(401, required.reason, b"X-Authproxy-Location: %s\r\n" % location.encode())
    back = _return_path(required.portal, target, head).encode()
    return PageWanted(401, required.reason, b"X-Authproxy-Return-To: %s\r\n" % back)


def _levels(refusal: Denied | Unavailable) -> tuple[int, int] | None:
    """The level of the session and the level that the route demands, if the refusal is about levels."""
    if (
        refusal.reason is not Reason.LEVEL_TOO_LOW
        or not isinstance(refusal, Denied)
        or refusal.session is None
        or refusal.route is None
    ):
        return None
    return int(refusal.session.level), int(refusal.route.requirement.level)


def _particulars(refusal: Denied | Unavailable, target: RequestTarget, head: RequestHead) -> bytes:
    lines = b""
    if refusal.portal is not None:
        lines += b"X-Authproxy-Return-To: %s\r\n" % _return_path(refusal.portal, target, head).encode()
    if isinstance(refusal, Denied) and refusal.session is not None:
        lines += b"X-Authproxy-Person: %s\r\n" % quote(refusal.session.person.known_as).encode()
    levels = _levels(refusal)
    return lines if levels is None else lines + b"X-Authproxy-Levels: %d %d\r\n" % levels


def sign_out(portal: Portal) -> OwnAnswer:
    """The answer where the portal would sign somebody out: our page, which asks them. So no foreign page can
    sign anybody out by a link or a form, however the portal protects its own."""
    return OwnAnswer(303, NEVER_STORED + b"Location: %s/.authproxy/logout\r\n" % portal.origin.encode())


def options(allowed: frozenset[str]) -> OwnAnswer:
    """RFC 9110 §9.3.7: the answer to OPTIONS, with the methods that may be used here."""
    return OwnAnswer(200, b"Allow: %s\r\n" % ", ".join(sorted(allowed)).encode())


def problem(
    status: int,
    reason: Reason,
    request_id: str,
    *,
    login_url: str | None = None,
    portal: Portal | None = None,
    levels: tuple[int, int] | None = None,
) -> OwnAnswer:
    """An `application/problem+json` answer with reason and request id; for 401 also the URL to sign in."""
    members = problems.members(status, reason, request_id, levels=levels)
    headers = _PROBLEM
    if login_url is not None:
        members["login_url"] = login_url
    if status == 401 and portal is not None:
        headers += b"WWW-Authenticate: %s\r\n" % problems.challenge(portal.portal_id, reason).encode()
    if status in problems.RETRY_AFTER:
        headers += b"Retry-After: %d\r\n" % problems.RETRY_AFTER[status]
    return OwnAnswer(status, headers, _json(members))


def step_up_problem(required: StepUpRequired, request_id: str, location: str) -> OwnAnswer:
    """The answer to a script that lacks a fresh proof: the challenge of RFC 9470 §3, and in the body the
    methods that would do and the URL of the page that asks for one."""
    demand = required.route.requirement.step_up
    age = None if demand is None or demand.max_age is None else int(demand.max_age.total_seconds())
    members = problems.members(401, required.reason, request_id)
    members |= {"step_up_url": location, "methods": [] if demand is None else list(demand.methods)}
    if age is not None:
        members["max_age"] = age
    level = required.route.requirement.level
    if level > Level.LOW:
        members["level_needed"] = int(level)
    challenge = problems.challenge(required.portal.portal_id, required.reason, max_age=age)
    return OwnAnswer(401, _PROBLEM + b"WWW-Authenticate: %s\r\n" % challenge.encode(), _json(members))


def _json(members: dict[str, object]) -> bytes:
    return json.dumps(members, ensure_ascii=True).encode() + b"\n"


def plain(
    status: int, reason: Reason, request_id: str, allowed: frozenset[str] = methods.ORDINARY
) -> OwnAnswer:
    """An answer in plain text, where it is not known who asks: status, reason and request id, and nothing
    that was sent. `allowed` are the methods that would not be answered 405."""
    text = f"{status} {HTTPStatus(status).phrase}: {reason.value}\nRequest: {request_id}\n"
    headers = NEVER_STORED + b"Content-Type: text/plain; charset=utf-8\r\n"
    if status == 405:
        headers += b"Allow: %s\r\n" % ", ".join(sorted(allowed)).encode()
    elif status == 503:
        headers += _RETRY
    return OwnAnswer(status, headers, text.encode())


def head_bytes(answer: OwnAnswer, *, date: bytes, keeps_alive: bool, is_http_1_0: bool) -> bytes:
    """Status line, headers and framing of a complete answer. `date` is a finished line."""
    return b"%s%s%sContent-Length: %d\r\n%s\r\n" % (
        _STATUS_LINES[answer.status],
        date,
        answer.headers,
        len(answer.body),
        connection_line(keeps_alive=keeps_alive, is_http_1_0=is_http_1_0),
    )
