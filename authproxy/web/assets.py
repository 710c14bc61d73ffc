"""The static files: the style sheet, the scripts with their words in every language, the icon, and the portal's logo."""

from __future__ import annotations

import gzip
import hashlib
import json
import mimetypes
from importlib.resources import files

from aiohttp import hdrs, web

from authproxy.web.pages import CONTEXT, PREFIX
from authproxy.web.request_context import PortalPresentation
from authproxy.web.templating import Templates

LOGO = "logo"
"""The name under which every portal has its own; the host tells whose."""

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

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """The file. During an update two versions of the gateway answer under one name: only the version that was asked for is
        kept, the other one is asked for again."""
        name = request.match_info["name"]
        if name == LOGO:
            return _logo(request)
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


def _kept(request: web.Request, body: bytes, *, media_type: str, digest: str, variant: str = "") -> web.Response:
    etag = f'"{digest}{variant}"'
    headers = {"ETag": etag, "Cache-Control": _IMMUTABLE if request.query.get("v") == digest else "no-cache"}
    if request.headers.get("If-None-Match") == etag:
        return web.Response(status=304, headers=headers)
    charset = None if media_type == "image/png" else "utf-8"
    return web.Response(body=body, content_type=media_type, charset=charset, headers=headers)


def _words(templates: Templates) -> bytes:
    """What the script says, by language, as JSON."""
    by_language = {locale: json.loads(one.get_template("session_words.json").render()) for locale, one in templates.items()}
    return json.dumps(by_language, ensure_ascii=False, separators=(",", ":")).encode()


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()[:12]
