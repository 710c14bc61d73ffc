"""The provider as one application: the addresses of both halves, and the switches for its quirks."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from aiohttp import ClientSession, web
from aiohttp.typedefs import Handler

from authproxy.sandbox.accounts import Accounts
from authproxy.sandbox.identity_provider.front_end import (
    certificate,
    dashboard,
    dashboard_data,
    login,
    password_reset,
    push,
    registration,
)
from authproxy.sandbox.identity_provider.front_end.linked_certificates import LinkedCertificates
from authproxy.sandbox.identity_provider.onepass import linked_phones, relying_parties
from authproxy.sandbox.identity_provider.onepass import service as onepass
from authproxy.sandbox.identity_provider.onepass.relying_parties import SANDBOX_API_KEY
from authproxy.sandbox.identity_provider.openid import authorize, logout, public, token
from authproxy.sandbox.identity_provider.openid.clients import Client
from authproxy.sandbox.identity_provider.openid.quirks import QUIRKS
from authproxy.sandbox.identity_provider.provider import (
    FRONT_END,
    OUTGOING,
    PROVIDER,
    REGISTER_PAGE,
    SIGN_IN_PAGE,
    Provider,
)
from authproxy.sandbox.installation import Installation, Link
from authproxy.sandbox.web_pages.pages import json_object


def application(  # noqa: PLR0913  (what is needed is handed over, not looked up)
    *,
    issuer: str,
    clients: tuple[Client, ...],
    accounts: Accounts,
    outbox_url: str,
    clock: Callable[[], datetime],
    random_bytes: Callable[[int], bytes] = secrets.token_bytes,
    installed: Iterable[Installation] = (),
    linked: Iterable[Link] = (),
    onepass_api_key: str = SANDBOX_API_KEY,
    state_file: Path | None = None,
    phone_url: str = "",
    certificates: LinkedCertificates | None = None,
) -> web.Application:
    """A provider for `issuer`, whose path (with or without a slash at its end) is the OpenID server's.

    Text messages go to `POST {outbox_url}/api/sms`. `installed` are activated phones, `linked` phones that
    answer relying parties; relying parties show `onepass_api_key`. With `state_file` a restart keeps
    accounts, consents and phones. `phone_url` is the way back of a registration that began on the phone. With
    `certificates` people can confirm a sign-in by certificate; `certificate_application` must then be served
    at `certificates.url`. Raises StateBroken or OSError for a state file that cannot be read.
    """
    app = web.Application(client_max_size=64 * 1024)
    provider = app[PROVIDER] = Provider(
        issuer=issuer,
        clients=clients,
        accounts=accounts,
        outbox_url=outbox_url,
        clock=clock,
        random_bytes=random_bytes,
        installed=installed,
        linked=linked,
        onepass_api_key=onepass_api_key,
        state_file=state_file,
        phone_url=phone_url,
        certificates=certificates,
    )
    app.cleanup_ctx.append(_outgoing)
    app.on_startup.append(_remember_beginning)
    app.middlewares.append(_remember)
    _route_openid(app.router, provider.base)
    app.router.add_get("/", _front)
    app.router.add_get(f"{provider.base}/about", _front)
    app.router.add_get(SIGN_IN_PAGE, login.window)
    app.router.add_post(SIGN_IN_PAGE, login.password)
    app.router.add_post(f"{FRONT_END}/chooselogin/options.htm", login.options)
    app.router.add_post(push.STATE_PAGE, push.state)
    app.router.add_get(certificate.SHOWN_PAGE, login.certificate_shown)
    registration.route(app.router)
    password_reset.route(app.router)
    dashboard.route(app.router, provider.base)
    dashboard_data.route(app.router, provider.base)
    onepass.route(app.router)
    relying_parties.route(app.router)
    linked_phones.route(app.router)
    app.router.add_get("/api/", _interface)
    app.router.add_post("/api/quirks", _switch_on)
    app.router.add_delete("/api/quirks", _clear)
    app.router.add_post("/api/accounts", _switch_account)
    provider.pages.install(app, style="/style.css")
    return app


def certificate_application(provider: web.Application) -> web.Application:
    """The application to which browsers show a certificate. It must be served over TLS that asks for a
    certificate and accepts any, and that puts it into the transport's extra information
    `certificate.CERTIFICATES`."""
    app = web.Application(client_max_size=1024)
    app[PROVIDER] = provider[PROVIDER]
    app.cleanup_ctx.append(_outgoing)
    app.router.add_get("/", certificate.to_front)
    app.router.add_get(certificate.SHOW_PAGE, certificate.show)
    app[PROVIDER].pages.install(app, style="/style.css")
    return app


def _route_openid(router: web.UrlDispatcher, base: str) -> None:
    router.add_get(f"{base}/.well-known/openid-configuration", public.discovery)
    router.add_get(f"{base}/jwk", public.jwk)
    router.add_get(f"{base}/authorize", authorize.authorize)
    router.add_post(f"{base}/authorize", authorize.authorize)
    router.add_get(f"{base}/login", authorize.login)
    router.add_get(f"{base}/callback", authorize.callback)
    router.add_get(f"{base}/confirm_access", authorize.consent)
    router.add_post(f"{base}/token", token.token)
    router.add_post(f"{base}/revoke", token.revoke)
    router.add_post(f"{base}/introspect", token.introspect)
    router.add_get(f"{base}/userinfo", public.userinfo)
    router.add_post(f"{base}/userinfo", public.userinfo)
    router.add_get(f"{base}/endsession", logout.ask)
    router.add_post(f"{base}/endsession", logout.decide)
    router.add_post(f"{base}/register", public.closed)
    router.add_post(f"{base}/devicecode", public.closed)


async def _remember_beginning(application: web.Application) -> None:
    await application[PROVIDER].state.save()


@web.middleware
async def _remember(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Writes changes to the disk before the answer goes out."""
    try:
        return await handler(request)
    finally:
        await request.app[PROVIDER].state.save()


