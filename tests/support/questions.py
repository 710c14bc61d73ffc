"""The questions of front proxies, as each kind asks them, in bytes."""

from __future__ import annotations

import hashlib
import hmac

from tests.support.edge import GOOD, HOST

FORWARDING = ("caddy", "traefik", "haproxy")
"""The dialects that describe the original request by X-Forwarded-*."""
DIALECTS = ("nginx", *FORWARDING, "envoy")
CLIENT = "192.0.2.7"


def question(
    dialect: str,
    *fields: str,
    scheme: str = "http",
    host: str = HOST,
    target: str = "/page?a=b",
    method: str = "GET",
    ticket: str | None = GOOD,
    client: str | None = CLIENT,
    without: str = "",
    version: str = "HTTP/1.1",
) -> bytes:
    """A question about a request. `without` names a line that is left out."""
    path = f"/.authproxy/auth/{dialect}"
    if dialect == "nginx":
        line, asked_host = f"GET {path}", "auth"
        lines = [f"X-Original-URL: {scheme}://{host}{target}", f"X-Original-Method: {method}"]
    elif dialect == "envoy":
        line, asked_host = f"{method} {path}{target}", host
        lines = ["Content-Length: 0", f"X-Forwarded-Proto: {scheme}"]
    else:
        line, asked_host = f"GET {path}", "auth"
        lines = [
            f"X-Forwarded-Method: {method}",
            f"X-Forwarded-Proto: {scheme}",
            f"X-Forwarded-Host: {host}",
            f"X-Forwarded-Uri: {target}",
        ]
    lines = [f"Host: {asked_host}", *lines]
    lines += [f"X-Forwarded-For: {client}"] if client is not None else []
    lines += [f"Cookie: __Host-authproxy={ticket}"] if ticket is not None else []
    lines = [each for each in lines if not without or not each.startswith(f"{without}:")]
    return ("\r\n".join([f"{line} {version}", *lines, *fields]) + "\r\n\r\n").encode("latin-1")


def proof(
    dialect: str,
    key: bytes,
    *,
    at: int,
    scheme: str = "http",
    host: str = HOST,
    target: str = "/page?a=b",
    method: str = "GET",
    client: str = CLIENT,
    cookie: str = f"__Host-authproxy={GOOD}",
) -> str:
    """The line by which a front proxy proves that the question is its own."""
    text = "\n".join([str(at), dialect, method, scheme, host, target, client, cookie])
    return (
        f"X-Authproxy-Question: t={at};h={hmac.new(key, text.encode('latin-1'), hashlib.sha256).hexdigest()}"
    )
