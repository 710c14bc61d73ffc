"""The static files: style sheet, scripts with their words in every language, icon, and each portal's logo,
font and colours. The icon and the dialog of `session.js` are in the portal's colours, too."""

from __future__ import annotations

import functools
import gzip
import hashlib
import json
import mimetypes
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

from aiohttp import hdrs, web

from authproxy.access.own_paths import PREFIX
from authproxy.web.request_context import Colours, PortalPresentation
from authproxy.web.request_keys import CONTEXT
from authproxy.web.templating import Templates

LOGO, FONT, LOOK = "logo", "font", "look.css"
"""Every portal has its own files under these names; the host says which portal it is."""

_NAMES = ("pages.css", "session.js", "waiting.js", "frame.js", "icon.svg")
_WORDS_STAND_HERE = b"/* words */ {}"
_COLOURS_STAND_HERE = b"/* colours */"
_ICON_ON_WHITE: Final = b'fill="#0b4f6c"'
_ICON_ON_DARK: Final = b'stroke="#8fd0ec"'
_IMMUTABLE = "public, max-age=31536000, immutable"
# A drawing may contain a style of its own. If it is opened as a document, this policy takes its scripts, its
# origin and everything that it would load.
_POLICY_OF_A_LOGO = "default-src 'none'; style-src 'unsafe-inline'; sandbox"


@dataclass(frozen=True, slots=True)
class _File:
    """`small` is the body, compressed with gzip. A static file is the same for everybody at a portal, so its
    compressed size reveals nothing (BREACH). Our pages hold secrets and are never compressed."""

    body: bytes
    small: bytes
    digest: str


class Assets:
    """The files are read once. Their URLs contain a hash of the content, so browsers may keep them for
    ever."""

    def __init__(self, templates: Templates) -> None:
        bodies = {
            name: _packed(files("authproxy.web").joinpath("static", name).read_bytes()) for name in _NAMES
        }
        bodies["session.js"] = bodies["session.js"].replace(_WORDS_STAND_HERE, _words(templates))
        self._files = {name: _file(body) for name, body in bodies.items()}

    def url(self, name: str, portal: PortalPresentation) -> str:
        return f"{PREFIX}static/{name}?v={self._of(portal, name).digest}"

    def logo_url(self, portal: PortalPresentation) -> str:
        """The portal's logo, or the gateway's icon if it has none."""
        return (
            self.url("icon.svg", portal)
            if portal.logo is None
            else f"{PREFIX}static/{LOGO}?v={_digest(portal.logo.body)}"
        )

    def look_url(self, portal: PortalPresentation) -> str:
        """The portal's colours and font; empty if it has none."""
        look = _look(portal)
        return f"{PREFIX}static/{LOOK}?v={_digest(look)}" if look else ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """The file. During an update, two versions of the gateway answer under one name. Browsers may keep
        the version that was asked for; the other one they ask for again."""
        name = request.match_info["name"]
        if name in _OF_THE_PORTAL:
            return _OF_THE_PORTAL[name](request)
        if name not in self._files:
            raise web.HTTPNotFound
        file = self._of(request[CONTEXT].portal, name)
        media_type = mimetypes.guess_type(name)[0] or ""
        if "gzip" not in request.headers.get(hdrs.ACCEPT_ENCODING, ""):
            return _varying(_cacheable(request, file.body, media_type=media_type, digest=file.digest))
        answer = _cacheable(request, file.small, media_type=media_type, digest=file.digest, variant="-gzip")
        answer.headers[hdrs.CONTENT_ENCODING] = "gzip"
        return _varying(answer)

    def _of(self, portal: PortalPresentation, name: str) -> _File:
        """The file in the portal's colours, if the portal has some and the file shows any."""
        file, colours = self._files[name], portal.colours
        if colours is None or name not in _COLOURED:
            return file
        return _coloured(name, file.body, tuple(colours.light.items()), tuple(colours.dark.items()))


@functools.lru_cache(maxsize=256)
def _coloured(
    name: str, body: bytes, light: tuple[tuple[str, str], ...], dark: tuple[tuple[str, str], ...]
) -> _File:
    return _file(_COLOURED[name](body, Colours(light=dict(light), dark=dict(dark))))


