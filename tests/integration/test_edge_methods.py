"""Which methods reach a portal, and what else than its target decides about a request: destinations of
WebDAV, and CORS preflights."""

from __future__ import annotations

import dataclasses
from ipaddress import ip_network

import pytest

from authproxy.access import methods
from authproxy.access.routes import Requirement, Route
from tests.support.edge import COOKIE, FORBIDDEN, GOOD, HOST, PORTAL, ROUTE, SLOW, Edge, request, running_edge

ADMIN = Route(name="acq/admin", path="/admin", requirement=Requirement())
WEBDAV = dataclasses.replace(
    PORTAL, methods=methods.ORDINARY | methods.WEBDAV, webdav=True, routes=(ADMIN, ROUTE)
)
CORS = dataclasses.replace(PORTAL, passes_preflights=True)
PREFLIGHT = (
    "Origin: https://partner.example",
    "Access-Control-Request-Method: PUT",
    "Access-Control-Request-Headers: x-kind",
)


def question(method: str, path: str, *fields: str, ticket: str | None = GOOD) -> bytes:
    """A subrequest of nginx about such a request."""
    lines = [
        "GET /.authproxy/auth/nginx HTTP/1.1",
        "Host: auth",
        f"X-Original-URL: http://{HOST}{path}",
        f"X-Original-Method: {method}",
    ]
    lines += [f"Cookie: __Host-authproxy={ticket}"] if ticket else []
    return ("\r\n".join([*lines, *fields]) + "\r\n\r\n").encode()


async def nginx_is_told(edge: Edge, *asked: str, ticket: str | None = GOOD):
    client = await edge.client(unix=True)
    await client.send(question(*asked, ticket=ticket))
    return await client.answer()


@pytest.mark.parametrize("method", ["PROPFIND", "COPY", "REPORT", "PURGE", "QUERY", "BIND", "LINK", "TRACE"])
async def test_a_portal_that_has_not_asked_for_it_is_asked_with_ordinary_methods_only(method):
    async with running_edge() as edge:
        answer = await (await edge.client()).ask(f"{method} /a", "Destination: /b")
        assert (answer.status, answer.get("allow")) == (405, b"DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT")
        assert (await nginx_is_told(edge, method, "/a", "Destination: /b")).status == 403
        assert (edge.portal.conversations, edge.access.asked) == ([], [])
        assert edge.observed[0]["reason"] == "method_unsupported"


async def test_a_portal_names_its_methods_and_they_hold_for_its_own_places_only():
    async with running_edge(
        portal=dataclasses.replace(PORTAL, methods=frozenset({"GET", "PURGE", "QUERY"}))
    ) as edge:
        client = await edge.client()
        assert (await client.ask("PURGE /a")).status == 200
        assert (await client.ask("QUERY /a", "Content-Length: 3", body=b"abc")).status == 200
        assert edge.portal.received.startswith(b"PURGE /a HTTP/1.1\r\n")
        assert (await client.ask("POST /.authproxy/logout", "Content-Length: 0")).status == 200
        refused = await client.ask("POST /a", "Content-Length: 0")
        assert (refused.status, refused.get("allow")) == (405, b"GET, PURGE, QUERY")


@pytest.mark.parametrize(
    ("sent", "received"),
    [("/b/%61", "/b/a"), (f"http://{HOST}/b", "/b"), (f"HTTP://{HOST.upper()}:80/b%c4%8d/", "/b%C4%8D/")],
)
async def test_a_copy_goes_through_with_the_destination_that_was_judged(sent, received):
    async with running_edge(portal=WEBDAV) as edge:
        answer = await (await edge.client()).ask("COPY /a", f"Destination: {sent}", "Overwrite: F")
        assert answer.status == 200
        assert f"\r\nDestination: http://{HOST}{received}\r\n".encode() in edge.portal.received
        asked = {(target.method, target.path) for target in edge.access.asked}
        assert asked == {
            ("COPY", "/a"),
            ("GET", "/a"),
            ("COPY", received),
            ("PUT", received),
            ("DELETE", received),
        }


