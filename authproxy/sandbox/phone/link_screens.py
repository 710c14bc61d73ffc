"""The phone's screens for relying parties: enter an activation code, answer notifications, remove links."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from authproxy.sandbox.installation import Link
from authproxy.sandbox.phone.device import Phone
from authproxy.sandbox.phone.forms import read, to
from authproxy.sandbox.phone.onepass import NotInstalledError, UnreachableError
from authproxy.sandbox.phone.relying_parties import LinkPush
from authproxy.sandbox.web_pages.pages import SandboxPages

_OUTCOMES = {204: "link_approved", 400: "link_wrong_number"}
_LONGEST_NAME = 40
_LONGEST_CODE = 64


class LinkScreens:
    def __init__(self, phone: Phone, pages: SandboxPages) -> None:
        self._phone = phone
        self._pages = pages

    def route(self, router: web.UrlDispatcher) -> None:
        router.add_get("/links/new", self.add)
        router.add_post("/links/new", self.invitation)
        router.add_post("/links", self.accept)
        router.add_get("/links/{link}/remove", self.removal)
        router.add_post("/links/{link}/remove", self.remove)
        router.add_get("/links/{link}/pushes/{push}", self.push)
        router.add_post("/links/{link}/pushes/{push}", self.answer)

    async def add(self, request: web.Request) -> web.Response:
        return self._code_page(request, problem="")

    async def invitation(self, request: web.Request) -> web.Response:
        """Shows who asks before the phone is linked."""
        form = await read(request, self._phone.csrf)
        try:
            invitation = await self._phone.relying_parties.invitation(form.get("code", "")[:_LONGEST_CODE])
        except UnreachableError:
            return self._code_page(request, problem="unreachable")
        if invitation is None:
            return self._code_page(request, problem="code")
        return self._shown(request, "link_invitation.html", invitation=invitation)

    async def accept(self, request: web.Request) -> web.Response:
        form = await read(request, self._phone.csrf)
        name = " ".join(
            "".join(sign if sign.isprintable() else " " for sign in form.get("name", "")).split()
        )[:_LONGEST_NAME]
        try:
            invitation = await self._phone.relying_parties.invitation(form.get("code", "")[:_LONGEST_CODE])
            link = await self._phone.accept(invitation, name or "OnePass") if invitation is not None else None
        except UnreachableError:
            return self._code_page(request, problem="unreachable")
        return self._code_page(request, problem="code") if link is None else to("/?said=linked")

    async def removal(self, request: web.Request) -> web.Response:
        return self._shown(request, "link_remove.html", link=self._link(request))

    async def remove(self, request: web.Request) -> web.Response:
        await read(request, self._phone.csrf)
        link = self._phone.link(request.match_info["link"])
        if link is not None:  # the button was pressed twice
            await self._phone.remove_link(link)
        return to("/?said=unlinked")

    async def push(self, request: web.Request) -> web.Response:
        link = self._link(request)
        push, said = await self._waiting(link, request.match_info["push"])
        return to(f"/?said={said}") if push is None else self._push_page(request, link, push, problem="")

    async def answer(self, request: web.Request) -> web.Response:
        """Signs what the page has shown. To approve, one must choose a number; without it the page asks
        again."""
        form = await read(request, self._phone.csrf)
        link, action, number = self._link(request), form.get("action", ""), form.get("number", "")
        push, said = await self._waiting(link, request.match_info["push"])
        if push is None:
            return to(f"/?said={said}")
        if action == "refuse":
            number = ""
        elif number not in push.choices:
            return self._push_page(request, link, push, problem="number")
        try:
            status = await self._phone.relying_parties.answer(
                link, push, action="approve" if number else "refuse", number=number
            )
        except (UnreachableError, NotInstalledError):
            return to("/?said=unreachable")
        if status == 204 and not number:
            return to("/?said=link_refused")
        return to(f"/?said={_OUTCOMES.get(status, 'over')}")

    async def _waiting(self, link: Link, push_id: str) -> tuple[LinkPush | None, str]:
        """The notification; if it does not wait, None and the word for the page."""
        try:
            waiting = next(
                (push for push in await self._phone.relying_parties.pushes(link) if push.push_id == push_id),
                None,
            )
        except (UnreachableError, NotInstalledError):
            return None, "unreachable"
        return waiting, "over"

    def _push_page(self, request: web.Request, link: Link, push: LinkPush, *, problem: str) -> web.Response:
        return self._shown(
            request,
            "link_push.html",
            link=link,
            push=push,
            seconds=self._phone.seconds_since(push.at),
            problem=problem,
        )

    def _code_page(self, request: web.Request, *, problem: str) -> web.Response:
        return self._shown(request, "link_add.html", problem=problem)

    def _link(self, request: web.Request) -> Link:
        link = self._phone.link(request.match_info["link"])
        if link is None:
            raise web.HTTPNotFound
        return link

    def _shown(self, request: web.Request, template: str, **values: Any) -> web.Response:
        return self._pages.render(request, template, csrf=self._phone.csrf, **values)
