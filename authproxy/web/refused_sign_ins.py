"""A sign-in or a fresh proof that comes to nothing is told at an address of its own: the browser leaves that
of the callback at once.

So no code and no state stay in the address bar or the history, and whoever loads the page again reads the
same once more, and not that the attempt has been used. The address holds what is told, sealed: nobody can
read it there, and nothing is kept for it.
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
from authproxy.web.refusals import TOLD, Particulars, Refusals, Told
from authproxy.web.request_keys import CONTEXT

PLACE: Final = "login/refused"
_CALLBACKS: Final = f"{PREFIX}callback/"
_LIVES_FOR: Final = timedelta(minutes=30)
"""As long as an attempt: meanwhile people complete their data at the provider. Afterwards the address leads
to the chooser."""
_LONGEST_NAME: Final = 120
_UNKNOWN: Final = ""


class RefusalSeals(Protocol):
    def refusal_sealed(self, fields: bytes, return_to: str) -> str: ...
    def refusal_in(self, text: str) -> tuple[bytes, str] | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Refused:
    """What is told, of which request, and to which browser: the one with this flow cookie, or any if that
    browser sent none."""

    told: Told
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
        """Sends a person who is refused at a callback on to the address where they are told why. Scripts are
        told where they have asked."""

        @web.middleware
        async def leaving(request: web.Request, handler: Handler) -> web.StreamResponse:
            answer = await handler(request)
            told = request.get(TOLD)
            context = request[CONTEXT]
            is_return = request.method == hdrs.METH_GET and request.path.startswith(_CALLBACKS)
            if told is None or not is_return or not context.is_page_load or not context.portal.origin:
                return answer
            refused = _Refused(
                told=told,
                request_id=context.request_id,
                portal_id=context.portal.portal_id,
                browser=_browser_of(request),
                at=self._clock(),
            )
            return see(request, PLACE, {"why": self._seals.refusal_sealed(_octets(refused), told.return_to)})

        return leaving

    async def show(self, request: web.Request) -> web.StreamResponse:
        """GET login/refused: the refusal, to the browser that it concerns. Everybody else, and everybody
        later, gets the chooser."""
        context = request[CONTEXT]
        read = self._seals.refusal_in(request.query.get("why", ""))
        refused = None if read is None else _read(*read)
        if (
            refused is None
            or refused.portal_id != context.portal.portal_id
            or not _is_for(refused, _browser_of(request))
        ):
            return see(request, "login")
        place = context.portal.return_to(refused.told.return_to)
        if abs(self._clock() - refused.at) > _LIVES_FOR:
            return see(request, "login", {"rt": place})
        # The code for the help desk is that of the request which was refused: the log knows it by that.
        request[CONTEXT] = replace(context, request_id=refused.request_id)
        told = refused.told
        return self._refusals.answer(
            request, told.reason, status=told.status, return_to=place, about=told.about
        )


def _browser_of(request: web.Request) -> str:
    flow = cookies.flow_in(cookie_fields(request)).value
    return (
        _UNKNOWN if flow is None else hashlib.sha256(f"authproxy refused\0{flow}".encode()).hexdigest()[:32]
    )


def _is_for(refused: _Refused, browser: str) -> bool:
    return refused.browser == _UNKNOWN or hmac.compare_digest(refused.browser, browser)


def _octets(refused: _Refused) -> bytes:
    about = asdict(replace(refused.told.about, ways=()))  # none are offered where a browser comes back
    if refused.browser == _UNKNOWN:
        about["who"] = None  # such an address says the same to everybody
    if about["who"] is not None:
        about["who"] = about["who"][:_LONGEST_NAME]
    if about["step_up"] is not None:
        about["step_up"] = {
            name: value for name, value in about["step_up"].items() if name != "rt"
        }  # it is the place
    fields = {
        "reason": refused.told.reason.value,
        "status": refused.told.status,
        "request_id": refused.request_id,
        "portal": refused.portal_id,
        "browser": refused.browser,
        "at": int(refused.at.timestamp()),
        "about": {name: value for name, value in about.items() if value},
    }
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()


def _read(octets: bytes, place: str) -> _Refused | None:
    """None for what another version of the gateway has written in another shape."""
    try:
        fields = json.loads(octets)
        about = fields["about"]
        for name in ("missing", "lacking", "withheld"):
            about[name] = tuple(about.get(name, ()))
        if "step_up" in about:
            about["step_up"] = {"rt": place, **about["step_up"]}
        told = Told(
            reason=Reason(fields["reason"]),
            status=int(fields["status"]),
            return_to=place,
            about=Particulars(**about),
        )
        return _Refused(
            told=told,
            request_id=fields["request_id"],
            portal_id=fields["portal"],
            browser=fields["browser"],
            at=datetime.fromtimestamp(fields["at"], UTC),
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
