"""The phone's settings, its PIN, and the page that asks for the PIN."""

from __future__ import annotations

from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from authproxy.sandbox.phone.device import Phone
from authproxy.sandbox.phone.forms import read, to
from authproxy.sandbox.phone.pin import is_guessed_first, is_pin
from authproxy.sandbox.web_pages.pages import SandboxPages

_COOKIE = "onepass-browser"
_OPEN_TO_ALL = {"/unlock", "/reset", "/style.css", "/script.js", "/favicon.ico"}


class SettingsScreens:
    def __init__(self, phone: Phone, pages: SandboxPages, registration_url: str) -> None:
        self._phone = phone
        self._pages = pages
        self._registration_url = registration_url

    def route(self, router: web.UrlDispatcher) -> None:
        router.add_get("/settings", self.page)
        router.add_get("/pin", self.pin)
        router.add_post("/pin", self.change_pin)
        router.add_get("/unlock", self.locked)
        router.add_post("/unlock", self.unlock)
        router.add_post("/lock", self.lock)
        router.add_get("/reset", self.reset_page)
        router.add_post("/reset", self.reset)

    @web.middleware
    async def guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """On a locked phone every page leads to the one that asks for the PIN. The interface for scripts
        needs no PIN."""
        is_free = request.path in _OPEN_TO_ALL or request.path.startswith("/api/")
        is_used = (
            "X-Asked-By" not in request.headers
        )  # the pages' script sends this header; nobody has pressed a button
        if is_free or self._phone.lock.is_open_for(request.cookies.get(_COOKIE, ""), is_used=is_used):
            return await handler(request)
        return to("/unlock")

    async def page(self, request: web.Request) -> web.Response:
        return self._shown(request, "settings.html", accounts=self._phone.accounts, links=self._phone.links)

    async def pin(self, request: web.Request) -> web.Response:
        return self._shown(request, "pin.html", said=request.query.get("said", ""), problem="")

    async def change_pin(self, request: web.Request) -> web.Response:
        form = await read(request, self._phone.csrf)
        problem = self._fault_of(form.get("pin", ""), form.get("again", ""))
        if (
            not problem
            and self._phone.lock.has_pin
            and not await self._phone.lock.is_right(form.get("current", ""))
        ):
            problem = "wait" if self._phone.lock.minutes_to_wait() else "current"
        if problem:
            return self._shown(request, "pin.html", said="", problem=problem)
        await self._phone.lock.change(form["pin"])
        return self._opened("/?said=pin_set")

    @staticmethod
    def _fault_of(pin: str, again: str) -> str:
        if not is_pin(pin):
            return "shape"
        if is_guessed_first(pin):
            return "guessed"
        return "" if pin == again else "again"

    async def locked(self, request: web.Request) -> web.Response:
        return self._shown(request, "unlock.html", problem="") if self._phone.lock.has_pin else to("/")

    async def unlock(self, request: web.Request) -> web.Response:
        form = await read(request, self._phone.csrf)
        if await self._phone.lock.is_right(form.get("pin", "")):
            return self._opened("/")
        return self._shown(request, "unlock.html", problem="pin") if self._phone.lock.has_pin else to("/")

    async def lock(self, request: web.Request) -> web.Response:
        await read(request, self._phone.csrf)
        self._phone.lock.lock()
        return to("/unlock" if self._phone.lock.has_pin else "/")

    async def reset_page(self, request: web.Request) -> web.Response:
        return self._shown(request, "reset.html")

    async def reset(self, request: web.Request) -> web.Response:
        """Resets the phone, for a person who has forgotten the PIN."""
        await read(request, self._phone.csrf)
        await self._phone.reset()
        return to("/?said=reset")

    def _opened(self, path: str) -> web.Response:
        answer = to(path)
        # Not Secure: the sandbox is plain HTTP.
        answer.set_cookie(_COOKIE, self._phone.lock.unlock(), httponly=True, samesite="Strict")
        return answer

    def _shown(self, request: web.Request, template: str, **values: Any) -> web.Response:
        lock = self._phone.lock
        return self._pages.render(
            request,
            template,
            csrf=self._phone.csrf,
            registration_url=self._registration_url,
            has_pin=lock.has_pin,
            minutes=lock.minutes_to_wait(),
            tries_left=lock.tries_left,
            **values,
        )
