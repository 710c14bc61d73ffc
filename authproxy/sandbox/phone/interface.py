"""The phone for scripts: codes, notifications and answers as JSON, without the PIN, for whoever runs the sandbox."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from authproxy.sandbox.furniture.pages import json_object
from authproxy.sandbox.installation import Installation
from authproxy.sandbox.phone.device import Phone
from authproxy.sandbox.phone.onepass import NotInstalledError, Push, UnreachableError

_DESCRIPTION = {
    "GET /api/codes?email=ADDRESS": "the one-time code of now and the seconds it has left",
    "GET /api/pushes?email=ADDRESS": "notifications that wait for an answer, with the number to match",
    "POST /api/pushes/{id}": {"action": "approve | refuse", "number": "the number that the browser shows; only to approve"},
}
_ERRORS = {400: "wrong_number", 404: "unknown", 409: "over"}


class Interface:
    def __init__(self, phone: Phone) -> None:
        self._phone = phone

    def route(self, router: web.UrlDispatcher) -> None:
        router.add_get("/api/", self.described)
        router.add_get("/api/codes", self.codes)
        router.add_get("/api/pushes", self.pushes)
        router.add_post("/api/pushes/{push}", self.answer)

    async def described(self, _: web.Request) -> web.Response:
        return web.json_response(_DESCRIPTION)

    async def codes(self, request: web.Request) -> web.Response:
        account = self._phone.account_of(request.query.get("email", ""))
        if account is None:
            return _error("not_enrolled", 404)
        code, seconds_left = self._phone.code(account)
        return web.json_response({"email": account.email, "code": code, "seconds_left": seconds_left})

    async def pushes(self, request: web.Request) -> web.Response:
        account = self._phone.account_of(request.query.get("email", ""))
        if account is None:
            return _error("not_enrolled", 404)
        try:
            waiting = await self._phone.onepass.pushes(account)
        except NotInstalledError:
            return _error("not_enrolled", 404)
        except UnreachableError:
            return _error("provider_unreachable", 503)
        return web.json_response([_shown(account, push) for push in waiting])

    async def answer(self, request: web.Request) -> web.Response:
        """Of all accounts on the phone the one that was asked answers."""
        body = await json_object(request)
        action, number = body.get("action"), body.get("number", "")
        if action not in {"approve", "refuse"} or not isinstance(number, str | int) or isinstance(number, bool):
            raise web.HTTPBadRequest
        status = 404
        for account in self._phone.accounts:
            try:
                status = await self._phone.onepass.answer(account, request.match_info["push"], action=action, number=str(number))
            except NotInstalledError:
                continue
            except UnreachableError:
                return _error("provider_unreachable", 503)
            if status != 404:
                break
        return web.Response(status=204) if status == 204 else _error(_ERRORS.get(status, "unknown"), status)


def _shown(account: Installation, push: Push) -> dict[str, Any]:
    return {
        "id": push.id, "email": account.email, "for": push.for_, "place": push.place, "number": push.number, "choices": list(push.choices),
        "at": push.at.isoformat(), "expires_at": push.expires_at.isoformat(),
    }  # fmt: skip


def _error(name: str, status: int) -> web.Response:
    return web.json_response({"error": name}, status=status)
