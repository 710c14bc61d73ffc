"""What deploy/README.md says about the questions of front proxies is what the gateway reads."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from authproxy.edge.rules.question import flaw
from authproxy.edge.rules.request_head import RequestHead
from authproxy.edge.rules.subrequest import ALL, CADDY

TEXT = (Path(__file__).parents[2] / "deploy/README.md").read_text()
SECTION = TEXT.partition("## The questions of front proxies")[2].partition("\n## ")[0]


def test_the_example_of_a_proof_holds():
    key = bytes.fromhex(re.search(r"key=([0-9a-f]{64})", SECTION)[1])
    lines = re.search(r"printf '(.*?)'", SECTION)[1].split("\\n")
    stated = re.search(r"\(stdin\)= ([0-9a-f]{64})", SECTION)[1]
    at, name, method, scheme, host, target, client, cookies = (line.encode() for line in lines)
    assert name.decode() == CADDY.name
    head = RequestHead(
        "GET",
        "/.authproxy/auth/caddy",
        is_http_1_0=False,
        fields=[
            (b"X-Forwarded-Method", method),
            (b"X-Forwarded-Proto", scheme),
            (b"X-Forwarded-Host", host),
            (b"X-Forwarded-Uri", target),
            (b"X-Forwarded-For", client),
            (b"X-Authproxy-Question", b"t=%s;h=%s" % (at, stated.encode())),
        ],
    )
    head.cookies = cookies
    assert flaw(head, CADDY, (key,), float(at)) == ""


def names_in(cell: str) -> set[str]:
    """The header names of a cell. A name that begins with `-` has the beginning of the one before it."""
    names: set[str] = set()
    family = ""
    for name in re.findall(r"`([A-Za-z-]+)`", cell):
        if name.startswith("-"):
            names.add(f"{family}{name}".lower())
        elif "-" in name:
            names.add(name.lower())
            family = name.rpartition("-")[0]
    return names


@pytest.mark.parametrize("dialect", ALL, ids=lambda dialect: dialect.name)
def test_the_table_names_the_headers_that_each_proxy_must_send_and_must_not(dialect):
    rows = {row[1]: row for row in (line.split("|") for line in SECTION.splitlines() if line.startswith("|"))}
    row = next(row for first, row in rows.items() if f"`{dialect.name}`" in first)
    others = names_in(row[3])
    if "the same" in row[3]:
        others |= names_in(next(row for first, row in rows.items() if "`caddy`" in first)[3])
    read = {
        name.decode()
        for name in (dialect.url_header, dialect.uri_header, dialect.method_header, dialect.scheme_header)
        if name
    } | ({dialect.host_header.decode()} if dialect.host_header else set())
    needed = names_in(row[2])
    assert needed - {"x-forwarded-for"} == read
    assert ("x-forwarded-for" in needed) == dialect.needs_client
    assert others == {
        name.decode()
        for name in (
            *dialect.must_agree,
            *dialect.must_agree_on_url,
            *dialect.must_agree_on_host,
            *dialect.must_agree_on_method,
            *dialect.must_agree_on_scheme,
        )
    }
