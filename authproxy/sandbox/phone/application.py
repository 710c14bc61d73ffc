"""The phone's HTTP side: current codes for people (a page without refresh of its own: WCAG 2.2.1) and for scripts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from aiohttp import web

from authproxy.sandbox.accounts import Account, Accounts
from authproxy.sandbox.furniture.pages import Pages
from authproxy.sandbox.one_time_code import code, seconds_left, step

_INTERFACE = {"GET /api/codes?email=ADDRESS": "the one-time code of now and the seconds it has left"}


def application(*, accounts: Accounts, clock: Callable[[], datetime]) -> web.Application:
    """A phone on which every account with a code secret is enrolled."""
    phone = _Phone(accounts, clock)
    made = web.Application(client_max_size=64 * 1024)
    made.router.add_get("/", phone.page)
    made.router.add_get("/api/", phone.interface)
    made.router.add_get("/api/codes", phone.codes)
    phone.pages.furnish(made, style="/style.css")
    return made


class _Phone:
    def __init__(self, accounts: Accounts, clock: Callable[[], datetime]) -> None:
        self._accounts = accounts
        self._clock = clock
        self.pages = Pages("authproxy.sandbox.phone")

    async def page(self, request: web.Request) -> web.Response:
        now = self._clock()
        codes = [(account, self._code(account, now)) for account in self._accounts if account.totp_secret is not None]
        return self.pages.render(request, "phone.html", codes=codes, seconds_left=seconds_left(now))

    async def interface(self, _: web.Request) -> web.Response:
        return web.json_response(_INTERFACE)

    async def codes(self, request: web.Request) -> web.Response:
        account = self._accounts.find(request.query.get("email", ""))
        if account is None or account.totp_secret is None:
            return web.json_response({"error": "not_enrolled"}, status=404)
        now = self._clock()
        return web.json_response({"email": account.email, "code": self._code(account, now), "seconds_left": seconds_left(now)})

    @staticmethod
    def _code(account: Account, now: datetime) -> str:
        return code(account.totp_secret or "", step(now))