def coloured_icon(body: bytes, colours: Colours | None) -> bytes:
    """The gateway's icon in these colours."""
    if colours is None:
        return body
    body = body.replace(_ICON_ON_WHITE, f'fill="{colours.light["accent"]}"'.encode())
    return body.replace(_ICON_ON_DARK, f'stroke="{colours.dark["accent"]}"'.encode())


def _coloured_script(body: bytes, colours: Colours) -> bytes:
    """The script with these colours in its dialog. It runs on pages of the portal, which do not define
    them."""
    return body.replace(_COLOURS_STAND_HERE, _in_both_modes("dialog", colours).encode())


def _file(body: bytes) -> _File:
    return _File(body, gzip.compress(body, mtime=0), _digest(body))


def _varying(answer: web.Response) -> web.Response:
    answer.headers[hdrs.VARY] = "Accept-Encoding"
    return answer


def _packed(body: bytes) -> bytes:
    """The file without indentation, empty lines and comments that take a whole line."""
    lines = [line.strip() for line in body.splitlines()]
    return b"\n".join(line for line in lines if line and not line.startswith((b"//", b"/* ")))


def _logo(request: web.Request) -> web.Response:
    logo = request[CONTEXT].portal.logo
    if logo is None:
        raise web.HTTPNotFound
    answer = _cacheable(request, logo.body, media_type=logo.media_type, digest=_digest(logo.body))
    answer.headers["Content-Security-Policy"] = _POLICY_OF_A_LOGO
    return answer


def _font_of(request: web.Request) -> web.Response:
    font = request[CONTEXT].portal.font
    if font is None:
        raise web.HTTPNotFound
    return _cacheable(request, font, media_type="font/woff2", digest=_digest(font))


def _look_of(request: web.Request) -> web.Response:
    look = _look(request[CONTEXT].portal)
    if not look:
        raise web.HTTPNotFound
    return _cacheable(request, look, media_type="text/css", digest=_digest(look))


def _look(portal: PortalPresentation) -> bytes:
    """The style sheet with the portal's colours and font, loaded after `pages.css`; empty if it has none."""
    rules = []
    if portal.colours is not None:
        rules = [_in_both_modes(":root", portal.colours)]
    if portal.font is not None:
        source = f'url("{FONT}?v={_digest(portal.font)}") format("woff2")'
        rules += [
            f'@font-face {{ font-family: "house"; src: {source}; font-display: swap; }}',
            'html { font-family: "house", system-ui, sans-serif; }',
        ]
    return "\n".join(rules).encode()


def _in_both_modes(selector: str, colours: Colours) -> str:
    dark = _properties(selector, colours.dark)
    return f"{_properties(selector, colours.light)}\n@media (prefers-color-scheme: dark) {{ {dark} }}"


def _properties(selector: str, values: Mapping[str, str]) -> str:
    return selector + " { " + " ".join(f"--{name}: {value};" for name, value in values.items()) + " }"


def _cacheable(
    request: web.Request, body: bytes, *, media_type: str, digest: str, variant: str = ""
) -> web.Response:
    etag = f'"{digest}{variant}"'
    headers = {"ETag": etag, "Cache-Control": _IMMUTABLE if request.query.get("v") == digest else "no-cache"}
    if request.headers.get("If-None-Match") == etag:
        return web.Response(status=304, headers=headers)
    charset = None if media_type in {"image/png", "font/woff2"} else "utf-8"
    return web.Response(body=body, content_type=media_type, charset=charset, headers=headers)


def _words(templates: Templates) -> bytes:
    """The words of the script, by language, as JSON."""
    by_language = {
        locale: json.loads(environment.get_template("session_words.json").render())
        for locale, environment in templates.items()
    }
    return json.dumps(by_language, ensure_ascii=False, separators=(",", ":")).encode()


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()[:12]


_OF_THE_PORTAL: dict[str, Callable[[web.Request], web.Response]] = {
    LOGO: _logo,
    FONT: _font_of,
    LOOK: _look_of,
}

_COLOURED: dict[str, Callable[[bytes, Colours], bytes]] = {
    "icon.svg": coloured_icon,
    "session.js": _coloured_script,
}