@pytest.mark.parametrize("ticket", [GOOD, SLOW])
@pytest.mark.parametrize(
    ("line", "fields"),
    [
        ("COPY /a", [f"Destination: http://{HOST}/admin/x"]),
        ("MOVE /a", ["Destination: /%61dmin"]),
        ("COPY /admin/x", ["Destination: /a"]),
        ("MOVE /", ["Destination: /b"]),
        ("COPY /", ["Destination: /b"]),
        ("DELETE /", []),
        ("PROPFIND /", ["Depth: infinity"]),
        ("REPORT /a", []),
        ("COPY /", ["Destination: /b", "Depth: 0", "Connection: Depth"]),
        ("COPY /", ["Destination: /b", "depth: 0", "Depth: infinity"]),
    ],
)
async def test_nothing_reaches_a_protected_place_by_the_way_of_another(line, fields, ticket):
    async with running_edge(portal=WEBDAV) as edge:
        edge.access.closed = ("/admin",)
        edge.access.may_answer.set()
        answer = await (await edge.client()).ask(
            line, *fields, cookie=f"Cookie: __Host-authproxy={ticket}\r\n"
        )
        assert (answer.status, edge.portal.conversations) == (403, [])
        method, _, path = line.partition(" ")
        assert (await nginx_is_told(edge, method, path, *fields, ticket=ticket)).status == 403
        assert {each["reason"] for each in edge.observed} == {"level_too_low"}


async def test_a_destination_on_two_lines_missing_or_elsewhere_goes_nowhere():
    async with running_edge(portal=WEBDAV) as edge:
        for fields, status in (
            ([], 400),
            (["Destination: /a", "destination: /b"], 400),
            (["Destination: /a/../admin"], 400),
            (["Destination: /a?b"], 400),
            (["Destination: http://other.example/a"], 403),
            (["Destination: /.authproxy/session"], 403),
        ):
            assert (await (await edge.client()).ask("MOVE /a", *fields)).status == status, fields
            assert (await nginx_is_told(edge, "MOVE", "/a", *fields)).status == 403, fields
        assert edge.portal.conversations == []


async def test_a_portal_gets_the_destination_as_it_knows_itself():
    async with running_edge(portal=WEBDAV) as edge:
        site = edge.gate.sites[HOST]
        site.way = dataclasses.replace(site.way, host=b"inside:8443", scheme=b"https")
        assert (await (await edge.client()).ask("COPY /a", f"Destination: http://{HOST}/b")).status == 200
        assert b"\r\nDestination: https://inside:8443/b\r\n" in edge.portal.received


async def test_whoever_is_not_signed_in_copies_nothing_and_is_told_where_to_sign_in():
    async with running_edge(portal=WEBDAV) as edge:
        answer = await (await edge.client()).ask("COPY /a", "Destination: /b", cookie="")
        assert (answer.status, edge.portal.conversations) == (401, [])


async def test_a_preflight_reaches_the_portal_for_nobody():
    async with running_edge(portal=CORS) as edge:
        client = await edge.client()
        answer = await client.ask("OPTIONS /api?x=1", *PREFLIGHT, "X-Auth-Subject: forged", cookie="")
        assert answer.status == 200
        head = edge.portal.received
        assert head.startswith(b"OPTIONS /api?x=1 HTTP/1.1\r\n")
        assert b"Access-Control-Request-Method: PUT\r\n" in head
        assert not [name for name in (b"x-auth-", b"cookie", b"authorization") if name in head.lower()]
        assert edge.access.asked == []
        assert (edge.observed[0]["decision"], edge.observed[0]["reason"], edge.observed[0]["session"]) == (
            "preflight",
            None,
            None,
        )


