"""The authorization endpoint: from a relying party's request through sign-in and consent to a code (OpenID
Connect Core §3.1.2)."""

from __future__ import annotations

import hmac
from dataclasses import replace

from aiohttp import web

from authproxy.sandbox.identity_provider.openid import authorization
from authproxy.sandbox.identity_provider.openid.authorization import (
    AuthorizationRefused,
    AuthorizationRequest,
    NotAnswerable,
    Step,
)
from authproxy.sandbox.identity_provider.openid.tokens import AuthorizationGrant
from authproxy.sandbox.identity_provider.provider import (
    PROVIDER,
    REGISTER_PAGE,
    SIGN_IN_PAGE,
    PendingRequest,
    Provider,
    ProviderSession,
    redirect,
)


async def authorize(request: web.Request) -> web.Response:
    """An authorization request, or a form of the consent page (MITREid has both at this address)."""
    provider = request.app[PROVIDER]
    form = await request.post() if request.method == "POST" else request.query
    if "user_oauth_approval" in form:
        return _decided(provider, request, {name: str(value) for name, value in form.items()})
    try:
        asked = authorization.read([(name, str(value)) for name, value in form.items()], provider.clients)
    except NotAnswerable as fault:
        return provider.pages.render(request, "error.html", status=fault.status, problem=fault.problem)
    except AuthorizationRefused as refusal:
        return redirect(refusal.location)
    for quirk in provider.quirks.of(asked.client_id):
        if quirk.authorization_error is not None:
            return redirect(_refused(provider, asked, quirk.authorization_error))
    session = provider.session_of(request)
    if session is not None:
        return _proceed(provider, session, asked, just_signed_in=False)
    session = ProviderSession(csrf=provider.new_uuid())
    response = _proceed(provider, session, asked, just_signed_in=False)
    provider.keep(request, response, session)
    return response


async def login(request: web.Request) -> web.Response:
    """A sign-in without a relying party, or with `register` a registration. Both end on the dashboard; a
    signed-in person gets there at once."""
    provider = request.app[PROVIDER]
    wants_account = "register" in request.query
    session = provider.session_of(request) or ProviderSession(csrf=provider.new_uuid())
    if session.email is not None and not wants_account:
        return redirect(f"{provider.base}/account")
    response = _to_sign_in(
        provider,
        PendingRequest(session=session, request=None),
        page=REGISTER_PAGE if wants_account else SIGN_IN_PAGE,
    )
    provider.keep(request, response, session)
    return response


async def callback(request: web.Request) -> web.Response:
    """The end of a sign-in at the front end. The token is valid once, and only in the browser that this
    server had sent there; otherwise a link could sign somebody in as somebody else."""
    provider = request.app[PROVIDER]
    voucher = provider.vouchers.take(request.query.get("token", ""))
    session = provider.session_of(request)
    pending = provider.pending.take(voucher.login) if voucher is not None else None
    if voucher is None or session is None or pending is None or pending.session is not session:
        return provider.pages.render(request, "error.html", status=400, problem="link_used")
    session.sign_in(voucher.email, voucher.at)
    if pending.request is None:
        response = redirect(f"{provider.base}/account")
    else:
        response = _proceed(provider, session, pending.request, just_signed_in=True)
    provider.keep(request, response, session)
    return response


async def consent(request: web.Request) -> web.Response:
    provider = request.app[PROVIDER]
    session = provider.session_of(request)
    handle = request.query.get("request", "")
    pending = provider.pending.get(handle)
    is_open = pending is not None and pending.session is session and pending.answered is None
    if session is None or session.email is None or pending is None or not is_open or pending.request is None:
        return provider.pages.render(request, "error.html", status=400, problem="link_used")
    asked = pending.request
    return provider.pages.render(
        request,
        "consent.html",
        client=provider.clients[asked.client_id],
        scopes=asked.scopes,
        email=session.email,
        csrf=session.csrf,
        handle=handle,
        action=f"{provider.base}/authorize",
    )


def _decided(provider: Provider, request: web.Request, form: dict[str, str]) -> web.Response:
    session = provider.session_of(request)
    pending = provider.pending.get(form.get("request", ""))
    ours = (
        session is not None
        and session.email is not None
        and pending is not None
        and pending.session is session
        and hmac.compare_digest(form.get("_csrf", "").encode(), session.csrf.encode())
    )
    if not ours or session is None or session.email is None or pending is None or pending.request is None:
        return provider.pages.render(request, "error.html", status=403, problem="form_old")
    if pending.answered is not None:
        return redirect(pending.answered)
    provider.pending.take(form["request"])
    asked = pending.request
    if form["user_oauth_approval"] != "true" or "deny" in form:
        return redirect(_refused(provider, asked, "access_denied"))
    provider.consents.give(session.email, asked.client_id, asked.scopes)
    provider.changed()
    response = _proceed(provider, session, asked, just_signed_in=pending.vouched)
    provider.pending.put(form["request"], replace(pending, answered=response.headers["Location"]))
    return response


def _proceed(
    provider: Provider, session: ProviderSession, asked: AuthorizationRequest, *, just_signed_in: bool
) -> web.Response:
    consented = provider.consents.cover(session.email or "", asked.client_id, asked.scopes)
    step = authorization.next_step(
        asked,
        authenticated_at=session.authenticated_at,
        just_signed_in=just_signed_in,
        consented=consented,
        now=provider.clock(),
    )
    match step:
        case Step.SIGN_IN:
            session.sign_out()
            return _to_sign_in(provider, PendingRequest(session=session, request=asked))
        case Step.CONSENT:
            handle = provider.new_uuid()
            provider.pending.put(
                handle, PendingRequest(session=session, request=asked, vouched=just_signed_in)
            )
            return redirect(f"{provider.base}/confirm_access?request={handle}")
        case Step.ISSUE:
            return redirect(_answer(provider, asked, code=_code(provider, session, asked), state=asked.state))
        case refusal:
            # MITREid drops an empty state here, and only here.
            return redirect(_answer(provider, asked, error=str(refusal.value), state=asked.state or None))


def _to_sign_in(provider: Provider, pending: PendingRequest, *, page: str = SIGN_IN_PAGE) -> web.Response:
    handle = provider.new_uuid()
    provider.pending.put(handle, pending)
    return redirect(f"{page}?login={handle}")


def _refused(provider: Provider, asked: AuthorizationRequest, error: str) -> str:
    return _answer(provider, asked, error=error, error_description="User denied access", state=asked.state)


def _answer(provider: Provider, asked: AuthorizationRequest, **parameters: str | None) -> str:
    return authorization.answer(asked.redirect_uri, **provider.quirks.response(asked.client_id, parameters))


def _code(provider: Provider, session: ProviderSession, asked: AuthorizationRequest) -> str:
    account = provider.accounts.find(session.email or "")
    if account is None or session.authenticated_at is None:
        raise LookupError("a code is issued for a person who is signed in")
    code = provider.quirks.code(
        asked.client_id, provider.random_bytes(16).hex()
    )  # 32 alphanumerics, as at Rekono
    grant = AuthorizationGrant(
        request=asked,
        subject=account.subject,
        login_name=account.email,
        authenticated_at=session.authenticated_at,
        issued_at=provider.clock(),
    )
    provider.codes.put(code, grant)
    return code
