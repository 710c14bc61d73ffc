"""What every page of the sandbox has in common: escaping, language, security headers, and a readable page for
every error."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler
from jinja2 import BytecodeCache, ChoiceLoader, Environment, PackageLoader, StrictUndefined
from jinja2.bccache import Bucket

from authproxy.sandbox.web_pages.language import Language, chosen, preferred, span

_LANGUAGE_COOKIE = "sandbox-language"
_A_YEAR = 365 * 24 * 3600


class _Compiled(BytecodeCache):
    """Compiled templates of this process. Without it a thousand tests, each with a sandbox of its own, would
    compile them a thousand times."""

    def __init__(self) -> None:
        self._known: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        known = self._known.get(bucket.key)
        if known is not None:
            bucket.bytecode_from_string(known)

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._known[bucket.key] = bucket.bytecode_to_string()


_COMPILED = _Compiled()


class SandboxPages:
    """The templates of one application, whose package contains `templates/` and `static/`.

    `form_targets` are URLs of other origins to which a form may lead, directly or by redirects: Chromium
    applies `form-action` to the whole chain. `connect` lets scripts in the page call their own origin.
    `script` is the path of `static/script.js`; without it no script runs. `frames_itself` lets the pages
    stand in frames of their own origin. Errors below the paths `json_below` are JSON; other errors are a
    page: the package's `error.html`, or the common one.
    """

    def __init__(
        self,
        package: str,
        *,
        form_targets: Iterable[str] = (),
        connect: bool = False,
        script: str | None = None,
        frames_itself: bool = False,
        json_below: tuple[str, ...] = ("/api/",),
    ) -> None:
        self._environment = Environment(
            loader=ChoiceLoader((PackageLoader(package), PackageLoader(__package__))),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            bytecode_cache=_COMPILED,
        )
        self._static = Path(str(files(package))) / "static"
        self._script = script
        self._json_below = json_below
        self._policy = "; ".join(
            (
                "default-src 'none'",
                "style-src 'self'",
                "img-src 'self'",
                *(("connect-src 'self'",) if connect else ()),
                *(("script-src 'self'",) if script else ()),
                " ".join(("form-action 'self'", *sorted({_origin(url) for url in form_targets}))),
                "base-uri 'none'",
                *(
                    ("frame-src 'self'", "frame-ancestors 'self'")
                    if frames_itself
                    else ("frame-ancestors 'none'",)
                ),
            )
        )

    def install(self, application: web.Application, *, style: str) -> None:
        """Serves the style sheet at `style`, adds security headers to every answer, and turns errors into
        pages."""
        self._environment.globals["style_sheet"] = style

        async def style_sheet(_: web.Request) -> web.FileResponse:
            return web.FileResponse(self._static / "style.css", headers={"Cache-Control": "max-age=60"})

        async def script(_: web.Request) -> web.FileResponse:
            return web.FileResponse(self._static / "script.js", headers={"Cache-Control": "max-age=60"})

        async def no_icon(_: web.Request) -> web.Response:
            return web.Response(status=204)  # browsers ask for an icon in any case

        application.router.add_get(style, style_sheet)
        if self._script is not None:
            application.router.add_get(self._script, script)
        application.router.add_get("/favicon.ico", no_icon)
        application.on_response_prepare.append(self._protect)
        application.middlewares.append(self._explain)

    def render(
        self, request: web.Request, template: str, *, status: int = 200, **values: Any
    ) -> web.Response:
        body = self.text(request, template, **values)
        response = web.Response(status=status, text=body, content_type="text/html", charset="utf-8")
        picked = chosen(request.query.get("lang"))
        if picked is not None:
            response.set_cookie(_LANGUAGE_COOKIE, picked, max_age=_A_YEAR, samesite="Lax", httponly=True)
        return response

    def text(self, request: web.Request, template: str, **values: Any) -> str:
        language = language_of(request)
        return self._environment.get_template(template).render(
            lang=language, t=_translator(language), span=partial(span, language), **values
        )

    async def _protect(self, _: web.Request, response: web.StreamResponse) -> None:
        response.headers.setdefault("Content-Security-Policy", self._policy)
        response.headers.setdefault("Cache-Control", "no-store")
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        # Not `no-referrer`, with which browsers send `Origin: null` with our own forms.
        response.headers.setdefault("Referrer-Policy", "same-origin")

    @web.middleware
    async def _explain(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPException as error:
            if error.status < 400:
                raise
            if request.path.startswith(self._json_below):
                return web.json_response({"error": error.reason}, status=error.status)
            return self.render(request, "error.html", status=error.status, problem=str(error.status))


def language_of(request: web.Request) -> Language:
    """The language that the reader picks now, has picked before, or prefers in the browser; the first of
    these counts."""
    return (
        chosen(request.query.get("lang"))
        or chosen(request.cookies.get(_LANGUAGE_COOKIE))
        or preferred(request.headers.get("Accept-Language", ""))
    )


def is_of_another_site(request: web.Request) -> bool:
    """Whether a page of another site has sent this form (Fetch Metadata). A client that does not say is not a
    browser."""
    return request.headers.get("Sec-Fetch-Site", "none") not in ("same-origin", "none")


async def json_object(request: web.Request) -> dict[str, Any]:
    """The JSON object in a request's body. Other content types are refused, because a form of a foreign page
    could send them."""
    if request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType
    try:
        body = await request.json()
    except ValueError:
        raise web.HTTPBadRequest from None
    if not isinstance(body, dict):
        raise web.HTTPBadRequest
    return body


def _translator(language: Language) -> Callable[[str, str], str]:
    def translated(slovene: str, english: str) -> str:
        return english if language == "en" else slovene

    return translated


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
