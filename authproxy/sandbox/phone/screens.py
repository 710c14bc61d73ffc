"""The phone's screens: accounts, codes and sign-ins that wait for an answer. Every page works without
scripts."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from authproxy.sandbox.installation import Installation
from authproxy.sandbox.phone.device import Incoming, Phone
from authproxy.sandbox.phone.forms import read, to
from authproxy.sandbox.phone.onepass import Activated, NotInstalledError, SignInPush, UnreachableError
from authproxy.sandbox.web_pages.pages import SandboxPages, language_of

_OUTCOMES = {204: "approved", 400: "wrong_number"}


class Screens:
    def __init__(self, phone: Phone, pages: SandboxPages, registration_url: str) -> None:
        self._phone = phone
        self._pages = pages
        self._registration_url = registration_url

    def route(self, router: web.UrlDispatcher) -> None:
        router.add_get("/", self.home)
        router.add_get("/accounts", self.accounts)
        router.add_get("/incoming", self.incoming)
        router.add_get("/accounts/new", self.add)
        router.add_post("/accounts/new", self.start)
        router.add_post("/accounts", self.activate)
        router.add_get("/accounts/{account}", self.code)
        router.add_get("/accounts/{account}/overview", self.overview)
        router.add_get("/accounts/{account}/remove", self.removal)
        router.add_post("/accounts/{account}/remove", self.remove)
        router.add_get("/accounts/{account}/pushes/{push}", self.push)
        router.add_post("/accounts/{account}/pushes/{push}", self.answer)

    async def home(self, request: web.Request) -> web.Response:
        """The first page: the waiting notification, or the accounts. Several waiting notifications stand
        above the accounts."""
        incoming = await self._phone.incoming()
        waiting = [
            *(f"/accounts/{account.device_id}/pushes/{push.id}" for account, push in incoming.pushes),
            *(f"/links/{link.device_id}/pushes/{push.push_id}" for link, push in incoming.link_pushes),
        ]
        if len(waiting) == 1 and "said" not in request.query:
            return to(waiting[0])
        return self._home(request, incoming)

    async def accounts(self, request: web.Request) -> web.Response:
        """The accounts, even if a notification waits, for people who want a code."""
        return self._home(request, await self._phone.incoming())

    def _home(self, request: web.Request, incoming: Incoming) -> web.Response:
        return self._shown(
            request,
            "home.html",
            accounts=self._phone.accounts,
            links=self._phone.links,
            incoming=incoming,
            said=request.query.get("said", ""),
            has_pin=self._phone.lock.has_pin,
        )

    async def incoming(self, request: web.Request) -> web.Response:
        """The part of the first page that the script keeps current."""
        return self._shown(request, "incoming.html", incoming=await self._phone.incoming())

    async def add(self, request: web.Request) -> web.Response:
        return self._shown(request, "add.html", email="", problem="")

    async def start(self, request: web.Request) -> web.Response:
        form = await read(request, self._phone.csrf)
        email = form.get("email", "").strip()
        problem = "" if "@" in email and len(email) <= 320 else "email"
        if not problem:
            try:
                await self._phone.onepass.start(email, language_of(request))
            except UnreachableError:
                problem = "unreachable"
        if problem:
            return self._shown(request, "add.html", email=email[:320], problem=problem)
        return self._shown(
            request, "activation.html", email=email, problem="", minutes=0, is_sent_again="again" in form
        )

    async def activate(self, request: web.Request) -> web.Response:
        form = await read(request, self._phone.csrf)
        email, problem, minutes = form.get("email", "").strip(), "unreachable", 0
        try:
            outcome = await self._phone.activate(email, form.get("code", "")[:20])
        except UnreachableError:
            pass
        else:
            if isinstance(outcome, Activated):
                said = "moved" if outcome.has_replaced else "added"
                return to(f"/?said={said}" if self._phone.lock.has_pin else f"/pin?said={said}")
            problem, minutes = "wait" if outcome.minutes else "code", outcome.minutes
        return self._shown(
            request, "activation.html", email=email, problem=problem, minutes=minutes, is_sent_again=False
        )

    async def code(self, request: web.Request) -> web.Response:
        account = self._account(request)
        code, seconds_left = self._phone.code(account)
        return self._shown(request, "code.html", account=account, code=code, seconds_left=seconds_left)

    async def overview(self, request: web.Request) -> web.Response:
        account = self._account(request)
        try:
            return self._shown(
                request,
                "overview.html",
                account=account,
                overview=await self._phone.onepass.overview(account),
                problem="",
            )
        except (UnreachableError, NotInstalledError) as trouble:
            problem = "unreachable" if isinstance(trouble, UnreachableError) else "elsewhere"
            return self._shown(request, "overview.html", account=account, overview=None, problem=problem)

    async def removal(self, request: web.Request) -> web.Response:
        return self._shown(request, "remove.html", account=self._account(request))

    async def remove(self, request: web.Request) -> web.Response:
        await read(request, self._phone.csrf)
        account = self._phone.account(request.match_info["account"])
        if account is not None:  # the button was pressed twice
            await self._phone.remove(account)
        return to("/?said=removed")

    async def push(self, request: web.Request) -> web.Response:
        account = self._account(request)
        push, said = await self._waiting(account, request.match_info["push"])
        return to(f"/?said={said}") if push is None else self._push_page(request, account, push, problem="")

    async def answer(self, request: web.Request) -> web.Response:
        """To approve, one must choose a number; without it the page asks again."""
        form = await read(request, self._phone.csrf)
        account, push_id = self._account(request), request.match_info["push"]
        action, number = form.get("action", ""), form.get("number", "")
        if action != "refuse" and not number:
            push, said = await self._waiting(account, push_id)
            return (
                to(f"/?said={said}")
                if push is None
                else self._push_page(request, account, push, problem="number")
            )
        try:
            status = await self._phone.onepass.answer(account, push_id, action=action, number=number)
        except (UnreachableError, NotInstalledError):
            return to("/?said=unreachable")
        if status == 204 and action == "refuse":
            return to("/?said=refused")
        return to(f"/?said={_OUTCOMES.get(status, 'over')}")

    async def _waiting(self, account: Installation, push_id: str) -> tuple[SignInPush | None, str]:
        """The notification; if it does not wait, None and the word for the page."""
        try:
            waiting = next(
                (push for push in await self._phone.onepass.pushes(account) if push.id == push_id), None
            )
        except (UnreachableError, NotInstalledError):
            return None, "unreachable"
        return waiting, "over"

    def _push_page(
        self, request: web.Request, account: Installation, push: SignInPush, *, problem: str
    ) -> web.Response:
        return self._shown(
            request,
            "push.html",
            account=account,
            push=push,
            seconds=self._phone.seconds_since(push.at),
            problem=problem,
        )

    def _account(self, request: web.Request) -> Installation:
        account = self._phone.account(request.match_info["account"])
        if account is None:
            raise web.HTTPNotFound
        return account

    def _shown(self, request: web.Request, template: str, **values: Any) -> web.Response:
        return self._pages.render(
            request, template, csrf=self._phone.csrf, registration_url=self._registration_url, **values
        )
