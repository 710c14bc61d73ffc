"""The phone as one application: screens for people, an interface for scripts, and the client of the
provider."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable, Iterable
from datetime import datetime
from pathlib import Path

from aiohttp import ClientSession, web

from authproxy.sandbox.installation import Installation, Link
from authproxy.sandbox.phone.device import Phone
from authproxy.sandbox.phone.interface import Interface
from authproxy.sandbox.phone.link_screens import LinkScreens
from authproxy.sandbox.phone.memory import Memory, PhoneState
from authproxy.sandbox.phone.onepass import OnePass
from authproxy.sandbox.phone.screens import Screens
from authproxy.sandbox.phone.settings import SettingsScreens
from authproxy.sandbox.web_pages.pages import SandboxPages

PHONE = web.AppKey("PHONE", Phone)
"""The phone, for the code that has made the application."""


def application(
    *,
    provider_url: str,
    clock: Callable[[], datetime],
    installed: Iterable[Installation] = (),
    linked: Iterable[Link] = (),
    random_bytes: Callable[[int], bytes] = secrets.token_bytes,
    state_file: Path | None = None,
) -> web.Application:
    """A phone for accounts of the provider at `provider_url`. `installed` and `linked` are on it from the
    start, without a PIN.

    With `state_file` a restart keeps accounts, links and PIN; the file's content then replaces `installed`
    and `linked`. Raises BrokenPhoneStateError.
    """
    onepass = OnePass(provider_url)
    phone = Phone(
        Memory(PhoneState(accounts=tuple(installed), links=tuple(linked)), state_file),
        onepass,
        clock,
        random_bytes,
    )
    pages = SandboxPages("authproxy.sandbox.phone", connect=True, script="/script.js")
    registration_url = f"{provider_url.rstrip('/')}/IdP-RM-Front/register/start.htm?from=phone"
    settings = SettingsScreens(phone, pages, registration_url)
    app = web.Application(client_max_size=64 * 1024)
    app[PHONE] = phone
    for part in (
        Screens(phone, pages, registration_url),
        LinkScreens(phone, pages),
        settings,
        Interface(phone),
    ):
        part.route(app.router)
    pages.install(app, style="/style.css")
    app.middlewares.append(settings.guard)

    async def reached(_: web.Application) -> AsyncIterator[None]:
        async with ClientSession() as onepass.session:
            yield

    app.cleanup_ctx.append(reached)
    return app
