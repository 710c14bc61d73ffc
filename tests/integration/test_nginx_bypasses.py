"""nginx with the shipped snippets against people who want to be judged as somebody, something or somewhere
else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from urllib.parse import quote

import pytest
import pytest_asyncio

from authproxy.edge.rules import identity_names
from tests.support.forged_names import FORWARDING_NAMES, IDENTITY_NAMES
from tests.support.gateway import Person
from tests.support.nginx_house import Front, behind_nginx, status_of
from tests.support.redis_server import RedisServer

pytestmark = [
    pytest.mark.needs("nginx", "redis-server"),
    pytest.mark.asyncio(loop_scope="module"),
]

OURS = (
    "x-auth-subject",
    "x-auth-name",
    "x-auth-email",
    "x-auth-tax-number",
    "x-auth-method",
    "x-auth-level",
    "x-auth-roles",
    "x-auth-step-up",
    "x-auth-assertion",
)
SPELLINGS = ("{}", "{upper}", "{underscores}", "{upper_underscores}", "{dots}", "{mixed}")


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
    acq = {"webdav": True, "preflight": "pass", "routes": [{"path": "/vault", "level": "30"}]}
    async with behind_nginx(redis_server.socket_url, more=more, acq=acq) as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ana(front: Front) -> Person:
    return await front.signed_in()


def spelled(name: str, spelling: str) -> str:
    underscores = name.replace("-", "_")
    return spelling.format(
        name,
        upper=name.upper(),
        underscores=underscores,
        upper_underscores=underscores.upper(),
        dots=name.replace("-", "."),
        mixed=name.replace("-", "_", 1),
    )


@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_the_identity_headers_of_a_client_never_reach_the_portal(
    front: Front, ana: Person, spelling: str
) -> None:
    forged = [f"{spelled(name, spelling)}: mallory" for name in OURS]

    assert status_of(await front.raw_get("/a", *forged, cookie=front.cookie(ana))) == 200

    received = front.portal.last
    assert not [value for _, value in received.headers if value == "mallory"]
    assert {name: len(received.all(name)) for name in OURS} == dict.fromkeys(OURS, 1)
    assert received.all("X-Auth-Name") == ["Ana Novak"]


async def test_what_others_take_for_identity_or_origin_does_not_pass_either(
    front: Front, ana: Person
) -> None:
    names = sorted({*IDENTITY_NAMES, *FORWARDING_NAMES, *identity_names.known()})
    for some in (names[at : at + 30] for at in range(0, len(names), 30)):
        fields = [
            f"{spelling}: mallory"
            for name in some
            for spelling in (name, name.replace("-", "_"), name.replace("_", "-"))
        ]

        assert (
            status_of(await front.raw_get("/a", *fields, "X-Harmless: passes", cookie=front.cookie(ana)))
            == 200
        )

        assert front.portal.last.all("X-Harmless") == ["passes"]
        assert [name for name, value in front.portal.last.headers if "mallory" in value] == []


async def test_a_name_that_an_operator_sets_is_set_although_the_list_clears_it(
    front: Front, ana: Person
) -> None:
    assert (
        status_of(await front.raw_get("/authentik/", "X-Authentik-Uid: mallory", cookie=front.cookie(ana)))
        == 200
    )

    assert front.portal.last.all("X-Authentik-Uid") == front.portal.last.all("X-Auth-Subject") != []


@pytest.mark.parametrize("named", ["X-Auth-Subject", "Cookie, X-Auth-Name", "X-Original-URL", "Host"])
async def test_naming_a_header_in_connection_takes_no_header_of_ours_away(
    front: Front, ana: Person, named: str
) -> None:
    answer = await front.raw(
        f"GET /a HTTP/1.1\r\nHost: {front.host}\r\nCookie: {front.cookie(ana)}\r\nConnection: close, "
        f"{named}\r\n\r\n"
    )

    assert status_of(answer) == 200
    assert {name: len(front.portal.last.all(name)) for name in OURS} == dict.fromkeys(OURS, 1)


@pytest.mark.parametrize(
    "field",
    [
        "X-Original-URL: http://{host}/public/",
        "X_Original_URL: http://{host}/public/",
        "X-Original-URI: /.authproxy/login",
        "X-Original-Method: OPTIONS",
        "X-Forwarded-Uri: /public/",
        "X-Forwarded-Host: b2b.localhost",
        "X-Forwarded-Method: OPTIONS",
        "X-Original-Host: b2b.localhost",
        "X-Rewrite-URL: /public/",
    ],
)
async def test_nobody_is_judged_by_what_they_say_the_original_request_was(
    front: Front, ana: Person, field: str
) -> None:
    seen = len(front.portal.received)
    forged = field.format(host=front.host)

    assert status_of(await front.raw_get("/admin", forged)) == 401
    assert len(front.portal.received) == seen
    assert status_of(await front.raw_get("/admin", forged, cookie=front.cookie(ana))) == 200


@pytest.mark.parametrize(
    "target",
    [
        "/.authproxy/auth/nginx",
        "/.authproxy/auth/nginx?x=1",
        "/.authproxy/auth/",
        "/.authproxy/auth/traefik",
        "/.authproxy/auth%2fnginx",
        "/.authproxy/auth/%6eginx",
        "/.authproxy//auth/nginx",
        "/.authproxy/x/../auth/nginx",
        "/%2eauthproxy/auth/nginx",
        "/.authproxy/./auth/nginx",
        "/public/../.authproxy/auth/nginx",
        "/.authproxy/auth/nginx/",
        "/.authproxy/auth/nginx#x",
        "http://{host}/.authproxy/auth/nginx",
        "/.authproxy/auth/nginx;x",
        "//.authproxy/auth/nginx",
    ],
)
async def test_subrequests_cannot_be_asked_from_outside(front: Front, ana: Person, target: str) -> None:
    seen = len(front.portal.received)
    fields = (f"X-Original-URL: http://{front.host}/", "X-Original-Method: GET")

    for cookie in ("", front.cookie(ana)):
        answer = await front.raw_get(target.format(host=front.host), *fields, cookie=cookie)
        assert status_of(answer) in {400, 401, 403, 404}
        assert b"x-auth-" not in answer.lower()
    assert len(front.portal.received) == seen


@pytest.mark.parametrize(
    "target", ["/.authproxy/auth/nginx", "/.authproxy/auth/nginx?x", "/public/../.authproxy/auth/%6eginx"]
)
async def test_the_place_of_subrequests_is_not_there_for_browsers(
    front: Front, ana: Person, target: str
) -> None:
    # Without `internal` the gateway would still refuse, by 403.
    assert status_of(await front.raw_get(target, cookie=front.cookie(ana))) == 404


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


@pytest.mark.parametrize(
    "target",
    [
        "/a/b",
        "/a//b?x=//y",
        "/a/%C4%8D",
        "/a%20b",
        "/%C5%A1ola?q=%2F..%2F",
        "/a;v=1/b",
        "/%7Euser/",
        "/style.css?x",
    ],
)
async def test_the_target_that_was_judged_reaches_the_portal_byte_for_byte(
    front: Front, ana: Person, target: str
) -> None:
    assert status_of(await front.raw_get(target, cookie=front.cookie(ana))) == 200
    assert front.portal.last.target == target


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


@pytest.mark.parametrize(
    ("line", "host"),
    [
        ("GET http://b2b.localhost/x HTTP/1.1", "{host}"),  # nginx serves b2b, the session is one of acq
        ("GET http://{host}/x HTTP/1.1", "b2b.localhost:{port}"),
        ("GET /x HTTP/1.1", "unknown.localhost"),
        ("GET /x HTTP/1.1", "acq.localhost:1"),
        ("GET /x HTTP/1.1", "acq.localhost@evil.example"),
        ("GET /x HTTP/1.0", ""),
    ],
)
async def test_a_host_that_is_not_the_portals_opens_nothing(
    front: Front, ana: Person, line: str, host: str
) -> None:
    seen = len(front.portal.received)
    told = {"host": front.host, "port": front.nginx.port}
    host_line = f"Host: {host.format(**told)}\r\n" if host else ""

    answer = await front.raw(
        f"{line.format(**told)}\r\n{host_line}Cookie: {front.cookie(ana)}\r\nConnection: close\r\n\r\n"
    )

    assert status_of(answer) in {400, 401, 403}
    assert len(front.portal.received) == seen


async def test_the_session_of_one_portal_opens_no_other_behind_the_same_nginx(
    front: Front, ana: Person
) -> None:
    seen = len(front.portal.received)
    answer = await front.raw_get("/", cookie=front.cookie(ana), host=front.host.replace("acq", "b2b"))

    assert status_of(answer) == 401
    assert b"session_of_another_portal" in answer
    assert len(front.portal.received) == seen


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


@pytest.mark.parametrize("framing", ["Content-Length: 5", "Transfer-Encoding: chunked"])
async def test_the_body_of_one_person_is_no_part_of_the_next_question(
    front: Front, ana: Person, framing: str
) -> None:
    body = "GET /" if framing.startswith("Content") else "5\r\nGET /\r\n0\r\n\r\n"
    for _ in range(3):
        answer = await front.raw(
            f"POST /a HTTP/1.1\r\nHost: {front.host}\r\nConnection: close\r\n{framing}\r\n\r\n{body}"
        )
        assert (status_of(answer), status_of(await front.raw_get("/a", cookie=front.cookie(ana)))) == (
            401,
            200,
        )


async def test_a_preflight_passes_nginx_for_nobody_and_what_is_none_does_not(front: Front) -> None:
    fields = ["Origin: https://partner.example", "Access-Control-Request-Method: PUT"]

    async def sent(*more: str, method: str = "OPTIONS", body: str = "") -> int:
        head = [f"{method} /api HTTP/1.1", f"Host: {front.host}", "Connection: close", *fields, *more]
        return status_of(await front.raw("\r\n".join([*head, "", body])))

    seen = len(front.portal.received)
    assert await sent("X-Auth-Subject: mallory") == 200
    assert front.portal.last.all("Access-Control-Request-Method") == ["PUT"]
    assert [name for name, _ in front.portal.last.headers if name.lower() in {*OURS, "cookie"}] == []
    assert [
        await sent("Cookie: a=b"),
        await sent("Authorization: Basic eDp5"),
        await sent("Content-Length: 1", body="x"),
        await sent(method="GET"),
    ] == [401, 401, 401, 401]
    assert len(front.portal.received) == seen + 1


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "get", "FOO"])
async def test_a_method_that_no_rule_knows_is_refused(front: Front, ana: Person, method: str) -> None:
    seen = len(front.portal.received)
    answer = await front.raw(
        f"{method} /x HTTP/1.1\r\nHost: {front.host}\r\nCookie: {front.cookie(ana)}\r\nConnection: "
        "close\r\n\r\n"
    )

    assert status_of(answer) in {400, 403, 405}
    assert len(front.portal.received) == seen


@pytest.mark.parametrize(
    "framing",
    [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    ],
)
async def test_framing_that_two_readers_read_differently_smuggles_nothing(
    front: Front, ana: Person, framing: str
) -> None:
    smuggled = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
    head = f"POST /x HTTP/1.1\r\nHost: {front.host}\r\nCookie: {front.cookie(ana)}\r\nConnection: close\r\n"

    await front.raw(head + framing + smuggled)

    assert not [received for received in front.portal.received if "smuggled" in received.target]


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
