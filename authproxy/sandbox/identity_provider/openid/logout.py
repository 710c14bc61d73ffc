"""The end-session endpoint (OpenID Connect RP-Initiated Logout 1.0) as in MITREid Connect.

GET asks the person. Afterwards it leads back to the relying party, whatever the answer was, but only if an ID
token of ours names the client. POST is the answer to the question; a form of another site is refused (405).
Quirks make it behave like other providers.
"""

from __future__ import annotations

import hmac

from aiohttp import web

from authproxy.sandbox.identity_provider.openid.authorization import answer
from authproxy.sandbox.identity_provider.provider import (
    PROVIDER,
    LogoutRequest,
    Provider,
    ProviderSession,
    redirect,
)


async def ask(request: web.Request) -> web.Response:
    """GET: asks the person, or redirects at once if nobody is signed in."""
    provider = request.app[PROVIDER]
    put_by = provider.logouts.take(request.query.get("request", ""))
    if put_by is None and any(quirk.takes_sign_out_by == "form" for quirk in provider.quirks.everybodys()):
        raise web.HTTPMethodNotAllowed("GET", ["POST"])
    target = put_by.target if put_by is not None else _target(provider, dict(request.query))
    session = provider.session_of(request)
    if session is None or session.email is None:
        return _onward(provider, request, target)
    if not all(quirk.asks_before_sign_out for quirk in provider.quirks.everybodys()):
        return _ended(provider, request, session, target)
    handle = provider.new_uuid()
    provider.logouts.put(handle, LogoutRequest(target=target, session=session))
    return provider.pages.render(
        request,
        "logout.html",
        email=session.email,
        csrf=session.csrf,
        handle=handle,
        action=f"{provider.base}/endsession",
    )


async def decide(request: web.Request) -> web.Response:
    """POST: the person's answer; with a quirk also a relying party's form. That form comes without our cookie
    (SameSite=Lax), so its content is saved and fetched again by GET. The GET brings the cookie, and the ID
    token stays out of the address bar."""
    provider = request.app[PROVIDER]
    form = {name: str(value) for name, value in (await request.post()).items()}
    if "_csrf" not in form:
        if all(quirk.takes_sign_out_by == "link" for quirk in provider.quirks.everybodys()):
            raise web.HTTPMethodNotAllowed("POST", ["GET"])
        handle = provider.new_uuid()
        provider.logouts.put(handle, LogoutRequest(target=_target(provider, form), session=None))
        return web.Response(status=303, headers={"Location": f"{provider.base}/endsession?request={handle}"})
    session = provider.session_of(request)
    asked = provider.logouts.take(form.get("request", ""))
    ours = session is not None and hmac.compare_digest(form["_csrf"].encode(), session.csrf.encode())
    if not ours or session is None or asked is None or asked.session is not session:
        return provider.pages.render(request, "error.html", status=403, problem="form_old")
    if "approve" in form:
        return _ended(provider, request, session, asked.target)
    # MITREid leads back to the relying party even if the person stays signed in.
    return redirect(f"{provider.base}/account" if asked.target is None else asked.target)


def _ended(
    provider: Provider, request: web.Request, session: ProviderSession, target: str | None
) -> web.Response:
    session.sign_out()
    response = _onward(provider, request, target)
    provider.keep(request, response, session)
    return response


def _target(provider: Provider, parameters: dict[str, str]) -> str | None:
    """Where to send the browser afterwards: a URI registered by the client that an ID token of ours names, or
    None."""
    claims = provider.keys.own(parameters.get("id_token_hint", ""), issuer=provider.issuer)
    client = provider.clients.get(str(claims.get("aud"))) if claims is not None else None
    if client is None and any(quirk.leads_back_without_hint for quirk in provider.quirks.everybodys()):
        client = provider.clients.get(parameters.get("client_id", ""))
    uri = parameters.get("post_logout_redirect_uri", "")
    if client is None or uri not in client.post_logout_redirect_uris:
        return None
    return answer(uri, state=parameters.get("state"))


def _onward(provider: Provider, request: web.Request, target: str | None) -> web.Response:
    return redirect(target) if target is not None else provider.pages.render(request, "signed_out.html")
