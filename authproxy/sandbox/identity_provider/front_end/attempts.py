"""Sign-in attempts: to which attempt a form belongs, and how an attempt ends in a sign-in.

Every form contains `_csrf`, one value per attempt. Only our page reveals it, so forms of other sites are
refused.
"""

from __future__ import annotations

import hmac

from aiohttp import web

from authproxy.sandbox.accounts import ProviderAccount
from authproxy.sandbox.identity_provider.provider import COOKIE, PROVIDER, LoginAttempt, Voucher, redirect


async def attempt_of(request: web.Request) -> tuple[str, LoginAttempt | None, dict[str, str]]:
    """The form's `_csrf`, its attempt if this browser began it, and the form."""
    form = {name: str(value) for name, value in (await request.post()).items()}
    csrf = form.get("_csrf", "")
    return csrf, begun_here(request, csrf), form


def begun_here(request: web.Request, csrf: str) -> LoginAttempt | None:
    """The attempt with this value, if this browser began it."""
    attempt = request.app[PROVIDER].attempts.get(csrf)
    browser = request.cookies.get(COOKIE, "").encode("utf-8", "surrogatepass")
    return attempt if attempt is not None and hmac.compare_digest(attempt.browser.encode(), browser) else None


def lost(request: web.Request) -> web.Response:
    return request.app[PROVIDER].pages.render(request, "error.html", status=403, problem="form_old")


def handed_over(
    request: web.Request, csrf: str, attempt: LoginAttempt, account: ProviderAccount
) -> web.Response:
    """Ends the attempt: the browser takes a voucher for the account to the OpenID server."""
    provider = request.app[PROVIDER]
    provider.attempts.take(csrf)
    provider.wrong_codes.forget(account.email)
    provider.messages.forget(account.email)
    if attempt.push_id is not None:
        provider.pushes.cancel(attempt.push_id)
    token = provider.new_uuid()
    provider.vouchers.put(token, Voucher(email=account.email, at=provider.clock(), login=attempt.login))
    return redirect(f"{provider.base}/callback?token={token}")
