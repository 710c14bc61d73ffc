"""PURE: a decision that is not Allowed, or a failure of the edge itself, as status, headers and body.

Implements the table of answers: people get a redirect or a page, scripts get `application/problem+json` (RFC 9457). Who is a person
is decided by Fetch Metadata first; a script is never answered with a redirect, and nothing but a page load begins a sign-in.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import quote

from authproxy.access.decision import AuthenticationRequired, Reason, Refusal, Unavailable
from authproxy.access.routes import Portal
from authproxy.access.target import METHODS, RequestTarget
from authproxy.edge.request_head import RequestHead

RETRY_AFTER = 5
"""Seconds after which it makes sense to ask again."""

NEVER_STORED = b"Cache-Control: no-store\r\nVary: Cookie, Accept, Sec-Fetch-Mode\r\nX-Content-Type-Options: nosniff\r\n"
_ALLOW = b"Allow: %s\r\n" % ", ".join(sorted(METHODS)).encode()
_PHRASES = {status.value: status.phrase.encode() for status in HTTPStatus}
_TITLES = {
    401: "Sign-in required",
    403: "Not allowed",
    502: "The portal does not answer",
    503: "Temporarily unavailable",
    504: "The portal does not answer in time",
}


class Answer(NamedTuple):
    """A complete answer; `headers` are finished lines without framing and Connection."""

    status: int
    headers: bytes = b""
    body: bytes = b""


class PageWanted(NamedTuple):
    """The answer is a page, which the pages are asked for."""

    status: int
    reason: Reason


def is_page_load(head: RequestHead, method: str) -> bool:
    """Whether a person waits for a page: a navigation by Fetch Metadata, or, from a browser without it, a GET that accepts HTML.
    `method` is the original one, which in a subrequest is not the head's."""
    mode = purpose = accept = b""
    scripted = False
    for name, value in head.fields:
        match name.lower():
            case b"sec-fetch-mode":
                mode = value.lower()
            case b"sec-purpose" | b"purpose":
                purpose = value.lower()
            case b"accept":
                accept = value.lower()
            case b"x-requested-with":
                scripted = True
    if head.upgrade or scripted or b"prefetch" in purpose or b"prerender" in purpose:
        return False
    if mode:
        return mode == b"navigate"
    return method in {"GET", "HEAD"} and b"text/html" in accept


def login_url(portal: Portal, target: RequestTarget, head: RequestHead) -> str:
    """The chooser, with the way back: the page itself; for a request that cannot be repeated, the page that sent it."""
    place = target.origin_form
    if target.method not in {"GET", "HEAD"}:
        place = _own_referer(portal, head)
    if len(place) > 2048:
        place = target.path if len(target.path) <= 2048 and target.method in {"GET", "HEAD"} else "/"
    return f"{portal.origin}/.authproxy/login?rt={quote(place, safe='/')}"


def _own_referer(portal: Portal, head: RequestHead) -> str:
    referers = [value for name, value in head.fields if name.lower() == b"referer"]
    prefix = portal.origin + "/"
    text = referers[0].decode("latin-1") if len(referers) == 1 else ""
    place = text.removeprefix(portal.origin) if text.startswith(prefix) and text.isascii() else "/"
    return "/" if place.startswith("//") else place


def answer(refusal: Refusal, *, target: RequestTarget, head: RequestHead, request_id: str) -> Answer | PageWanted:
    """What the client gets for a refusal. The one place where decisions become HTTP in reverse-proxy mode."""
    is_page = is_page_load(head, target.method)
    if isinstance(refusal, AuthenticationRequired):
        location = login_url(refusal.portal, target, head)
        if is_page:
            return Answer(303, NEVER_STORED + b"Location: %s\r\n" % location.encode())
        return problem(401, refusal.reason, request_id, login_url=location, portal=refusal.portal)
    status = 503 if isinstance(refusal, Unavailable) else 403
    return PageWanted(status, refusal.reason) if is_page else problem(status, refusal.reason, request_id)


def problem(status: int, reason: Reason, request_id: str, *, login_url: str | None = None, portal: Portal | None = None) -> Answer:
    """An `application/problem+json` answer with the reason and the request id; for 401 also the place to sign in."""
    members: dict[str, object] = {
        "type": "about:blank",
        "title": _TITLES.get(status, HTTPStatus(status).phrase),
        "status": status,
        "reason": reason.value,
        "request_id": request_id,
    }
    headers = NEVER_STORED + b"Content-Type: application/problem+json; charset=utf-8\r\n"
    if login_url is not None:
        members["login_url"] = login_url
    if status == 401 and portal is not None:
        headers += b'WWW-Authenticate: Bearer realm="%s"\r\n' % portal.portal_id.encode()
    if status == 503:
        headers += b"Retry-After: %d\r\n" % RETRY_AFTER
    return Answer(status, headers, json.dumps(members, ensure_ascii=True).encode() + b"\n")


def plain(status: int, reason: Reason, request_id: str) -> Answer:
    """An answer for whoever cannot be told apart: one line of text that names the reason and repeats nothing that was sent."""
    text = f"{status} {HTTPStatus(status).phrase}: {reason.value}\nRequest: {request_id}\n"
    headers = NEVER_STORED + b"Content-Type: text/plain; charset=utf-8\r\n"
    if status == 405:
        headers += _ALLOW
    return Answer(status, headers, text.encode())


def head_bytes(given: Answer, *, keeps_alive: bool, is_http_1_0: bool) -> bytes:
    """Status line, headers and framing of a complete answer."""
    connection = b"" if keeps_alive and not is_http_1_0 else b"Connection: keep-alive\r\n" if keeps_alive else b"Connection: close\r\n"
    return b"HTTP/1.1 %d %s\r\n%sContent-Length: %d\r\n%s\r\n" % (
        given.status, _PHRASES[given.status], given.headers, len(given.body), connection,
    )  # fmt: skip
