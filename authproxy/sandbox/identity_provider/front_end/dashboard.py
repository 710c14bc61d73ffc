"""The dashboard (nadzorna plošča): the account's data, and the relying parties with access to it.

It is below the OpenID server's path because the browser's session is there. Every form contains the session's
`_csrf`.
"""

from __future__ import annotations

import hmac

from aiohttp import web

from authproxy.sandbox.accounts import ProviderAccount
from authproxy.sandbox.identity_provider.provider import PROVIDER, ProviderSession, redirect, see_other

MAY_CHANGE_UP_TO = 10
"""Data of higher levels were compared with an identity document, so the person cannot change them."""


def route(router: web.UrlDispatcher, base: str) -> None:
    router.add_get(f"{base}/account", overview)
    router.add_post(f"{base}/account/withdraw", withdraw)


async def overview(request: web.Request) -> web.Response:
    session, account = signed_in(request)
    if session is None or account is None:
        return to_sign_in(request)
    provider = request.app[PROVIDER]
    # A client that was removed from the configuration has no name.
    allowed = {
        provider.clients[client_id]: sorted(scopes)
        for client_id, scopes in provider.consents.of(account.email).items()
        if client_id in provider.clients
    }
    return provider.pages.render(
        request,
        "dashboard.html",
        account=account,
        csrf=session.csrf,
        allowed=allowed,
        base=provider.base,
        may_change=account.level <= MAY_CHANGE_UP_TO,
        said=request.query.get("said", ""),
    )


async def withdraw(request: web.Request) -> web.Response:
    """Withdraws a consent, and ends the access that it gave."""
    form = {name: str(value) for name, value in (await request.post()).items()}
    session, account = signed_in(request)
    if session is None or account is None:
        return to_sign_in(request)
    if not is_ours(session, form):
        return lost(request)
    provider, client_id = request.app[PROVIDER], form.get("client_id", "")
    provider.consents.withdraw(account.email, client_id)
    provider.end_access(account.email, client_id)
    provider.changed()
    return see_other(f"{provider.base}/account?said=withdrawn")


def signed_in(request: web.Request) -> tuple[ProviderSession | None, ProviderAccount | None]:
    provider = request.app[PROVIDER]
    session = provider.session_of(request)
    account = (
        provider.accounts.find(session.email) if session is not None and session.email is not None else None
    )
    return session, account


def is_ours(session: ProviderSession, form: dict[str, str]) -> bool:
    return hmac.compare_digest(form.get("_csrf", "").encode(), session.csrf.encode())


def to_sign_in(request: web.Request) -> web.Response:
    """There is no session, or none any more. The sign-in leads to the dashboard."""
    location = f"{request.app[PROVIDER].base}/login"
    return redirect(location) if request.method == "GET" else see_other(location)


def lost(request: web.Request) -> web.Response:
    return request.app[PROVIDER].pages.render(request, "error.html", status=403, problem="dashboard_old")
