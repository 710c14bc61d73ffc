"""nginx with the shipped snippets against people who want to be judged as somebody, something or somewhere
else: what only nginx has. What every front proxy must refuse is in tests/fronts/test_scenarios.py."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from urllib.parse import quote

import pytest
import pytest_asyncio

from tests.support.gateway import Person
from tests.support.nginx_house import Front, behind_nginx, status_of
from tests.support.redis_server import RedisServer

pytestmark = [
    pytest.mark.needs("nginx", "redis-server"),
    pytest.mark.asyncio(loop_scope="module"),
]


@pytest.fixture(scope="module")
def redis_server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def front(redis_server: RedisServer) -> AsyncIterator[Front]:
    more = r"""
    location ~ \.(css|js)$ { proxy_pass http://portal; }
    location /public/ { proxy_pass http://portal; }
    location = /dot { empty_gif; }
    location /authentik/ { include authproxy/headers.conf; proxy_set_header X-Authentik-Uid $authproxy_subject; proxy_pass http://portal; }
    """
    acq = {"webdav": True, "routes": [{"path": "/vault", "level": "30"}]}
    async with behind_nginx(redis_server.socket_url, more=more, acq=acq) as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ana(front: Front) -> Person:
    return await front.signed_in()


async def test_a_name_that_an_operator_sets_is_set_although_the_list_clears_it(
    front: Front, ana: Person
) -> None:
    assert (
        status_of(await front.raw_get("/authentik/", "X-Authentik-Uid: mallory", cookie=front.cookie(ana)))
        == 200
    )

    assert front.portal.last.all("X-Authentik-Uid") == front.portal.last.all("X-Auth-Subject") != []


@pytest.mark.parametrize(
    "target",
    [
        "/public/..%2fadmin",
        "/public/..%2Fadmin",
        "/public/%2e%2e%2fadmin",
        "/public/%252e%252e/admin",
        "/public/..;/admin",
        "/public/.%2e/admin",
        "/public/..%5cadmin",
        "/admin%2f..%2fpublic/",
        "//admin",
        "/public/%00",
        "/public/%c0%ae%c0%ae/admin",
        "/a\\..\\admin",
        "/public/x%0d%0aX-Auth-Name:%20m",
        "/public/%",
        "/public/\xe8",
        "/.AUTHPROXY/session",
        "/.authproxy;x/session",
        "/%2Eauthproxy;/session",
        "/style.css/..%2f..%2fadmin",
    ],
)
async def test_what_can_be_read_in_two_ways_is_refused_whoever_asks(
    front: Front, ana: Person, target: str
) -> None:
    seen = len(front.portal.received)

    for cookie in ("", front.cookie(ana)):
        assert status_of(await front.raw_get(target, cookie=cookie)) in {400, 403, 404}
    assert len(front.portal.received) == seen


@pytest.mark.parametrize("query", ["q=\xc8epi\xe8", "q=\xc4\x8cepi\xc4\x8d&r=%C4", 'a="<`>', "\x80\xff"])
async def test_raw_bytes_in_a_query_are_judged_percent_encoded(front: Front, ana: Person, query: str) -> None:
    answer = await front.raw_get(f"/dot?{query}", cookie=front.cookie(ana))
    assert (status_of(answer), b"GIF8" in answer) == (200, True)
    answer = await front.raw_get(f"/dot?{query}", "Accept: text/html", "Sec-Fetch-Mode: navigate")
    encoded = quote(f"/dot?{query}".encode("latin-1"), safe='/?=&%"<`>')
    assert f"/.authproxy/login?rt={quote(encoded, safe='/')}\r\n".encode() in answer


@pytest.mark.parametrize("target", ["/public/\xe8", "/public/..%2fadmin", "/a;b/..;/x"])
async def test_a_person_reads_that_the_request_is_wrong_and_not_the_sign_in(
    front: Front, ana: Person, target: str
) -> None:
    for cookie in ("", front.cookie(ana)):
        page = await front.raw_get(target, "Accept: text/html", "Sec-Fetch-Mode: navigate", cookie=cookie)
        assert status_of(page) == 403
        assert "<h1>Zahteve ni mogoče obdelati</h1>".encode() in page
        assert "prijav" not in page.decode().lower()
        assert b"X-Authproxy-Reason" not in page
        script = await front.raw_get(target, "Accept: application/json", cookie=cookie)
        assert (status_of(script), b'"reason": "' in script) == (403, True)
        assert b"X-Authproxy-Reason" not in script


async def test_no_location_of_the_server_is_forgotten(front: Front) -> None:
    seen = len(front.portal.received)
    for target in ("/", "/style.css", "/a/b.js?x=1", "/public/", "/public/x", "/index.html"):
        assert status_of(await front.raw_get(target)) == 401, target
    assert len(front.portal.received) == seen


async def test_the_style_sheet_of_the_gateway_is_not_taken_by_a_regular_expression_of_the_portal(
    front: Front,
) -> None:
    chooser = await front.house.person().browser.navigate(f"{front.url}/.authproxy/login?rt=/")
    sheet = next(part for part in chooser.text.split('"') if part.endswith(".css") or ".css?" in part)

    assert status_of(await front.raw_get(sheet.removeprefix(front.url))) == 200


async def test_a_copy_goes_where_nginx_has_asked_about_and_nowhere_else(front: Front, ana: Person) -> None:
    async def sent(line: str, *fields: str) -> int:
        head = [
            f"{line} HTTP/1.1",
            f"Host: {front.host}",
            f"Cookie: {front.cookie(ana)}",
            "Connection: close",
            *fields,
        ]
        return status_of(await front.raw("\r\n".join([*head, "", ""])))

    assert await sent("COPY /a", f"Destination: {front.url}/b", "Depth: 0") == 200
    assert (
        front.portal.last.method,
        front.portal.last.all("Destination"),
        front.portal.last.all("Depth"),
    ) == ("COPY", [f"{front.url}/b"], ["0"])
    seen = len(front.portal.received)
    for line, *fields in (
        ("COPY /a", f"Destination: {front.url}/vault/x"),
        ("MOVE /a", "Destination: /v%61ult"),
        ("MOVE /a",),
        ("COPY /vault/x", "Destination: /b"),
        ("MOVE /a", "Destination: http://evil.example/b"),
        ("COPY /", "Destination: /b"),
        ("DELETE /",),
        ("COPY /", "Destination: /b", "Depth: 1"),
    ):
        assert await sent(line, *fields) == 403, (line, fields)
    assert len(front.portal.received) == seen
    # Of two fields nginx tells of the first, or of both as one; the portal gets no other than that.
    if await sent("COPY /a", "Destination: /b", "Destination: /vault/x") == 200:
        assert front.portal.last.all("Destination") == ["/b"]


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "get", "FOO"])
async def test_a_method_that_no_rule_knows_is_refused(front: Front, ana: Person, method: str) -> None:
    seen = len(front.portal.received)
    answer = await front.raw(
        f"{method} /x HTTP/1.1\r\nHost: {front.host}\r\nCookie: {front.cookie(ana)}\r\nConnection: "
        "close\r\n\r\n"
    )

    assert status_of(answer) in {400, 403, 405}
    assert len(front.portal.received) == seen


ODD = {
    "control in the agent": "User-Agent: a\x01b",
    "control in what is accepted": "Accept: text/html\x7f",
    "control in the mode": "Sec-Fetch-Mode: a\x01",
    "control in the referer": "Referer: http://acq.localhost/\x01",
    "101 fields": "\r\n".join(f"X-{number}: x" for number in range(101)),
    "an expectation of nobody's": "Expect: foo",
    "a control in a cookie of somebody": "Cookie: a=\x01",
    "an upgrade": "Upgrade: h2c\r\nHTTP2-Settings: AAQ",
    "a long field": "X-Long: " + "x" * 7000,
}


@pytest.mark.parametrize("field", [pytest.param(field, id=name) for name, field in ODD.items()])
async def test_an_odd_request_never_looks_like_an_outage(front: Front, ana: Person, field: str) -> None:
    assert status_of(await front.raw_get("/admin", field)) in {303, 401, 403}
    # What goes on to the portal is the portal's to judge: it refuses some of these by itself.
    answer = await front.raw_get("/public/odd", field, cookie=front.cookie(ana))
    assert status_of(answer) not in {401, 500, 502, 503}
    assert status_of(answer) != 403 or "Cookie" in field
