"""A refused sign-in or fresh proof is shown at an address of its own: the browser leaves the address of the
callback at once.

So no code and no state stay in the address bar or the history. If the person loads the page again, they see
the same refusal, and not that the attempt has been used. The refusal is sealed in the address: nobody can
read it there, and nothing is stored for it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from authproxy.access.decision import Reason
from authproxy.web import cookies
from authproxy.web.forms import cookie_fields
from authproxy.web.pages import PREFIX, see
from authproxy.web.refusals import ANSWERED_REFUSAL, AnsweredRefusal, Particulars, Refusals
from authproxy.web.request_keys import CONTEXT

PATH: Final = "login/refused"
_CALLBACKS: Final = f"{PREFIX}callback/"
_LIVES_FOR: Final = timedelta(minutes=30)
"""As long as an attempt, because people complete their data at the provider meanwhile. After that the address
leads to the chooser."""
_LONGEST_NAME: Final = 120
_NO_COOKIE: Final = ""


class RefusalSeals(Protocol):
    def refusal_sealed(self, fields: bytes, return_to: str) -> str: ...
    def refusal_in(self, text: str) -> tuple[bytes, str] | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _SealedRefusal:
    """What the page says, for which request, and in which browser: the one with this flow cookie, or any if
    the refused browser sent none."""

    shown: AnsweredRefusal
    request_id: str
    portal_id: str
    browser: str
    at: datetime


class RefusedSignIns:
    def __init__(self, *, refusals: Refusals, seals: RefusalSeals, clock: Callable[[], datetime]) -> None:
        self._refusals = refusals
        self._seals = seals
        self._clock = clock

    @property
    def leaving(self) -> Middleware:
        """Sends a browser that is refused at a callback on to the page that says why. Scripts get the refusal
        as the answer to the callback."""

        @web.middleware
        async def leaving(request: web.Request, handler: Handler) -> web.StreamResponse:
            answer = await handler(request)
            refusal = request.get(ANSWERED_REFUSAL)
            context = request[CONTEXT]
            is_return = request.method == hdrs.METH_GET and request.path.startswith(_CALLBACKS)
            if refusal is None or not is_return or not context.is_page_load or not context.portal.origin:
                return answer
            refused = _SealedRefusal(
                shown=refusal,
                request_id=context.request_id,
                portal_id=context.portal.portal_id,
                browser=_browser_of(request),
                at=self._clock(),
            )
            sealed = self._seals.refusal_sealed(_octets(refused), refusal.return_to)
            return see(request, PATH, {"why": sealed})

        return leaving

    async def show(self, request: web.Request) -> web.StreamResponse:
        """GET login/refused: the refusal, for the browser that it concerns. Every other browser, and every
        later request, is sent to the chooser."""
        context = request[CONTEXT]
        read = self._seals.refusal_in(request.query.get("why", ""))
        refused = None if read is None else _read(*read)
        if (
            refused is None
            or refused.portal_id != context.portal.portal_id
            or not _is_for(refused, _browser_of(request))
        ):
            return see(request, "login")
        return_to = context.portal.return_to(refused.shown.return_to)
        if abs(self._clock() - refused.at) > _LIVES_FOR:
            return see(request, "login", {"rt": return_to})
        # The code for the help desk is the id of the refused request, because that is in the log.
        request[CONTEXT] = replace(context, request_id=refused.request_id)
        shown = refused.shown
        return self._refusals.answer(
            request, shown.reason, status=shown.status, return_to=return_to, about=shown.about
        )


def _browser_of(request: web.Request) -> str:
    flow = cookies.flow_in(cookie_fields(request)).value
    return (
        _NO_COOKIE if flow is None else hashlib.sha256(f"authproxy refused\0{flow}".encode()).hexdigest()[:32]
    )


def _is_for(refused: _SealedRefusal, browser: str) -> bool:
    return refused.browser == _NO_COOKIE or hmac.compare_digest(refused.browser, browser)


def _octets(refused: _SealedRefusal) -> bytes:
    about = asdict(replace(refused.shown.about, ways=()))  # at a callback no other methods are offered
    if refused.browser == _NO_COOKIE:
        about["who"] = None  # any browser may open such an address
    if about["who"] is not None:
        about["who"] = about["who"][:_LONGEST_NAME]
    if about["step_up"] is not None:
        # `rt` is the return-to, which is sealed beside these fields.
        about["step_up"] = {name: value for name, value in about["step_up"].items() if name != "rt"}
    fields = {
        "reason": refused.shown.reason.value,
        "status": refused.shown.status,
        "request_id": refused.request_id,
        "portal": refused.portal_id,
        "browser": refused.browser,
        "at": int(refused.at.timestamp()),
        "about": {name: value for name, value in about.items() if value},
    }
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()


def _read(octets: bytes, return_to: str) -> _SealedRefusal | None:
    """The refusal; None if another version of the gateway wrote it in another shape."""
    try:
        fields = json.loads(octets)
        about = fields["about"]
        for name in ("missing", "lacking", "withheld"):
            about[name] = tuple(about.get(name, ()))
        if "step_up" in about:
            about["step_up"] = {"rt": return_to, **about["step_up"]}
        shown = AnsweredRefusal(
            reason=Reason(fields["reason"]),
            status=int(fields["status"]),
            return_to=return_to,
            about=Particulars(**about),
        )
        return _SealedRefusal(
            shown=shown,
            request_id=fields["request_id"],
            portal_id=fields["portal"],
            browser=fields["browser"],
            at=datetime.fromtimestamp(fields["at"], UTC),
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
