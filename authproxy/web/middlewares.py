"""What holds for every answer: its security headers (ASVS 5.0 V3.4, V14.3), and that a failure is an answer
too (V16.5)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import structlog
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from authproxy.access import own_paths
from authproxy.access.decision import Reason
from authproxy.access.unavailable import CannotAsk
from authproxy.telemetry.logging import logger
from authproxy.web import request_context
from authproxy.web.pages import NOTHING_LOADED, PREFIX
from authproxy.web.refusals import RETURN_TO, Particulars, Refusals, Refused
from authproxy.web.request_context import PortalPresentation
from authproxy.web.request_keys import CONTEXT

REFUSAL_PATH = "/refusal"
"""Where the edge asks for the page of a refusal. Outside our prefix: no client's request is ever passed on to
it."""

_ALWAYS = {
    "Content-Security-Policy": NOTHING_LOADED,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    # With this the policy above is another one than that of a portal that has it, too: else its pages could
    # read a window of ours.
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
    """Signal before an answer's head is written: also for answers that no handler of ours has made. `hsts` is
    what pages of portals on HTTPS say by `Strict-Transport-Security` (RFC 6797 §6.1), None for no such
    header."""

    async def secured(request: web.Request, response: web.StreamResponse) -> None:
        for name, value in _ALWAYS.items():
            response.headers.setdefault(name, value)
        context = request.get(CONTEXT)
        if hsts is not None and context is not None and context.portal.origin.startswith("https:"):
            response.headers.setdefault("Strict-Transport-Security", hsts)
        response.headers.pop(hdrs.SERVER, None)

    return secured


def in_context(portals: Mapping[str, PortalPresentation], nowhere: PortalPresentation) -> Middleware:
    """Gives every request its context, and every log line and audit event below it the request id, client and
    portal."""

    @web.middleware
    async def in_context(request: web.Request, handler: Handler) -> web.StreamResponse:
        context = request_context.of(
            request.headers,
            request.raw_headers,
            method=request.method,
            chosen_language=request.query.get("lang"),
            portals=portals,
            nowhere=nowhere,
        )
        request[CONTEXT] = context
        # Reset afterwards: the requests of one connection share one task, and with it the variables.
        with structlog.contextvars.bound_contextvars(
            request_id=context.request_id, client=context.client, portal=context.portal.portal_id or None
        ):
            return await handler(request)

    return in_context


def answering_failures(refusals: Refusals, nowhere: PortalPresentation | None = None) -> Middleware:
    """Turns whatever is raised below into an answer: nothing of an error's text reaches the client. Where the
    portal is `nowhere`, almost all is refused."""

    @web.middleware
    async def answering_failures(request: web.Request, handler: Handler) -> web.StreamResponse:
        retry = "" if _may_be_repeated(request) else None
        try:
            if request[CONTEXT].portal is nowhere and not _is_for_any_host(request.path):
                return refusals.answer(request, Reason.UNKNOWN_HOST)
            return await handler(request)
        except Refused as refused:
            about = Particulars(wait=refused.wait)
            return refusals.answer(
                request, refused.reason, status=refused.status, return_to=refused.return_to, about=about
            )
        except CannotAsk as failure:
            # Said again: whoever has found out for which portal this is has bound it further down only.
            portal = request[CONTEXT].portal.portal_id or None
            logger("web").error(
                "request.unanswerable", reason=failure.reason.value, error=str(failure), portal=portal
            )
            return refusals.answer(
                request, failure.reason, status=503, return_to=request.get(RETURN_TO, "/"), retry=retry
            )
        except web.HTTPException as failure:
            return _translated(refusals, request, failure)
        except Exception:  # noqa: BLE001  (the last resort: whatever it is, the client gets an answer and the operator the trace)
            logger("web").exception(
                "request.failed", path=request.path, portal=request[CONTEXT].portal.portal_id or None
            )
            return refusals.answer(
                request, Reason.UNEXPECTED, return_to=request.get(RETURN_TO, "/"), retry=retry
            )

    return answering_failures


def _is_for_any_host(path: str) -> bool:
    """Keys, and the page that says that there is no portal here, with what it needs to look like one of
    ours."""
    return path == REFUSAL_PATH or own_paths.needs_no_portal(path)


def _may_be_repeated(request: web.Request) -> bool:
    """A callback's address holds a code that is worth nothing the second time; a form is not sent again by a
    link."""
    return request.method in {"GET", "HEAD"} and not request.path.startswith(f"{PREFIX}callback/")


def _translated(refusals: Refusals, request: web.Request, failure: web.HTTPException) -> web.Response:
    reason = _REASONS.get(failure.status, Reason.REQUEST_UNREADABLE)
    answer = refusals.answer(request, reason, status=failure.status)
    if hdrs.ALLOW in failure.headers:
        answer.headers[hdrs.ALLOW] = failure.headers[hdrs.ALLOW]
    return answer
