"""PURE: a decision that is not Allowed, or a failure of the edge itself, as status, headers and body.

Implements the table of answers: people get a redirect or a page, scripts get `application/problem+json` (RFC
9457). Who is a person is decided by Fetch Metadata first; a script is never answered with a redirect, and
nothing but a page load begins a sign-in. Scripts learn of a missing fresh proof as RFC 9470 §3 says it.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Final, NamedTuple
from urllib.parse import quote

from authproxy.access import methods, problems, request_senders
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
from authproxy.edge.rules.request_head import RequestHead
from authproxy.identity.assurance import Level

_RETRY: Final = b"Retry-After: %d\r\n" % problems.RETRY_AFTER[503]
NEVER_STORED: Final = (
    b"Cache-Control: no-store\r\nVary: Cookie, Accept, Sec-Fetch-Mode\r\nX-Content-Type-Options: nosniff\r\n"
)
_PROBLEM: Final = NEVER_STORED + b"Content-Type: %s; charset=utf-8\r\n" % problems.MEDIA_TYPE.encode()
_PHRASES: Final = {status.value: status.phrase.encode() for status in HTTPStatus}
_STATUSES: Final = {Reason.HELD_REQUEST_GONE: 410}
"""Of denials that are no 403."""


class OwnAnswer:
    """A complete answer; `headers` are finished lines without framing and Connection."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: bytes = b"", body: bytes = b"") -> None:
        self.status = status
        self.headers = headers
        self.body = body


class PageWanted(NamedTuple):
    """The answer is a page, which the pages are asked for."""

    status: int
    reason: Reason
    particulars: bytes = b""
    """Header lines for the pages: where the person wanted to go, who they are, and which level is missing."""


def is_page_load(head: RequestHead, method: str) -> bool:
    """Whether a person waits for a page. `method` is the original one, which in a subrequest is not the
    head's."""
    return not head.upgrade and request_senders.is_page_load(head.fields, method)


def login_url(portal: Portal, target: RequestTarget, head: RequestHead) -> str:
    """The chooser, with the way back: the page itself; for a request that cannot be repeated, the page that
    sent it."""
    return f"{portal.origin}/.authproxy/login?rt={_way_back(portal, target, head)}{_cut(target)}"


def step_up_url(
    required: StepUpRequired, target: RequestTarget, head: RequestHead, *, held: str | None = None
) -> str:
    """Where a fresh proof is asked for, with the way back, the name of the route that wants it, and what has
    become of a form: the name under which it is kept, or that it is lost."""
    portal = required.portal
    wanted_by = quote(required.route.name, safe="/")
    url = f"{portal.origin}/.authproxy/step-up?rt={_way_back(portal, target, head)}&for={wanted_by}"
    if held is not None:
        return f"{url}&held={held}"
    return (
        f"{url}&lost=yes"
        if target.method not in {"GET", "HEAD"} and is_page_load(head, target.method)
        else url
    )


def _way_back(portal: Portal, target: RequestTarget, head: RequestHead) -> str:
    place = target.origin_form
    if target.method not in {"GET", "HEAD"}:
        place = _own_referer(portal, head)
    if len(place) > 2048:
        place = target.path if len(target.path) <= 2048 and target.method in {"GET", "HEAD"} else "/"
    return quote(place, safe="/")


def _cut(target: RequestTarget) -> str:
    """Tells the chooser that the way back has lost its query, so that it can tell the person."""
    return "&cut=yes" if len(target.origin_form) > 2048 and target.method in {"GET", "HEAD"} else ""


def _own_referer(portal: Portal, head: RequestHead) -> str:
    referers = [value for name, value in head.fields if name.lower() == b"referer"]
    prefix = portal.origin + "/"
    text = referers[0].decode("latin-1") if len(referers) == 1 else ""
    place = text.removeprefix(portal.origin) if text.startswith(prefix) and text.isascii() else "/"
    return "/" if place.startswith("//") else place


def answer(
    refusal: Refusal, *, target: RequestTarget, head: RequestHead, request_id: str, held: str | None = None
) -> OwnAnswer | PageWanted:
    """What the client gets for a refusal. The one place where decisions become HTTP in reverse-proxy mode.
    `held` is the name under which the form that was sent is kept."""
    is_page = is_page_load(head, target.method)
    if isinstance(refusal, StepUpRequired):
        location = step_up_url(refusal, target, head, held=held)
        if is_page:
            return OwnAnswer(303, NEVER_STORED + b"Location: %s\r\n" % location.encode())
        return step_up_problem(refusal, request_id, location)
    if isinstance(refusal, AuthenticationRequired):
        location = login_url(refusal.portal, target, head)
        # Without a host it is no browser and no script of a page, but a load balancer: it takes a redirect
        # for life, 401 for none.
        if is_page or (head.is_http_1_0 and not head.host and head.method in {"GET", "HEAD"}):
            return OwnAnswer(303, NEVER_STORED + b"Location: %s\r\n" % location.encode())
        return problem(401, refusal.reason, request_id, login_url=location, portal=refusal.portal)
    status = 503 if isinstance(refusal, Unavailable) else _STATUSES.get(refusal.reason, 403)
    if is_page:
        return PageWanted(status, refusal.reason, _particulars(refusal, target, head))
    return problem(status, refusal.reason, request_id, levels=_levels(refusal))


