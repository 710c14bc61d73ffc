"""The confirmation window while a phone is asked: it shows the number to choose, and the result.

The page's script asks for the result and then sends the form. Without the script the person presses the
button.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from authproxy.sandbox.accounts import ProviderAccount
from authproxy.sandbox.identity_provider.front_end import browser
from authproxy.sandbox.identity_provider.front_end.attempts import attempt_of, handed_over
from authproxy.sandbox.identity_provider.onepass.pushes import PushState
from authproxy.sandbox.identity_provider.provider import FRONT_END, PROVIDER, LoginAttempt, Provider

STATE_PAGE = f"{FRONT_END}/chooselogin/push.htm"


def window(
    request: web.Request, csrf: str, attempt: LoginAttempt, account: ProviderAccount, *, pressed: str
) -> web.Response:
    """Asks the phone if no notification waits and `pressed` demands it. Completes the sign-in once the phone
    has approved."""
    provider = request.app[PROVIDER]
    state = _state(provider, attempt)
    minutes = 0
    if pressed in {"pushlogin", "resend"} and state not in {PushState.PENDING, PushState.APPROVED}:
        push = provider.pushes.ask(account.email, for_=_who_asks(provider, attempt), place=_place(request))
        if push is None:
            minutes = provider.pushes.minutes_to_wait(account.email)
        else:
            attempt.push_id, state = push.id, PushState.PENDING
    if attempt.push_id is not None and provider.pushes.redeem(attempt.push_id, account.email):
        return handed_over(request, csrf, attempt, account)
    shown = provider.pushes.find(attempt.push_id) if attempt.push_id is not None else None
    values: dict[str, Any] = {
        "csrf": csrf,
        "number": shown.number if shown is not None and state is PushState.PENDING else None,
        "minutes": minutes,
        "state": state.value,
        "is_early": pressed == "confirmed" and state is PushState.PENDING,
    }
    return provider.pages.render(
        request,
        "push.html",
        action=f"{FRONT_END}/chooselogin/options.htm",
        state_page=STATE_PAGE,
        **values,
    )


async def state(request: web.Request) -> web.Response:
    """For the script of the waiting page: says whether the wait is over, and changes nothing."""
    _, attempt, _ = await attempt_of(request)
    if attempt is None:
        return web.json_response({"error": "form_old"}, status=403)
    return web.json_response({"state": _state(request.app[PROVIDER], attempt).value})


def _state(provider: Provider, attempt: LoginAttempt) -> PushState:
    return provider.pushes.state(attempt.push_id) if attempt.push_id is not None else PushState.EXPIRED


def _who_asks(provider: Provider, attempt: LoginAttempt) -> str:
    pending = provider.pending.get(attempt.login)
    asked = pending.request if pending is not None else None
    return provider.clients[asked.client_id].name if asked is not None else "Rekono"


def _place(request: web.Request) -> str:
    return browser.description(request.headers.get("User-Agent", ""), request.remote or "")
