"""The proof that a question comes from a front proxy that knows the key."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from authproxy.edge.rules.question import flaw, signed_text
from authproxy.edge.rules.request_head import RequestHead
from authproxy.edge.rules.subrequest import ALL, CADDY, ENVOY, NGINX, Dialect

KEY, OTHER_KEY = bytes(range(32)), bytes(range(1, 33))
NOW = 1_800_000_000.0
AT = b"1800000000"
COOKIES = b"a=1; __Host-authproxy=1.ticket"
ORIGINAL = {
    "nginx": [(b"X-Original-URL", b"https://acq.example/a?b=%2f"), (b"X-Original-Method", b"GET")],
    "envoy": [(b"X-Forwarded-Proto", b"https"), (b"Content-Length", b"0")],
} | {
    name: [
        (b"X-Forwarded-Method", b"GET"),
        (b"X-Forwarded-Proto", b"https"),
        (b"X-Forwarded-Host", b"acq.example"),
        (b"X-Forwarded-Uri", b"/a?b=%2f"),
    ]
    for name in ("caddy", "traefik", "haproxy")
}


def asked(dialect: Dialect, *more: tuple[bytes, bytes], proof: bytes | None = None) -> RequestHead:
    target = f"/.authproxy/auth/{dialect.name}" + ("/a?b=%2f" if dialect is ENVOY else "")
    host = b"acq.example" if dialect is ENVOY else b"auth"
    fields = [*ORIGINAL[dialect.name], (b"X-Forwarded-For", b"192.0.2.7"), *more]
    if proof is not None:
        fields.append((b"X-Authproxy-Question", proof))
    head = RequestHead("GET", target, is_http_1_0=False, fields=fields, host=host)
    head.cookies = COOKIES
    return head


def proof(name: str, *, key: bytes = KEY, at: bytes = AT, changed: tuple[int, bytes] | None = None) -> bytes:
    lines = [at, name.encode(), b"GET", b"https", b"acq.example", b"/a?b=%2f", b"192.0.2.7", COOKIES]
    if changed is not None:
        lines[changed[0]] = changed[1]
    mac = hmac.new(key, b"\n".join(lines), hashlib.sha256).hexdigest()
    return b"t=%s;h=%s" % (at, mac.encode())


@pytest.mark.parametrize("dialect", ALL, ids=lambda dialect: dialect.name)
def test_every_dialect_can_prove_that_it_asks(dialect):
    assert flaw(asked(dialect, proof=proof(dialect.name)), dialect, (OTHER_KEY, KEY), NOW) == ""


def test_without_cookies_the_last_line_is_empty():
    head = asked(CADDY)
    head.cookies = b""
    assert signed_text(AT, head, CADDY) == (
        b"1800000000\ncaddy\nGET\nhttps\nacq.example\n/a?b=%2f\n192.0.2.7\n"
    )


@pytest.mark.parametrize("line", range(8))
def test_a_proof_of_something_else_proves_nothing(line):
    other = proof("caddy", changed=(line, b"1800000001" if line == 0 else b"other"))
    assert flaw(asked(CADDY, proof=other), CADDY, (KEY,), NOW) == "its HMAC is another one"


def test_a_proof_by_another_key_proves_nothing():
    assert flaw(asked(CADDY, proof=proof("caddy", key=OTHER_KEY)), CADDY, (KEY,), NOW)


@pytest.mark.parametrize(("late", "holds"), [(-31, False), (-30, True), (30, True), (30.5, False)])
def test_a_proof_holds_for_half_a_minute(late, holds):
    found = flaw(asked(CADDY, proof=proof("caddy")), CADDY, (KEY,), NOW + late)
    assert found == ("" if holds else "its time is more than 30 s away from ours")


def test_without_a_key_no_proof_can_hold():
    assert "subrequest_key" in flaw(asked(CADDY, proof=proof("caddy")), CADDY, (), NOW)


@pytest.mark.parametrize(
    "written",
    [
        b"",
        b"t=1800000000",
        b"h=" + b"0" * 64,
        proof("caddy") + b" ",
        proof("caddy").upper(),
        proof("caddy").replace(b";", b"; "),
        proof("caddy").replace(b"t=", b"t=+"),
        proof("caddy").replace(b"t=", b"t=0"),
        proof("caddy")[:-1],
        b"t=%d;h=%s" % (10**12, b"0" * 64),
    ],
)
def test_a_proof_is_written_in_one_way(written):
    assert "written" in flaw(asked(CADDY, proof=written), CADDY, (KEY,), NOW)


def test_two_proofs_prove_nothing():
    good = proof("caddy")
    head = asked(CADDY, (b"X-Authproxy-Question", good), proof=good)
    assert "once" in flaw(head, CADDY, (KEY,), NOW)


@pytest.mark.parametrize("name", [b"X-Forwarded-For", b"X-Original-URL"])
def test_what_stands_twice_cannot_be_proved(name):
    head = asked(NGINX, (name, b"192.0.2.7"), proof=proof("nginx"))
    assert "not there once" in flaw(head, NGINX, (KEY,), NOW)


def test_a_method_that_is_none_cannot_be_proved():
    head = asked(CADDY, proof=proof("caddy"))
    head.fields = [
        (name, b"G\xff" if name == b"X-Forwarded-Method" else value) for name, value in head.fields
    ]
    assert "not there once" in flaw(head, CADDY, (KEY,), NOW)
