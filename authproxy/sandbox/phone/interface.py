"""The phone for scripts: codes, notifications and answers as JSON. It asks for no PIN."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from aiohttp import web

from authproxy.sandbox.installation import Installation, Link
from authproxy.sandbox.phone.device import Phone
from authproxy.sandbox.phone.onepass import NotInstalledError, SignInPush, UnreachableError
from authproxy.sandbox.phone.relying_parties import LinkPush
from authproxy.sandbox.web_pages.pages import json_object

_DESCRIPTION = {
    "GET /api/codes?email=ADDRESS": "the one-time code of now and the seconds it has left",
    "GET /api/pushes?email=ADDRESS": "notifications that wait for an answer, with the number to match",
    "POST /api/pushes/{id}": {
        "action": "approve | refuse",
        "number": "the number that the browser shows; only to approve",
    },
    "POST /api/links": {
        "code": "an activation code of a relying party",
        "name": "what the phone is called there",
    },
}
_LONGEST = 104
_ERRORS = {400: "wrong_number", 404: "unknown", 409: "over"}


class Interface:
    def __init__(self, phone: Phone) -> None:
        self._phone = phone

    def route(self, router: web.UrlDispatcher) -> None:
        router.add_get("/api/", self.described)
        router.add_get("/api/codes", self.codes)
        router.add_get("/api/pushes", self.pushes)
        router.add_post("/api/pushes/{push}", self.answer)
        router.add_post("/api/links", self.link)

    async def described(self, _: web.Request) -> web.Response:
        return web.json_response(_DESCRIPTION)

    async def codes(self, request: web.Request) -> web.Response:
        account = self._phone.account_of(request.query.get("email", ""))
        if account is None:
            return _error("not_enrolled", 404)
        code, seconds_left = self._phone.code(account)
        return web.json_response({"email": account.email, "code": code, "seconds_left": seconds_left})

    async def pushes(self, request: web.Request) -> web.Response:
        """Notifications of the provider and of relying parties that wait for an answer."""
        email = request.query.get("email", "")
        account, links = self._phone.account_of(email), self._phone.links_of(email)
        if account is None and not links:
            return _error("not_enrolled", 404)
        try:
            waiting = (
                []
                if account is None
                else [_shown(account, push) for push in await self._phone.onepass.pushes(account)]
            )
            for link in links:
                with suppress(NotInstalledError):
                    waiting += [
                        _shown_link(link, push) for push in await self._phone.relying_parties.pushes(link)
                    ]
        except NotInstalledError:
            return _error("not_enrolled", 404)
        except UnreachableError:
            return _error("provider_unreachable", 503)
        return web.json_response(waiting)

    async def answer(self, request: web.Request) -> web.Response:
        """Answers with the account or link to which the notification was sent."""
        body = await json_object(request)
        action, number = body.get("action"), body.get("number", "")
        if (
            action not in {"approve", "refuse"}
            or not isinstance(number, str | int)
            or isinstance(number, bool)
        ):
            raise web.HTTPBadRequest
        try:
            status = await self._answered(request.match_info["push"], action, str(number))
        except UnreachableError:
            return _error("provider_unreachable", 503)
        return web.Response(status=204) if status == 204 else _error(_ERRORS.get(status, "unknown"), status)

    async def _answered(self, push_id: str, action: str, number: str) -> int:
        status = 404
        for account in self._phone.accounts:
            with suppress(NotInstalledError):
                status = await self._phone.onepass.answer(account, push_id, action=action, number=number)
            if status != 404:
                return status
        return await self._answered_by_link(push_id, action, number if action == "approve" else "")

    async def _answered_by_link(self, push_id: str, action: str, number: str) -> int:
        """Answers a relying party's notification. One that no longer waits is unknown."""
        for link in self._phone.links:
            with suppress(NotInstalledError):
                for push in await self._phone.relying_parties.pushes(link):
                    if push.push_id == push_id:
                        return await self._phone.relying_parties.answer(
                            link, push, action=action, number=number
                        )
        return 404

    async def link(self, request: web.Request) -> web.Response:
        """Links the phone to a relying party, as the page does."""
        body = await json_object(request)
        code, name = body.get("code"), body.get("name", "OnePass")
        if (
            not isinstance(code, str)
            or not isinstance(name, str)
            or not name.isprintable()
            or len(code) + len(name) > _LONGEST
        ):
            raise web.HTTPBadRequest
        try:
            invitation = await self._phone.relying_parties.invitation(code)
            link = await self._phone.accept(invitation, name) if invitation is not None else None
        except UnreachableError:
            return _error("provider_unreachable", 503)
        if link is None:
            return _error("wrong_code", 400)
        return web.json_response(
            {"relying_party": link.relying_party, "account": link.account, "name": link.device_name},
            status=201,
        )


def _shown(account: Installation, push: SignInPush) -> dict[str, Any]:
    return {
        "id": push.id,
        "email": account.email,
        "for": push.for_,
        "place": push.place,
        "number": push.number,
        "choices": list(push.choices),
        "at": push.at.isoformat(),
        "expires_at": push.expires_at.isoformat(),
    }


def _shown_link(link: Link, push: LinkPush) -> dict[str, Any]:
    return {
        "id": push.push_id,
        "email": link.account,
        "for": push.portal,
        "place": push.place,
        "number": push.number,
        "choices": list(push.choices),
        "at": push.issued_at,
        "expires_at": push.expires_at,
        "browser": push.browser,
        "address": push.address,
        **({"shows": [{"name": name, "value": value} for name, value in push.shows]} if push.shows else {}),
    }


def _error(name: str, status: int) -> web.Response:
    return web.json_response({"error": name}, status=status)