def _levels(refusal: Denied | Unavailable) -> tuple[int, int] | None:
    """The level of the session and the one that its route demands, where that is what the refusal is
    about."""
    if (
        refusal.reason is not Reason.LEVEL_TOO_LOW
        or not isinstance(refusal, Denied)
        or refusal.session is None
        or refusal.route is None
    ):
        return None
    return int(refusal.session.level), int(refusal.route.requirement.level)


def _particulars(refusal: Denied | Unavailable, target: RequestTarget, head: RequestHead) -> bytes:
    said = b""
    if refusal.portal is not None:
        said += b"X-Authproxy-Return-To: %s\r\n" % _way_back(refusal.portal, target, head).encode()
    if isinstance(refusal, Denied) and refusal.session is not None:
        said += b"X-Authproxy-Person: %s\r\n" % quote(refusal.session.person.known_as).encode()
    levels = _levels(refusal)
    return said if levels is None else said + b"X-Authproxy-Levels: %d %d\r\n" % levels


def options(allowed: frozenset[str]) -> OwnAnswer:
    """What may be asked here, to whoever asks (RFC 9110 §9.3.7)."""
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
    """An `application/problem+json` answer with the reason and the request id; for 401 also the place to sign
    in."""
    members = problems.members(status, reason, request_id, levels=levels)
    headers = _PROBLEM
    if login_url is not None:
        members["login_url"] = login_url
    if status == 401 and portal is not None:
        headers += b"WWW-Authenticate: %s\r\n" % problems.challenge(portal.portal_id, reason).encode()
    if status == 503:
        headers += _RETRY
    return OwnAnswer(status, headers, _written(members))


def step_up_problem(required: StepUpRequired, request_id: str, location: str) -> OwnAnswer:
    """What a script learns of a missing fresh proof: the challenge of RFC 9470 §3, and in the body which
    methods would do and where a person is asked."""
    wanted = required.route.requirement.step_up
    age = None if wanted is None or wanted.max_age is None else int(wanted.max_age.total_seconds())
    members = problems.members(401, required.reason, request_id)
    members |= {"step_up_url": location, "methods": [] if wanted is None else list(wanted.methods)}
    if age is not None:
        members["max_age"] = age
    level = required.route.requirement.level
    if level > Level.LOW:
        members["level_needed"] = int(level)
    challenge = problems.challenge(required.portal.portal_id, required.reason, max_age=age)
    return OwnAnswer(401, _PROBLEM + b"WWW-Authenticate: %s\r\n" % challenge.encode(), _written(members))


def _written(members: dict[str, object]) -> bytes:
    return json.dumps(members, ensure_ascii=True).encode() + b"\n"


def plain(
    status: int, reason: Reason, request_id: str, allowed: frozenset[str] = methods.ORDINARY
) -> OwnAnswer:
    """An answer for whoever cannot be told apart: one line of text that names the reason and repeats nothing
    that was sent. `allowed` are the methods that would not have been answered 405."""
    text = f"{status} {HTTPStatus(status).phrase}: {reason.value}\nRequest: {request_id}\n"
    headers = NEVER_STORED + b"Content-Type: text/plain; charset=utf-8\r\n"
    if status == 405:
        headers += b"Allow: %s\r\n" % ", ".join(sorted(allowed)).encode()
    elif status == 503:
        headers += _RETRY
    return OwnAnswer(status, headers, text.encode())


def head_bytes(given: OwnAnswer, *, date: bytes, keeps_alive: bool, is_http_1_0: bool) -> bytes:
    """Status line, headers and framing of a complete answer. `date` is a finished line."""
    connection = (
        b""
        if keeps_alive and not is_http_1_0
        else b"Connection: keep-alive\r\n"
        if keeps_alive
        else b"Connection: close\r\n"
    )
    return b"HTTP/1.1 %d %s\r\n%s%sContent-Length: %d\r\n%s\r\n" % (
        given.status,
        _PHRASES[given.status],
        date,
        given.headers,
        len(given.body),
        connection,
    )
