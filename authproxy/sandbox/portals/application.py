"""One demo portal: its addresses and pages. All but the style sheet, `/api/` and `/api/received` need a valid
assertion."""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from aiohttp import ClientSession, web
from aiohttp.typedefs import Handler

from authproxy.sandbox.portals import atlas, streams, windows_server
from authproxy.sandbox.portals.assertion import (
    ASSERTION_HEADER,
    CLAIMS,
    VERIFIER,
    GatewayKeys,
    KeysUnavailable,
    NotVouchedFor,
    Verifier,
)
from authproxy.sandbox.portals.batches import Batches
from authproxy.sandbox.portals.description import Description, PortalForm
from authproxy.sandbox.portals.entries import Entries, faults
from authproxy.sandbox.portals.front_page import bars, numbers, pins
from authproxy.sandbox.portals.java_server import JavaServer
from authproxy.sandbox.portals.monitoring import Monitoring
from authproxy.sandbox.portals.own_sign_in import PERSON, USER, OwnSignInPages
from authproxy.sandbox.portals.tables import Table, as_csv, filtered, month
from authproxy.sandbox.portals.trial import Trial
from authproxy.sandbox.portals.windows_server import WindowsServer
from authproxy.sandbox.web_pages.pages import SandboxPages, language_of

_OPEN_TO_ALL = frozenset({"/slog.css", "/favicon.ico", "/api/received", "/api/"})


def application(
    *,
    portal: Description,
    jwks_url: str,
    issuer: str,
    clock: Callable[[], datetime],
    random_bytes: Callable[[int], bytes] = secrets.token_bytes,
) -> web.Application:
    """A portal that accepts assertions from `issuer` for its own name, signed by a key of `jwks_url`."""
    app = web.Application(client_max_size=1024 * 1024)
    portal_pages = _Portal(portal)

    async def keys(application: web.Application) -> AsyncIterator[None]:
        async with ClientSession() as session:
            application[VERIFIER] = Verifier(
                GatewayKeys(session, jwks_url, clock), issuer=issuer, audience=portal.portal_id, clock=clock
            )
            yield

    app.cleanup_ctx.append(keys)
    page = portal_pages.page
    portal_pages.pages.install(app, style="/slog.css")
    app.middlewares.append(portal_pages.guard)
    if portal.own_sign_in is not None:
        own_sign_in = OwnSignInPages(portal, portal.own_sign_in, page, clock=clock, random_bytes=random_bytes)
        app.middlewares.append(own_sign_in.guard)
        own_sign_in.route(app.router)
    portal_pages.route(app.router)
    match portal.server:
        case "java":
            JavaServer(portal, page, random_bytes=random_bytes).route(app.router, portal_pages.rows_of)
        case "windows":
            WindowsServer(portal, page, random_bytes=random_bytes).route(app.router)
    if portal.monitor is not None:
        Monitoring(portal, page).route(app.router)
    if portal.takes_batches:
        Batches().route(app.router)
    Trial(portal, page).route(app.router)
    streams.route(app.router)
    return app