@pytest.mark.parametrize(
    ("line", "fields", "cookie"),
    [
        ("OPTIONS /api", PREFLIGHT[:1], ""),
        ("OPTIONS /api", PREFLIGHT[1:], ""),
        ("OPTIONS /api", (*PREFLIGHT, "Origin: null"), ""),
        ("OPTIONS /api", (*PREFLIGHT, PREFLIGHT[1]), ""),
        ("OPTIONS /api", (*PREFLIGHT, "Authorization: Basic eDp5"), ""),
        ("OPTIONS /api", (*PREFLIGHT, "Content-Length: 1"), ""),
        ("OPTIONS /api", (*PREFLIGHT, "Transfer-Encoding: chunked"), ""),
        ("GET /api", PREFLIGHT, ""),
        ("POST /api", (*PREFLIGHT, "Content-Length: 0"), ""),
        ("OPTIONS /api", PREFLIGHT, "Cookie: a=b\r\n"),
    ],
)
async def test_what_is_no_preflight_needs_a_session_as_ever(line, fields, cookie):
    async with running_edge(portal=CORS) as edge:
        client = await edge.client()
        await client.send(
            request(line, *fields, cookie=cookie, body=b"1" if "Content-Length: 1" in fields else b"")
        )
        assert (await client.answer()).status == 401
        assert edge.portal.conversations == []


async def test_a_preflight_is_refused_where_the_portal_has_not_asked_for_it_and_where_no_rule_can_be_told():
    async with running_edge() as edge:
        assert (await (await edge.client()).ask("OPTIONS /api", *PREFLIGHT, cookie="")).status == 401
    by_certificate = dataclasses.replace(ADMIN, requirement=Requirement(methods=("acnlb",)))
    ambiguous = dataclasses.replace(CORS, routes=(by_certificate, ROUTE))
    async with running_edge(portal=ambiguous) as edge:
        # It is judged like every other request, here by a ticket that it does not have.
        assert (await (await edge.client()).ask("OPTIONS /admin;x", *PREFLIGHT, cookie="")).status == 401
        assert (await nginx_is_told(edge, "OPTIONS", "/admin;x", *PREFLIGHT, ticket=None)).status == 401
        assert edge.portal.conversations == []


async def test_a_preflight_is_refused_where_nobody_may_enter_or_not_from_that_address():
    office = Requirement(networks=(frozenset({ip_network("203.0.113.0/24")}),))
    closed = dataclasses.replace(ROUTE, path="/closed", access="deny")
    inside = dataclasses.replace(ROUTE, path="/inside", requirement=office)
    portal = dataclasses.replace(CORS, routes=(closed, inside, ROUTE))
    async with running_edge(portal=portal, trusted=["127.0.0.1"]) as edge:

        async def passes(path, address):
            line, forwarded = f"OPTIONS {path}", f"X-Forwarded-For: {address}"
            asked = (await (await edge.client()).ask(line, *PREFLIGHT, forwarded, cookie="")).status
            told = (await nginx_is_told(edge, "OPTIONS", path, *PREFLIGHT, forwarded, ticket=None)).status
            assert (asked == 200) is (told == 200)
            return asked == 200

        assert await passes("/api", "198.51.100.1")
        assert await passes("/inside", "203.0.113.9")
        assert not await passes("/inside", "198.51.100.1")
        assert not await passes("/closed", "203.0.113.9")


async def test_a_signed_in_request_that_looks_like_a_preflight_is_judged_by_its_session():
    async with running_edge(portal=CORS) as edge:
        client = await edge.client()
        assert (await client.ask("OPTIONS /api", *PREFLIGHT, cookie=COOKIE)).status == 200
        assert b"X-Auth-Subject: ana-subject\r\n" in edge.portal.received
        assert (
            await client.ask("OPTIONS /api", *PREFLIGHT, cookie=f"Cookie: __Host-authproxy={FORBIDDEN}\r\n")
        ).status == 403


async def test_nginx_is_told_of_a_preflight_that_it_may_pass_and_of_nobody():
    async with running_edge(portal=CORS) as edge:
        answer = await nginx_is_told(edge, "OPTIONS", "/api", *PREFLIGHT, ticket=None)
        assert (answer.status, answer.body, answer.get("x-auth-subject")) == (200, b"", None)
        assert (await nginx_is_told(edge, "GET", "/api", *PREFLIGHT, ticket=None)).status == 401


async def test_a_portal_that_does_not_answer_a_preflight_is_a_portal_that_does_not_answer():
    async with running_edge(portal=CORS) as edge:
        await edge.portal.close()
        assert (await (await edge.client()).ask("OPTIONS /api", *PREFLIGHT, cookie="")).status == 502
