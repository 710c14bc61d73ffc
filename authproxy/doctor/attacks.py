"""PURE: the lists behind the attacks: paths, forged fields, requests whose length can be read in two ways."""

from __future__ import annotations

from typing import Final

from authproxy.doctor.raw_http import Field

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
RAW: Final = (
    "/doctor/\xc4\x8d",
    "/doctor/\xe8",
    "/doctor/a b",
    "/doctor/a#b",
    "/doctor/a?b\xff",
    "/doctor/\x01",
    "doctor",
)
"""What can be said as a path over HTTP/2 only, byte for byte."""
ADDRESS: Final = "203.0.113.77"
"""A made-up address of a client."""
MOST_FIELDS: Final = 60
"""Of a request: some servers take no more than a hundred."""
HANDSHAKE: Final[tuple[Field, ...]] = (
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA=="),
)
HTTP2_HANDSHAKE: Final[tuple[Field, ...]] = ((":protocol", "websocket"), ("sec-websocket-version", "13"))
"""Of a WebSocket over HTTP/2 (RFC 8441)."""
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


def of_two_lengths_over_http2(inner: str, host: str) -> dict[str, tuple[str, str, tuple[Field, ...], str]]:
    """The same over HTTP/2, for a front proxy that writes HTTP/1.1 to the portal: path, authority, further
    fields and body."""
    chunked, ends_early = ("transfer-encoding", "chunked"), f"0\r\n\r\n{inner}"
    line = f"{OWN} HTTP/1.1\r\nHost: {host}\r\n\r\n{inner.rstrip()}\r\nX-A: "
    return {
        "transfer-encoding": (OWN, host, (chunked,), ends_early),
        "a length of 0 before a body": (OWN, host, (("content-length", "0"),), inner),
        "a line feed in a value": (OWN, host, (("x-a", "b\r\ntransfer-encoding: chunked"),), ends_early),
        "a line feed in a name": (OWN, host, (("x-a: b\r\ntransfer-encoding", "chunked"),), ends_early),
        "a line feed in the path": (line, host, (), ""),
        "a line feed in the authority": (OWN, f"{host}\r\n\r\n{inner.rstrip()}\r\nX-A: ", (), ""),
    }


def forwarding(host: str) -> tuple[Field, ...]:
    """Headers that say where a request came from, with a made-up address and this host."""
    return (
        ("X-Forwarded-For", ADDRESS),
        ("X-Real-IP", ADDRESS),
        ("Forwarded", f"for={ADDRESS};host={host}"),
        ("True-Client-IP", ADDRESS),
        ("X-Client-IP", ADDRESS),
        ("X-Cluster-Client-IP", ADDRESS),
        ("CF-Connecting-IP", ADDRESS),
        ("X-Forwarded-Server", host),
        ("X-Forwarded-Prefix", f"/{host}"),
    )


def question(dialect: str, scheme: str, host: str) -> tuple[Field, ...]:
    """The headers of a question about a path that no portal has."""
    if dialect == "envoy":
        return (("X-Forwarded-Proto", scheme),)
    if dialect == "nginx":
        return ("X-Original-URL", f"{scheme}://{host}{OWN}"), ("X-Original-Method", "GET")
    return (
        ("X-Forwarded-Method", "GET"),
        ("X-Forwarded-Proto", scheme),
        ("X-Forwarded-Host", host),
        ("X-Forwarded-Uri", OWN),
    )


def questions(scheme: str, host: str, harmless: str) -> tuple[Field, ...]:
    """Headers by which front proxies ask. They describe a request for a harmless path, or nonsense."""
    return (
        ("X-Original-URL", f"{scheme}://{host}{harmless}"),
        ("X-Original-URI", harmless),
        ("X-Forwarded-Uri", harmless),
        ("X-Rewrite-URL", harmless),
        ("X-Envoy-Original-Path", harmless),
        ("X-Original-Method", "OPTIONS"),
        ("X-Forwarded-Method", "OPTIONS"),
        ("X-Forwarded-Host", "authproxy-doctor.invalid"),
        ("X-Forwarded-Proto", "javascript"),
        ("X-Original-Host", "authproxy-doctor.invalid"),
        ("X-Authproxy-Question", "t=1;h=00"),
    )
