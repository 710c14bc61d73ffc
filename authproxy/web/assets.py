"""The static files: the style sheet, the scripts with their words in every language, the icon, and what a portal looks like: its logo,
font and colours."""

from __future__ import annotations

import gzip
import hashlib
import json
import mimetypes
from collections.abc import Callable, Mapping
from importlib.resources import files

from aiohttp import hdrs, web

from authproxy.web.pages import CONTEXT, PREFIX
from authproxy.web.request_context import PortalPresentation
from authproxy.web.templating import Templates

LOGO, FONT, LOOK = "logo", "font", "look.css"
"""The names under which every portal has its own; the host tells whose."""

_NAMES = ("pages.css", "session.js", "waiting.js", "icon.svg")
_WORDS_STAND_HERE = b"/* words */ {}"
_IMMUTABLE = "public, max-age=31536000, immutable"
# A drawing from outside may hold a style of its own. Opened by itself it is a document without a script, a neighbour or an origin.
_POLICY_OF_A_LOGO = "default-src 'none'; style-src 'unsafe-inline'; sandbox"


class Assets:
    """Read once. Their URLs name their content, so that browsers may keep them for good."""

    def __init__(self, templates: Templates) -> None:
        self._bodies = {name: _packed(files("authproxy.web").joinpath("static", name).read_bytes()) for name in _NAMES}
        self._bodies["session.js"] = self._bodies["session.js"].replace(_WORDS_STAND_HERE, _words(templates))
        self._digests = {name: _digest(body) for name, body in self._bodies.items()}
        # The same for everybody, so that nothing can be learnt from how small they get; our pages hold secrets and are never compressed.
        self._small = {name: gzip.compress(body, mtime=0) for name, body in self._bodies.items()}

    def url(self, name: str) -> str:
        return f"{PREFIX}static/{name}?v={self._digests[name]}"

    def logo_url(self, portal: PortalPresentation) -> str:
        """Where the portal's own logo is, or the gateway's icon for one that has none."""
        return self.url("icon.svg") if portal.logo is None else f"{PREFIX}static/{LOGO}?v={_digest(portal.logo.body)}"

    def look_url(self, portal: PortalPresentation) -> str:
        """Where the portal's own colours and font are; empty where it has none."""
        look = _look(portal)
        return f"{PREFIX}static/{LOOK}?v={_digest(look)}" if look else ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """The file. During an update two versions of the gateway answer under one name: only the version that was asked for is
        kept, the other one is asked for again."""
        name = request.match_info["name"]
        if name in _OF_THE_PORTAL:
            return _OF_THE_PORTAL[name](request)
        body = self._bodies.get(name)
        if body is None:
            raise web.HTTPNotFound
        media_type, digest = mimetypes.guess_type(name)[0] or "", self._digests[name]
        if "gzip" not in request.headers.get(hdrs.ACCEPT_ENCODING, ""):
            return _varying(_kept(request, body, media_type=media_type, digest=digest))
        answer = _kept(request, self._small[name], media_type=media_type, digest=digest, variant="-gzip")
        answer.headers[hdrs.CONTENT_ENCODING] = "gzip"
        return _varying(answer)


def _varying(answer: web.Response) -> web.Response:
    answer.headers[hdrs.VARY] = "Accept-Encoding"
    return answer


def _packed(body: bytes) -> bytes:
    """Without what is there for us only: indentation, empty lines and comments of whole lines."""
    lines = [line.strip() for line in body.splitlines()]
    return b"\n".join(line for line in lines if line and not line.startswith((b"//", b"/* ")))


def _logo(request: web.Request) -> web.Response:
    logo = request[CONTEXT].portal.logo
    if logo is None:
        raise web.HTTPNotFound
    answer = _kept(request, logo.body, media_type=logo.media_type, digest=_digest(logo.body))
    answer.headers["Content-Security-Policy"] = _POLICY_OF_A_LOGO
    return answer


def _font_of(request: web.Request) -> web.Response:
    font = request[CONTEXT].portal.font
    if font is None:
        raise web.HTTPNotFound
    return _kept(request, font, media_type="font/woff2", digest=_digest(font))


def _look_of(request: web.Request) -> web.Response:
    look = _look(request[CONTEXT].portal)
    if not look:
        raise web.HTTPNotFound
    return _kept(request, look, media_type="text/css", digest=_digest(look))


def _look(portal: PortalPresentation) -> bytes:
    """The style sheet with the portal's own colours and font, read after `pages.css`; empty where it has none."""
    rules = []
    if portal.colours is not None:
        rules = [_properties(portal.colours.light), f"@media (prefers-color-scheme: dark) {{ {_properties(portal.colours.dark)} }}"]
    if portal.font is not None:
        source = f'url("{FONT}?v={_digest(portal.font)}") format("woff2")'
        rules += [
            f'@font-face {{ font-family: "house"; src: {source}; font-display: swap; }}',
            'html { font-family: "house", system-ui, sans-serif; }',
        ]
    return "\n".join(rules).encode()


def _properties(values: Mapping[str, str]) -> str:
    return ":root { " + " ".join(f"--{name}: {value};" for name, value in values.items()) + " }"


def _kept(request: web.Request, body: bytes, *, media_type: str, digest: str, variant: str = "") -> web.Response:
    etag = f'"{digest}{variant}"'
    headers = {"ETag": etag, "Cache-Control": _IMMUTABLE if request.query.get("v") == digest else "no-cache"}
    if request.headers.get("If-None-Match") == etag:
        return web.Response(status=304, headers=headers)
    charset = None if media_type in {"image/png", "font/woff2"} else "utf-8"
    return web.Response(body=body, content_type=media_type, charset=charset, headers=headers)


def _words(templates: Templates) -> bytes:
    """What the script says, by language, as JSON."""
    by_language = {locale: json.loads(one.get_template("session_words.json").render()) for locale, one in templates.items()}
    return json.dumps(by_language, ensure_ascii=False, separators=(",", ":")).encode()


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()[:12]


_OF_THE_PORTAL: dict[str, Callable[[web.Request], web.Response]] = {LOGO: _logo, FONT: _font_of, LOOK: _look_of}
