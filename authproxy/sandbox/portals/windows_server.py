"""How a portal on an early Windows server behaves.

One file has many names (`windows_names`). Redirects lead to the address under which the portal was reached,
which is an inner one. Queries are Windows-1250, as its browsers sent them: raw bytes too.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from urllib.parse import parse_qs

from aiohttp import web

from authproxy.sandbox.portals import windows_names
from authproxy.sandbox.portals.assertion import (
    ASSERTION_HEADER,
    CLAIMS,
    VERIFIER,
    KeysUnavailable,
    NotVouchedFor,
)
from authproxy.sandbox.portals.description import Description
from authproxy.sandbox.portals.own_sign_in import Page

ADMINISTRATION = "/Skrbnistvo"
SEARCH, ENTRY, HELP, EMBLEM, ROBOTS = "/isci", "/vstop", "/pomoc", "/assets/znak.svg", "/robots.txt"
OPEN = frozenset({HELP, EMBLEM, ROBOTS})
"""What is for everybody, whether or not a gateway vouches for them."""
_ENCODING = "windows-1250"
_COOKIE = "ASPSESSIONID"
_DRAWING = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 32" width="64" height="32">'
    '<rect width="64" height="32" rx="4" fill="#4a4f55"/>'
    '<path d="M8 22V10l8 8 8-8v12M32 10l6 12 6-12M50 10v12" fill="none" stroke="#fff" stroke-width="3"/>'
    "</svg>"
)
# Only the first name has to be found here: what it means is for `windows_names` to say.
_ADMINISTRATION_SPELT = r"/{area:(?i:skrbni)[^/\\]+}{rest:(?:[/\\].*)?}"


class WindowsServer:
    def __init__(self, portal: Description, page: Page, *, random_bytes: Callable[[int], bytes]) -> None:
        self._portal = portal
        self._page = page
        self._random_bytes = random_bytes

    def route(self, router: web.UrlDispatcher) -> None:
        router.add_get(SEARCH, self.search)
        router.add_get(ENTRY, self.entry)
        router.add_get(HELP, self.help)
        router.add_get(EMBLEM, self.emblem)
        router.add_get(ROBOTS, self.robots)
        router.add_get(_ADMINISTRATION_SPELT, self.administration)

    async def administration(self, request: web.Request) -> web.Response:
        """Who has which right. The portal itself asks nobody for a right: that is left to the gateway."""
        asked = "/" + request.match_info["area"] + request.match_info["rest"]
        files = (ADMINISTRATION, f"{ADMINISTRATION}/", f"{ADMINISTRATION}/Pravice.aspx")
        if windows_names.found(asked, files) is None:
            raise web.HTTPNotFound
        return self._page(request, "administration.html")

    async def search(self, request: web.Request) -> web.Response:
        """Rows that contain the words, in any of the tables."""
        query = parse_qs(request.raw_path.partition("?")[2], encoding=_ENCODING, errors="replace")
        words = query.get("q", [""])[0].strip()
        rows = [
            (table, row)
            for table in self._portal.tables
            for row in table.rows
            if words and any(words.casefold() in str(value).casefold() for value in row)
        ]
        return self._page(request, "search.html", words=words, rows=rows, encoding=_ENCODING)

    async def help(self, request: web.Request) -> web.Response:
        """How to get a certificate, for people who cannot sign in yet. It greets those whom it knows."""
        with suppress(NotVouchedFor, KeysUnavailable):
            request[CLAIMS] = await request.app[VERIFIER].claims(request.headers.get(ASSERTION_HEADER))
        return self._page(request, "help.html")

    async def emblem(self, _: web.Request) -> web.Response:
        return web.Response(
            text=_DRAWING, content_type="image/svg+xml", headers={"Cache-Control": "max-age=60"}
        )

    async def robots(self, _: web.Request) -> web.Response:
        return web.Response(text="User-agent: *\nDisallow: /\n", content_type="text/plain")

    async def entry(self, request: web.Request) -> web.Response:
        """To the front page, by the whole address under which the portal believes to be reached."""
        session, name = self._random_bytes(12).hex().upper(), request.host.partition(":")[0]
        return web.Response(
            status=302,
            headers={
                "Location": f"http://{request.host}/storitve",
                "Set-Cookie": f"{_COOKIE}={session}; Domain={name}; Path=/; HttpOnly",
            },
        )
