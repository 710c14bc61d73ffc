"""A portal's own sign-in behind the gateway, from before there was a gateway: a form and a session cookie, or
HTTP Basic (RFC 7617).

It is as naive as such portals are: its cookie decides who is inside, and it remembers whom the gateway
vouched for when the session began. It does not look whether that is still the person who sends the cookie.
"""

from __future__ import annotations

import hmac
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple
from urllib.parse import urlencode

from aiohttp import web
from aiohttp.typedefs import Handler

from authproxy.sandbox.portals.assertion import CLAIMS
from authproxy.sandbox.portals.description import Description, OwnSignIn
from authproxy.sandbox.web_pages.http_basic import credentials

Page = Callable[..., web.Response]
"""Renders a template of the portal: request, template, and its values by name."""
COOKIE = "JSESSIONID"
SIGN_OUT_LINK = "/izhod"
USER = web.RequestKey("USER", str)
"""The portal's own user, after this sign-in."""
PERSON = web.RequestKey("PERSON", str)
"""The name of the person who signed in here, as the portal remembers it."""
_LIVES_FOR = timedelta(minutes=30)
_MOST_SESSIONS = 1000
# Paths that need the gateway's session but not this sign-in.
_OPEN_BEFORE_SIGN_IN = frozenset(
    {"/prijava", "/slog.css", "/favicon.ico", "/api/", "/api/received", "/api/jaz"}
)


class _Session(NamedTuple):
    user: str
    person: str
    ends_at: datetime


class OwnSignInPages:
    def __init__(
        self,
        portal: Description,
        settings: OwnSignIn,
        page: Page,
        *,
        clock: Callable[[], datetime],
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._portal = portal
        self._settings = settings
        self._page = page
        self._clock = clock
        self._random_bytes = random_bytes
        self._sessions: OrderedDict[str, _Session] = OrderedDict()

    def route(self, router: web.UrlDispatcher) -> None:
        router.add_get("/prijava", self.form)
        router.add_post("/prijava", self.sign_in)
        router.add_post("/odjava", self.sign_out)
        # Old portals end a session by a mere link, too.
        router.add_get(SIGN_OUT_LINK, self.sign_out)
        if self._settings.basic is not None:
            router.add_get(self._settings.basic, self.for_machines)

    @web.middleware
    async def guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path in _OPEN_BEFORE_SIGN_IN or request.path == self._settings.basic:
            return await handler(request)
        session = self._session(request)
        if session is None:
            return self._to_the_form(request)
        request[USER], request[PERSON] = session.user, session.person
        return await handler(request)

    async def form(self, request: web.Request) -> web.Response:
        if self._session(request) is not None:
            return self._redirect(request, _way_back(request.query.get("nazaj", "/")))
        return self._shown(
            request, back=request.query.get("nazaj", "/"), is_signed_out="odjavljen" in request.query
        )

    async def sign_in(self, request: web.Request) -> web.Response:
        form = {name: value for name, value in (await request.post()).items() if isinstance(value, str)}
        name, back = form.get("uporabnik", "").strip(), form.get("nazaj", "/")
        if not self._is_known(name, form.get("geslo", "")):
            return self._shown(request, back=back, name=name, is_wrong=True)
        identifier = self._random_bytes(16).hex()
        claims = request[CLAIMS]
        person = claims.get("name") or claims["sub"]
        self._sessions[identifier] = _Session(name, person, self._clock() + _LIVES_FOR)
        if len(self._sessions) > _MOST_SESSIONS:
            self._sessions.popitem(last=False)
        response = self._redirect(request, _way_back(back))
        response.headers.add("Set-Cookie", f"{COOKIE}={identifier}; Path=/; HttpOnly; SameSite=Lax")
        for value in self._settings.cookies:
            response.headers.add("Set-Cookie", value)
        return response

    async def sign_out(self, request: web.Request) -> web.Response:
        self._sessions.pop(request.cookies.get(COOKIE, ""), None)
        response = self._redirect(request, "/prijava?odjavljen=1")
        response.headers.add("Set-Cookie", f"{COOKIE}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax")
        return response

    async def for_machines(self, request: web.Request) -> web.Response:
        """Rows as JSON, for a request with user name and password."""
        if not self._is_known(*(credentials(request.headers.get("Authorization")) or ("", ""))):
            challenge = f'Basic realm="{self._settings.realm}", charset="UTF-8"'
            return web.json_response(
                {"error": "unauthorized"}, status=401, headers={"WWW-Authenticate": challenge}
            )
        table = self._portal.table(self._settings.basic_table or "")
        names = [column.name for column in table.columns]
        return web.json_response([dict(zip(names, row, strict=True)) for row in table.rows])

    def _session(self, request: web.Request) -> _Session | None:
        session = self._sessions.get(request.cookies.get(COOKIE, ""))
        return None if session is None or self._clock() >= session.ends_at else session

    def _is_known(self, name: str, password: str) -> bool:
        shown = f"{name}\0{password}".encode(errors="replace")
        return any(
            hmac.compare_digest(f"{user.name}\0{user.password}".encode(), shown)
            for user in self._settings.users
        )

    def _to_the_form(self, request: web.Request) -> web.Response:
        back = request.path_qs if request.method in ("GET", "HEAD") else "/"
        return self._redirect(request, f"/prijava?{urlencode({'nazaj': back})}")

    def _redirect(self, request: web.Request, path: str) -> web.Response:
        """303 to a path of this portal. Like old servers it writes the whole address that it believes to
        have, or only the path."""
        if self._settings.location == "absolute":
            path = f"{request.headers.get('X-Forwarded-Proto', request.scheme)}://{request.host}{path}"
        return web.Response(status=303, headers={"Location": path})

    def _shown(
        self,
        request: web.Request,
        *,
        back: str,
        name: str = "",
        is_wrong: bool = False,
        is_signed_out: bool = False,
    ) -> web.Response:
        return self._page(
            request,
            "sign_in.html",
            name=name,
            is_wrong=is_wrong,
            back=_way_back(back),
            is_signed_out=is_signed_out,
        )


def _way_back(path: str) -> str:
    """The path if it is one of this portal, and `/` if a browser could read it as another site or if it is
    the form itself."""
    is_ours = path.startswith("/") and not path.startswith(("//", "/\\", "/prijava")) and path.isprintable()
    return path if is_ours else "/"
