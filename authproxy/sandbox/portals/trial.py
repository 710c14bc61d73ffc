"""Pages of a demo portal for trying out the gateway: the received request, the echo of a form, a cookie, and
the list for scripts."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from authproxy.sandbox.portals import batches
from authproxy.sandbox.portals.assertion import CLAIMS, VERIFIER, KeysUnavailable, NotVouchedFor
from authproxy.sandbox.portals.description import Description
from authproxy.sandbox.portals.own_sign_in import Page

_LONGEST_REPORT = 600
_SECRET = frozenset({"authorization", "cookie", "x-auth-assertion"})


class Trial:
    def __init__(self, portal: Description, page: Page) -> None:
        self._portal = portal
        self._page = page

    def route(self, router: web.UrlDispatcher) -> None:
        router.add_get("/prejeto", self.arrived)
        router.add_get("/vnos", self.entry)
        router.add_post("/vnos", self.entry)
        router.add_get("/piskotek", self.cookie)
        router.add_get("/porocilo", self.report)
        router.add_get("/api/jaz", self.me)
        router.add_get("/api/", self.interface)
        router.add_route("*", "/api/received", self.received)

    async def arrived(self, request: web.Request) -> web.Response:
        """The received request, for people. Secret values are named but not shown, because people photograph
        pages."""
        headers = [
            (name, str(len(value)) if name.lower() in _SECRET else value)
            for name, value in request.headers.items()
        ]
        return self._page(
            request, "received.html", headers=headers, claims=sorted(request[CLAIMS].items()), secret=_SECRET
        )

    async def entry(self, request: web.Request) -> web.Response:
        form = {name: value for name, value in (await request.post()).items() if isinstance(value, str)}
        return self._page(request, "entry.html", entered=form if request.method == "POST" else None)

    async def cookie(self, request: web.Request) -> web.Response:
        """Counts visits in a cookie of the portal."""
        name = f"{self._portal.portal_id}_obiski"
        before = request.cookies.get(name, "0")
        visits = int(before) + 1 if before.isascii() and before.isdigit() and len(before) < 7 else 1
        response = self._page(request, "cookie.html", visits=visits, cookie=name)
        response.set_cookie(name, str(visits), path="/", httponly=True, samesite="Lax")
        return response

    async def report(self, request: web.Request) -> web.Response:
        """A page that takes `?sekund=` to be made, 64 if nothing is said."""
        text = request.query.get("sekund", "64")
        if not (text.isascii() and text.isdigit() and len(text) <= 3 and int(text) <= _LONGEST_REPORT):
            raise web.HTTPBadRequest
        await asyncio.sleep(int(text))
        return self._page(request, "report.html", seconds=int(text))

    async def me(self, request: web.Request) -> web.Response:
        return web.json_response(request[CLAIMS])

    async def received(self, request: web.Request) -> web.Response:
        """The received request, every header in order, and the verdict on the assertion."""
        verdict: dict[str, Any]
        try:
            verdict = {
                "valid": True,
                "claims": await request.app[VERIFIER].claims(request.headers.get("X-Auth-Assertion")),
            }
        except (NotVouchedFor, KeysUnavailable) as fault:
            verdict = {"valid": False, "why": str(fault)}
        raw_path, _, query = request.path_qs.partition("?")
        return web.json_response(
            {
                "portal": self._portal.portal_id,
                "method": request.method,
                "path": raw_path,
                "query": query,
                "headers": [
                    [name.decode("latin-1"), value.decode("latin-1")] for name, value in request.raw_headers
                ],
                "assertion": verdict,
            }
        )

    async def interface(self, _: web.Request) -> web.Response:
        own = self._portal.own_sign_in
        return web.json_response(
            {
                "/api/received": "what arrived here, and what the portal makes of the assertion",
                "/api/jaz": "claims of the assertion",
                "/prenos?bytes=N": "a download",
                "/nalaganje": "POST anything, its bytes are counted",
                "/dogodki?stevilo=N&premor_ms=MS": "server-sent events",
                "/ws": "WebSocket echo",
                "/piskotek": "a cookie of the portal",
                "/vnos": "a form that shows what it was sent",
                "/porocilo?sekund=N": "a page that takes so long to be made",
                "tables": [table.path for table in self._portal.tables],
                "forms": [form.path for form in self._portal.forms],
                **({batches.PATH: "batches that programs hand in"} if self._portal.takes_batches else {}),
                **({own.basic: "HTTP Basic"} if own is not None and own.basic else {}),
            }
        )