class _Portal:
    def __init__(self, portal: Description) -> None:
        self._portal = portal
        self._entries = Entries()
        self._open = _OPEN_TO_ALL | (windows_server.OPEN if portal.server == "windows" else frozenset())
        self.pages = SandboxPages(
            "authproxy.sandbox.portals",
            connect=True,
            script="/skript.js" if portal.monitor is not None else None,
            frames_itself=portal.server == "java",
        )

    def route(self, router: web.UrlDispatcher) -> None:
        router.add_get("/", self.home)
        for table in self._portal.tables:
            router.add_get(table.path, self.rows_of(table))
            router.add_get(f"{table.path}.csv", self._file_of(table))
            router.add_get(f"{table.path}/{{key}}", self._row_of(table))
        for form in self._portal.forms:
            router.add_get(form.path, self._empty(form))
            router.add_post(form.path, self._filled(form))
            router.add_get(f"{form.path}/{{number}}", self._receipt(form))
        if self._portal.monthly is not None:
            router.add_get(r"/izpis/{year:\d{4}}/{month:\d{1,2}}", self.statement)

    @web.middleware
    async def guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """403 without a valid assertion, 503 if the keys to verify it cannot be fetched."""
        if request.path not in self._open:
            try:
                request[CLAIMS] = await request.app[VERIFIER].claims(request.headers.get(ASSERTION_HEADER))
            except NotVouchedFor as fault:
                return self.page(request, "refused.html", status=403, why=str(fault), known=True)
            except KeysUnavailable:
                return self.page(request, "refused.html", status=503, why="keys_unavailable", known=False)
        return await handler(request)

    async def home(self, request: web.Request) -> web.Response:
        portal = self._portal
        return self.page(
            request,
            "home.html",
            numbers=numbers(portal),
            bars=bars(portal),
            pins=pins(portal),
            atlas=atlas,
            tax_number=_masked(request[CLAIMS].get("tax_number")),
        )

    def rows_of(self, table: Table) -> Handler:
        async def rows(request: web.Request) -> web.Response:
            return self.page(
                request, "table.html", table=table, rows=filtered(table, request.query), query=request.query
            )

        return rows

    def _file_of(self, table: Table) -> Handler:
        async def file(request: web.Request) -> web.Response:
            text = as_csv(table, filtered(table, request.query), is_english=language_of(request) == "en")
            disposition = f'attachment; filename="{table.path.strip("/")}.csv"'
            return web.Response(
                text=text,
                content_type="text/csv",
                charset="utf-8",
                headers={"Content-Disposition": disposition},
            )

        return file

    def _row_of(self, table: Table) -> Handler:
        async def row(request: web.Request) -> web.Response:
            row_found = table.find(request.match_info["key"])
            if row_found is None:
                raise web.HTTPNotFound
            about = [form for form in self._portal.forms if form.about == table.path]
            return self.page(request, "row.html", table=table, row=row_found, about=about)

        return row

    async def statement(self, request: web.Request) -> web.Response:
        year, number, table = (
            int(request.match_info["year"]),
            int(request.match_info["month"]),
            self._portal.monthly,
        )
        if table is None or not 1 <= number <= 12:
            raise web.HTTPNotFound
        rows = month(table, year, number)
        return self.page(request, "statement.html", table=table, rows=rows, year=year, number=number)

    def _empty(self, form: PortalForm) -> Handler:
        async def empty(request: web.Request) -> web.Response:
            return self.page(request, "form.html", form=form, entered=request.query, wrong={})

        return empty

    def _filled(self, form: PortalForm) -> Handler:
        async def filled(request: web.Request) -> web.Response:
            entered = {name: _said(value) for name, value in (await request.post()).items()}
            wrong = faults(form, entered, self._portal)
            if wrong:
                return self.page(request, "form.html", status=422, form=form, entered=entered, wrong=wrong)
            number = self._entries.add(form, entered, subject=request[CLAIMS]["sub"])
            raise web.HTTPSeeOther(f"{form.path}/{number}")

        return filled

    def _receipt(self, form: PortalForm) -> Handler:
        async def receipt(request: web.Request) -> web.Response:
            entered = self._entries.find(request.match_info["number"], subject=request[CLAIMS]["sub"])
            if entered is None:
                raise web.HTTPNotFound
            return self.page(
                request, "receipt.html", form=form, entered=entered, number=request.match_info["number"]
            )

        return receipt

    def page(self, request: web.Request, template: str, *, status: int = 200, **values: Any) -> web.Response:
        other_query = urlencode([(name, value) for name, value in request.query.items() if name != "lang"])
        return self.pages.render(
            request,
            template,
            status=status,
            portal=self._portal,
            who=request.get(CLAIMS),
            user=request.get(USER),
            person=request.get(PERSON),
            here=request.path,
            kept=other_query,
            **values,
        )


def _said(value: object) -> str:
    """The text of one form field; for a file its name and size."""
    if isinstance(value, web.FileField):
        return f"{value.filename} ({value.file.seek(0, os.SEEK_END)} B)"
    return value if isinstance(value, str) else ""


def _masked(tax_number: object) -> str | None:
    return f"*****{tax_number[-3:]}" if isinstance(tax_number, str) and tax_number else None
