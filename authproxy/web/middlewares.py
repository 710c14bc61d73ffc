"""What holds for every answer: security headers (ASVS 5.0 V3.4, V14.3), and an answer for every failure
(V16.5)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from authproxy.access import own_paths
from authproxy.access.decision import Reason
from authproxy.access.unavailable import CannotAsk
from authproxy.telemetry.logging import bound, logger
from authproxy.web import request_context
from authproxy.web.pages import NOTHING_LOADED, PREFIX
from authproxy.web.refusals import RETURN_TO, Particulars, Refusals, Refused
from authproxy.web.request_context import PortalPresentation
from authproxy.web.request_keys import CONTEXT

REFUSAL_PATH = "/refusal"
"""Where the edge asks for the page of a refusal. It is outside our prefix, so no client's request reaches
it."""

_ALWAYS = {
    "Content-Security-Policy": NOTHING_LOADED,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    # A portal may send `Cross-Origin-Opener-Policy: same-origin` too, and shares our origin: its pages could
    # then read a window with ours. Another embedder policy puts the two into different groups of windows.
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": (
        "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), magnetometer=(), "
        "microphone=(), midi=(), payment=(), publickey-credentials-create=(), usb=()"
    ),
    "Cache-Control": "no-store",
}
_REASONS = {404: Reason.NOT_FOUND, 405: Reason.METHOD_UNSUPPORTED, 413: Reason.BODY_TOO_LARGE}


def securing(hsts: str | None) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    """A signal before the head of an answer is written, also of answers that aiohttp makes itself. `hsts` is
    the value of `Strict-Transport-Security` at portals on HTTPS (RFC 6797 §6.1); None sends no such
    header."""

    async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
        for name, value in _ALWAYS.items():
            response.headers.setdefault(name, value)
        context = request.get(CONTEXT)
        if hsts is not None and context is not None and context.portal.origin.startswith("https:"):
            response.headers.setdefault("Strict-Transport-Security", hsts)
        response.headers.pop(hdrs.SERVER, None)

    return add_headers


def in_context(portals: Mapping[str, PortalPresentation], no_portal: PortalPresentation) -> Middleware:
    """Gives every request its context, and binds request id, client and portal to all its log lines and audit
    events."""

    @web.middleware
    async def in_context(request: web.Request, handler: Handler) -> web.StreamResponse:
        context = request_context.of(
            request.headers,
            request.raw_headers,
            method=request.method,
            chosen_language=request.query.get("lang"),
            portals=portals,
            no_portal=no_portal,
        )
        request[CONTEXT] = context
        # Bound for this request only: all requests of a connection share one task and its context variables.
        with bound(
            request_id=context.request_id, client=context.client, portal=context.portal.portal_id or None
        ):
            return await handler(request)

    return in_context


def answering_failures(refusals: Refusals, no_portal: PortalPresentation | None = None) -> Middleware:
    """Turns every exception into an answer; no error text reaches the client. At a host without a portal
    (`no_portal`) almost every request is refused."""

    @web.middleware
    async def answering_failures(request: web.Request, handler: Handler) -> web.StreamResponse:
        retry = "" if _may_be_repeated(request) else None
        try:
            if request[CONTEXT].portal is no_portal and not _is_for_any_host(request.path):
                return refusals.answer(request, Reason.UNKNOWN_HOST)
            return await handler(request)
        except Refused as refused:
            about = Particulars(wait=refused.wait)
            return refusals.answer(
                request, refused.reason, status=refused.status, return_to=refused.return_to, about=about
            )
        except CannotAsk as failure:
            # The portal is given here again: a handler that found it out later has bound it for itself only.
            portal = request[CONTEXT].portal.portal_id or None
            logger("web").error(
                "request.unanswerable", reason=failure.reason.value, error=str(failure), portal=portal
            )
            return refusals.answer(
                request, failure.reason, status=503, return_to=request.get(RETURN_TO, "/"), retry=retry
            )
        except web.HTTPException as failure:
            return _translated(refusals, request, failure)
        except Exception:  # noqa: BLE001  (the last resort: the client gets an answer, the operator the trace)
            logger("web").exception(
                "request.failed", path=request.path, portal=request[CONTEXT].portal.portal_id or None
            )
            return refusals.answer(
                request, Reason.UNEXPECTED, return_to=request.get(RETURN_TO, "/"), retry=retry
            )

    return answering_failures


def _is_for_any_host(path: str) -> bool:
    """The keys, the page that says that there is no portal here, and the files of that page."""
    return path == REFUSAL_PATH or own_paths.needs_no_portal(path)


def _may_be_repeated(request: web.Request) -> bool:
    """Whether a link may ask again. A callback's code is good once only, and a link sends no form."""
    return request.method in {"GET", "HEAD"} and not request.path.startswith(f"{PREFIX}callback/")


def _translated(refusals: Refusals, request: web.Request, failure: web.HTTPException) -> web.Response:
    reason = _REASONS.get(failure.status, Reason.REQUEST_UNREADABLE)
    answer = refusals.answer(request, reason, status=failure.status)
    if hdrs.ALLOW in failure.headers:
        answer.headers[hdrs.ALLOW] = failure.headers[hdrs.ALLOW]
    return answer
