"""One demo portal: which address shows what, and to whom. Everything but style sheet and `/api/received` wants a good assertion."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from aiohttp import ClientSession, web
from aiohttp.typedefs import Handler

from authproxy.sandbox.furniture.pages import Pages
from authproxy.sandbox.portals import streams
from authproxy.sandbox.portals.assertion import KeySet, KeysUnavailable, NotVouchedFor, Verifier
from authproxy.sandbox.portals.ledger import filtered, states, transactions

ASSERTION_HEADER = "X-Auth-Assertion"
_OPEN_TO_ALL = frozenset({"/slog.css", "/favicon.ico", "/api/received", "/api/"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Branding:
    """What one portal shows of itself; `look` picks one of the colour schemes in the style sheet."""

    portal_id: str
    name: str
    look: Literal["green", "brown", "blue", "red", "grey", "teal"]


ACQ = Branding(portal_id="acq", name="Acquiring portal", look="green")
B2B = Branding(portal_id="b2b", name="B2B portal", look="brown")

_VERIFIER = web.AppKey("_VERIFIER", Verifier)
_CLAIMS = web.RequestKey("_CLAIMS", dict[str, Any])


def application(*, branding: Branding, jwks_url: str, issuer: str, clock: Callable[[], datetime]) -> web.Application:
    """A portal that believes assertions of `issuer` for `branding.portal_id`, signed by a key of `jwks_url`."""
    portal = _Portal(branding)
    made = web.Application(client_max_size=64 * 1024)

    async def keys(application: web.Application) -> AsyncIterator[None]:
        async with ClientSession() as session:
            key_set = KeySet(session, jwks_url, clock)
            application[_VERIFIER] = Verifier(key_set, issuer=issuer, audience=branding.portal_id, clock=clock)
            yield

    made.cleanup_ctx.append(keys)
    portal.pages.furnish(made, style="/slog.css")
    made.middlewares.append(portal.guard)
    made.router.add_get("/", portal.home)
    made.router.add_get("/transakcije", portal.transactions)
    made.router.add_get(r"/izpis/{year:\d{4}}/{month:\d{1,2}}", portal.statement)
    made.router.add_get("/vnos", portal.entry)
    made.router.add_post("/vnos", portal.entry)
    made.router.add_get("/piskotek", portal.cookie)
    made.router.add_get("/api/jaz", portal.me)
    made.router.add_get("/api/", portal.interface)
    made.router.add_route("*", "/api/received", portal.received)
    streams.route(made.router)
    return made


class _Portal:
    def __init__(self, branding: Branding) -> None:
        self._branding = branding
        self._transactions = transactions()
        self.pages = Pages("authproxy.sandbox.portals", connect=True)

    @web.middleware
    async def guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """403 without a good assertion, 503 where that cannot be told."""
        if request.path not in _OPEN_TO_ALL:
            try:
                request[_CLAIMS] = await request.app[_VERIFIER].claims(request.headers.get(ASSERTION_HEADER))
            except NotVouchedFor as fault:
                return self._page(request, "refused.html", status=403, why=str(fault), known=True)
            except KeysUnavailable:
                return self._page(request, "refused.html", status=503, why="keys_unavailable", known=False)
        return await handler(request)

    async def home(self, request: web.Request) -> web.Response:
        return self._page(request, "home.html", tax_number=_masked(request[_CLAIMS].get("tax_number")))

    async def transactions(self, request: web.Request) -> web.Response:
        rows = filtered(self._transactions, request.query)
        return self._page(request, "transactions.html", rows=rows, query=request.query, states=states())

    async def statement(self, request: web.Request) -> web.Response:
        year, month = int(request.match_info["year"]), int(request.match_info["month"])
        if not 1 <= month <= 12:
            raise web.HTTPNotFound
        rows = [row for row in self._transactions if row.day.startswith(f"{year}-{month:02}")]
        return self._page(request, "statement.html", rows=rows, month=f"{month}/{year}")

    async def entry(self, request: web.Request) -> web.Response:
        form = {name: value for name, value in (await request.post()).items() if isinstance(value, str)}
        return self._page(request, "entry.html", entered=form if request.method == "POST" else None)

    async def cookie(self, request: web.Request) -> web.Response:
        """Counts visits in a cookie of the portal's own."""
        name = f"{self._branding.portal_id}_obiski"
        before = request.cookies.get(name, "0")
        visits = int(before) + 1 if before.isascii() and before.isdigit() and len(before) < 7 else 1
        response = self._page(request, "cookie.html", visits=visits, cookie=name)
        response.set_cookie(name, str(visits), path="/", httponly=True, samesite="Lax")
        return response

    async def me(self, request: web.Request) -> web.Response:
        return web.json_response(request[_CLAIMS])

    async def received(self, request: web.Request) -> web.Response:
        """What arrived here, header by header in order, and what the portal makes of the assertion."""
        verdict: dict[str, Any]
        try:
            verdict = {"valid": True, "claims": await request.app[_VERIFIER].claims(request.headers.get(ASSERTION_HEADER))}
        except (NotVouchedFor, KeysUnavailable) as fault:
            verdict = {"valid": False, "why": str(fault)}
        raw_path, _, query = request.path_qs.partition("?")
        return web.json_response({
            "portal": self._branding.portal_id, "method": request.method, "path": raw_path, "query": query,
            "headers": [[name.decode("latin-1"), value.decode("latin-1")] for name, value in request.raw_headers], "assertion": verdict,
        })  # fmt: skip

    async def interface(self, _: web.Request) -> web.Response:
        return web.json_response({
            "/api/received": "what arrived here, and what the portal makes of the assertion", "/api/jaz": "claims of the assertion",
            "/prenos?bytes=N": "a download", "/nalaganje": "POST anything, its bytes are counted",
            "/dogodki?stevilo=N&premor_ms=MS": "server-sent events", "/ws": "WebSocket echo", "/piskotek": "a cookie of the portal",
        })  # fmt: skip

    def _page(self, request: web.Request, template: str, *, status: int = 200, **values: Any) -> web.Response:
        who = request.get(_CLAIMS)
        return self.pages.render(request, template, status=status, branding=self._branding, who=who, **values)


def _masked(tax_number: object) -> str | None:
    return f"*****{tax_number[-3:]}" if isinstance(tax_number, str) and tax_number else None
