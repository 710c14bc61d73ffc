"""The end-session endpoint (OpenID Connect RP-Initiated Logout 1.0), with MITREid's confirmation page."""

from __future__ import annotations

import hmac

from aiohttp import web

from authproxy.sandbox.identity_provider.openid.authorization import answer
from authproxy.sandbox.identity_provider.provider import PROVIDER, LogoutRequest, Provider, Session, redirect


async def endsession(request: web.Request) -> web.Response:
    """A form that another site sends comes without our cookie (SameSite=Lax), so what it says is put by and fetched again by GET,
    which brings the cookie. That also keeps the ID token out of the address bar."""
    provider = request.app[PROVIDER]
    if request.method == "POST":
        form = {name: str(value) for name, value in (await request.post()).items()}
        if "_csrf" in form:
            return _decided(provider, request, form)
        handle = provider.new_uuid()
        provider.logouts.put(handle, LogoutRequest(target=_target(provider, form), session=None))
        return web.Response(status=303, headers={"Location": f"{provider.base}/endsession?request={handle}"})
    put_by = provider.logouts.take(request.query.get("request", ""))
    target = put_by.target if put_by is not None else _target(provider, dict(request.query))
    session = provider.session_of(request)
    if session is None or session.email is None:
        return redirect(target) if target is not None else _signed_out(provider, request)
    if not all(quirk.asks_before_sign_out for quirk in provider.quirks.everybodys()):
        return _ended(provider, request, session, target)
    handle = provider.new_uuid()
    provider.logouts.put(handle, LogoutRequest(target=target, session=session))
    return provider.pages.render(
        request, "logout.html", email=session.email, csrf=session.csrf, handle=handle, action=f"{provider.base}/endsession",
    )  # fmt: skip


def _decided(provider: Provider, request: web.Request, form: dict[str, str]) -> web.Response:
    session = provider.session_of(request)
    asked = provider.logouts.take(form.get("request", ""))
    ours = session is not None and hmac.compare_digest(form["_csrf"].encode(), session.csrf.encode())
    if not ours or session is None or asked is None or asked.session is not session:
        return provider.pages.render(request, "error.html", status=403, problem="form_old")
    if "approve" not in form:
        return redirect(f"{provider.base}/account")
    return _ended(provider, request, session, asked.target)


def _ended(provider: Provider, request: web.Request, session: Session, target: str | None) -> web.Response:
    session.sign_out()
    response = redirect(target) if target is not None else _signed_out(provider, request)
    provider.keep(request, response, session)
    return response


def _target(provider: Provider, parameters: dict[str, str]) -> str | None:
    """Where to send the browser afterwards: only to a URI that the client named in a token of ours has registered."""
    claims = provider.keys.own(parameters.get("id_token_hint", ""), issuer=provider.issuer)
    client = provider.clients.get(str(claims.get("aud"))) if claims is not None else None
    uri = parameters.get("post_logout_redirect_uri", "")
    if client is None or uri not in client.post_logout_redirect_uris:
        return None
    return answer(uri, state=parameters.get("state"))


def _signed_out(provider: Provider, request: web.Request) -> web.Response:
    return provider.pages.render(request, "signed_out.html")