async def _outgoing(application: web.Application) -> AsyncIterator[None]:
    async with ClientSession() as session:
        application[OUTGOING] = session
        yield


async def _front(request: web.Request) -> web.Response:
    provider = request.app[PROVIDER]
    return provider.pages.render(
        request,
        "front.html",
        accounts=provider.accounts.seeded,
        issuer=provider.issuer,
        sign_in=SIGN_IN_PAGE,
        register=REGISTER_PAGE,
        clients=list(provider.clients.values()),
        onepass_path=relying_parties.ROOT,
        onepass_api_key=provider.onepass_api_key,
    )


async def _interface(request: web.Request) -> web.Response:
    return web.json_response(
        {
            "POST /api/quirks": {"client_id": "…", "quirk": "one of `quirks`"},
            "DELETE /api/quirks": "switches all of them off",
            "POST /api/accounts": {
                "email": "…",
                "enabled": "false: nobody signs in to it, and whatever it has led to is over; true: again",
            },
            f"{relying_parties.ROOT}/": (
                "OnePass for relying parties: POST enrolments, POST pushes, …, "
                "with the API key as a bearer token"
            ),
            "quirks": {name: quirk.says for name, quirk in QUIRKS.items()},
            "active": request.app[PROVIDER].quirks.names(),
        }
    )


async def _switch_on(request: web.Request) -> web.Response:
    provider = request.app[PROVIDER]
    body = await json_object(request)
    client_id, name = body.get("client_id"), body.get("quirk")
    if not (
        isinstance(client_id, str)
        and client_id in provider.clients
        and isinstance(name, str)
        and name in QUIRKS
    ):
        return web.json_response(
            {"error": "unknown client_id or quirk", "quirks": sorted(QUIRKS)}, status=400
        )
    quirk = provider.quirks.switch_on(client_id, name)
    if quirk.rotates_key:
        await asyncio.to_thread(provider.keys.rotate)
    return web.json_response({"active": provider.quirks.names()})


async def _switch_account(request: web.Request) -> web.Response:
    provider = request.app[PROVIDER]
    body = await json_object(request)
    email, enabled = body.get("email"), body.get("enabled")
    account = provider.accounts.find(email) if isinstance(email, str) else None
    if account is None or not isinstance(enabled, bool):
        return web.json_response({"error": "unknown email, or enabled is neither true nor false"}, status=400)
    provider.accounts.put(replace(account, is_enabled=enabled))
    if not enabled:
        provider.end_everything(account.email)
    provider.changed()
    return web.json_response({"email": account.email, "enabled": enabled})


async def _clear(request: web.Request) -> web.Response:
    request.app[PROVIDER].quirks.clear()
    return web.Response(status=204)
