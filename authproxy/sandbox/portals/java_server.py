"""How a portal on an early Java server behaves: it stands in frames, and has a session of its own.

Until a browser has shown that it keeps cookies, the links have the session in their path (`;jsessionid=`,
Jakarta Servlet 6.0, section 7.1.3). The session knows nobody: it only counts pages.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from aiohttp import web
from aiohttp.typedefs import Handler

from authproxy.sandbox.portals.description import Description
from authproxy.sandbox.portals.own_sign_in import Page
from authproxy.sandbox.portals.tables import Table

COOKIE = "JSESSIONID"
_IN_PATH = r"{session:(?:;jsessionid=[0-9A-F]{32})?}"
_IN_PATH_ALWAYS = r"{session:;jsessionid=[0-9A-F]{32}}"
_MOST_SESSIONS = 1000


class JavaServer:
    def __init__(self, portal: Description, page: Page, *, random_bytes: Callable[[int], bytes]) -> None:
        self._portal = portal
        self._page = page
        self._random_bytes = random_bytes
        self._pages_of: OrderedDict[str, int] = OrderedDict()

    def route(self, router: web.UrlDispatcher, rows_of: Callable[[Table], Handler]) -> None:
        router.add_get(f"/okvir{_IN_PATH}", self.frames)
        router.add_get(f"/okvir/meni{_IN_PATH}", self.menu)
        for table in self._portal.tables:
            router.add_get(f"{table.path}{_IN_PATH_ALWAYS}", rows_of(table))

    async def frames(self, request: web.Request) -> web.Response:
        """The frameset. A browser without the cookie gets addresses with the session in them."""
        session = self._session(request)
        is_kept = request.cookies.get(COOKIE) == session
        response = self._page(request, "frames.html", session="" if is_kept else f";jsessionid={session}")
        if not is_kept:
            response.headers.add("Set-Cookie", f"{COOKIE}={session}; Path=/; HttpOnly; SameSite=Lax")
        return response

    async def menu(self, request: web.Request) -> web.Response:
        return self._page(request, "frames_menu.html", pages=self._pages_of[self._session(request)])

    def _session(self, request: web.Request) -> str:
        """The session that the cookie or the path names, one page older, or a new one."""
        named = (request.cookies.get(COOKIE), request.match_info["session"].rpartition("=")[2])
        session = next((name for name in named if name in self._pages_of), None)
        if session is None:
            session = self._random_bytes(16).hex().upper()
            self._pages_of[session] = 0
            while len(self._pages_of) > _MOST_SESSIONS:
                self._pages_of.popitem(last=False)
        self._pages_of[session] += 1
        return session
