"""`/.authproxy/auth/…`: what each kind of front proxy asks, and what its client gets."""

from __future__ import annotations

import pytest

from tests.support.edge import FORBIDDEN, GOOD, HANDSHAKE, HOST, NOW, UNANSWERABLE, running_edge
from tests.support.questions import CLIENT, DIALECTS, FORWARDING, proof, question

OTHERS = (*FORWARDING, "envoy")
"""All but nginx, which has its own tests."""
PAGE = "Sec-Fetch-Mode: navigate"
SCRIPT = "Sec-Fetch-Mode: cors"


async def answered(edge, data: bytes, *, unix: bool = True):
    client = await edge.client(unix=unix)
    await client.send(data)
    return await client.answer()


async def test_allow_is_200_with_every_identity_header_and_no_cookie():
    async with running_edge() as edge:
        for dialect in DIALECTS:
            answer = await answered(edge, question(dialect))
            assert (answer.status, answer.body) == (200, b"")
            assert answer.get("x-auth-subject") == b"ana-subject"
            assert answer.get("x-auth-assertion") == b"header.payload.signature"
            assert answer.all("set-cookie") == []
            assert answer.get("cache-control") == b"no-store"
            assert edge.portal.conversations == []
            seen = edge.observed[-1]
            assert (seen["dialect"], seen["path"], seen["client"]) == (dialect, "/page", CLIENT)


async def test_a_proxy_that_replaces_whole_fields_is_told_which_the_portal_gets():
    async with running_edge() as edge:
        for dialect in ["caddy", "traefik"]:
            own = await answered(edge, question(dialect, "Authorization: Basic YTpi"))
            assert (own.get("cookie"), own.get("authorization")) == (None, b"Basic YTpi")
            line = f"Cookie: a=1; __Host-authproxy={GOOD}; b=2"
            mixed = await answered(
                edge, question(dialect, line, "Authorization: a", "Authorization: b", ticket=None)
            )
            assert (mixed.get("cookie"), mixed.get("authorization")) == (b"a=1; b=2", None)


async def test_others_are_not_told_the_clients_own_cookies():
    async with running_edge() as edge:
        for dialect in ["nginx", "haproxy", "envoy"]:
            answer = await answered(edge, question(dialect, "Authorization: Basic YTpi"))
            assert (answer.get("cookie"), answer.get("authorization")) == (None, None)


async def test_a_page_load_without_a_session_is_led_to_the_sign_in():
    async with running_edge() as edge:
        for dialect in OTHERS:
            answer = await answered(edge, question(dialect, PAGE, ticket=None))
            assert answer.status == 302
            assert answer.get("location") == f"http://{HOST}/.authproxy/login?rt=/page%3Fa%3Db".encode()


async def test_a_script_without_a_session_is_told_so_and_not_led_away():
    async with running_edge() as edge:
        for dialect in OTHERS:
            answer = await answered(edge, question(dialect, SCRIPT, ticket=None))
            assert (answer.status, answer.get("location")) == (401, None)
            assert answer.get("www-authenticate") == b'Bearer realm="acq"'
            assert b'"reason": "no_session"' in answer.body


async def test_a_form_without_a_session_gets_a_page_that_says_so():
    async with running_edge() as edge:
        for dialect in OTHERS:
            answer = await answered(edge, question(dialect, PAGE, method="POST", ticket=None))
            assert (answer.status, answer.body) == (401, b"<h1>page not_sent</h1>")
            assert answer.get("location") is None


async def test_whoever_may_not_enter_gets_a_page_or_a_problem():
    async with running_edge() as edge:
        for dialect in OTHERS:
            page = await answered(edge, question(dialect, PAGE, ticket=FORBIDDEN))
            assert (page.status, page.body) == (403, b"<h1>page level_too_low</h1>")
            problem = await answered(edge, question(dialect, SCRIPT, ticket=FORBIDDEN))
            assert (problem.status, problem.get("content-type")) == (
                403,
                b"application/problem+json; charset=utf-8",
            )


async def test_a_store_that_is_away_is_a_fault_and_never_a_sign_in():
    async with running_edge() as edge:
        for dialect in OTHERS:
            page = await answered(edge, question(dialect, PAGE, ticket=UNANSWERABLE))
            problem = await answered(edge, question(dialect, SCRIPT, ticket=UNANSWERABLE))
            assert (page.status, problem.status) == (503, 503)
            assert (page.get("location"), problem.get("location")) == (None, None)
            assert problem.get("retry-after") == b"5"


async def test_a_stranger_is_refused_whatever_it_says():
    async with running_edge() as edge:
        for dialect in OTHERS:
            answer = await answered(edge, question(dialect), unix=False)
            assert (answer.status, b"untrusted_peer" in answer.body) == (403, True)
            assert edge.access.asked == []


async def test_the_next_question_on_a_connection_is_not_taken_for_the_body_of_the_one_before():
    async with running_edge() as edge:
        for dialect in OTHERS:
            client = await edge.client(unix=True)
            for ticket, status in ((GOOD, 200), (FORBIDDEN, 403), (GOOD, 200)):
                await client.send(question(dialect, PAGE, ticket=ticket))
                assert (await client.answer()).status == status


# WebSockets.


async def test_only_pages_of_the_portal_open_a_websocket_there():
    async with running_edge() as edge:
        for dialect in OTHERS:
            for fields in [HANDSHAKE, ["Sec-WebSocket-Version: 13"]]:
                client = await edge.client(unix=True)
                for origin, status in ((f"http://{HOST}", 200), ("https://evil.example", 403), ("null", 403)):
                    await client.send(question(dialect, *fields, f"Origin: {origin}"))
                    answer = await client.answer()
                    assert (answer.status, b"foreign_origin" in answer.body) == (status, status == 403)
                await client.send(question(dialect, *fields))
                assert (await client.answer()).status == 200
                await client.send(question(dialect, *fields, ticket=None))
                answer = await client.answer()
                assert (answer.status, answer.get("location")) == (401, None)
                assert edge.portal.conversations == []


async def test_a_proxy_that_the_settings_do_not_name_is_a_stranger(capsys):
    async with running_edge() as edge:
        edge.gate.question_keys = (KEY,)
        for dialect in DIALECTS:
            edge.gate.unheard = frozenset({dialect})
            for fields in ((), (proof(dialect, KEY, at=AT),)):
                answer = await answered(edge, question(dialect, *fields))
                assert (answer.status, b"untrusted_peer" in answer.body) == (403, True)
        assert edge.access.asked == []
        said = capsys.readouterr()
        assert (said.out + said.err).count("server.subrequests does not name caddy") == 1


# What the proxy copies into the question.


async def test_a_question_that_announces_a_body_is_the_last_one_on_its_connection():
    async with running_edge() as edge:
        for dialect in OTHERS:
            for framing in ["Content-Length: 300", "Transfer-Encoding: chunked"]:
                for ticket in [GOOD, FORBIDDEN]:
                    client = await edge.client(unix=True)
                    data = question(
                        dialect,
                        framing,
                        PAGE,
                        "Expect: 100-continue",
                        ticket=ticket,
                        without="Content-Length",
                    )
                    await client.send(data)
                    said = await client.everything()
                    assert said.startswith(b"HTTP/1.1 200 " if ticket == GOOD else b"HTTP/1.1 403 ")
                    assert said.count(b"HTTP/1.1 ") == 1
                    assert b"\r\nConnection: close\r\n" in said


async def test_a_body_that_envoy_sends_along_is_not_read_as_a_question():
    async with running_edge() as edge:
        hidden = question("envoy", ticket=None)
        data = question("envoy", f"Content-Length: {len(hidden)}", method="POST", without="Content-Length")
        said = await edge_says(edge, data + hidden)
        assert (said.count(b"HTTP/1.1 "), len(edge.access.asked)) == (1, 1)


async def edge_says(edge, data: bytes) -> bytes:
    client = await edge.client(unix=True)
    await client.send(data)
    return await client.everything()


async def test_other_fields_of_the_client_do_no_harm():
    async with running_edge() as edge:
        for dialect in OTHERS:
            client = await edge.client(unix=True)
            for fields in (
                ["Range: bytes=0-1", "If-None-Match: *"],
                ["Expect: 100-continue"],
                ["X-Forwarded-Port: 1", "X-Forwarded-Prefix: /admin", "X-Real-IP: 203.0.113.1"],
                ["Forwarded: for=203.0.113.1;host=other.example", "X-Http-Method-Override: GET"],
                [
                    f"X-Original-Url: http://{HOST}/page?a=b",
                    "X-Rewrite-Url: /page?a=b",
                    "X-Original-Method: GET",
                ],
                ["X-Original-Url: /page?a=b", f"X-Original-Host: {HOST.upper()}:80", "X-Scheme: http"],
            ):
                await client.send(question(dialect, *fields))
                assert (await client.answer()).status == 200


async def test_cookies_that_a_proxy_joins_by_commas_sign_nobody_in():
    """A comma is part of a value, so a sibling host could plant `a=1,__Host-authproxy=…`."""
    async with running_edge() as edge:
        for cookie in (f"a=1, __Host-authproxy={GOOD}", f"__Host-authproxy={GOOD}, a=1"):
            data = question("haproxy", f"Cookie: {cookie}", ticket=None)
            assert (await answered(edge, data)).status == 401
        data = question("haproxy", "Cookie: a=1", f"Cookie: __Host-authproxy={GOOD}", ticket=None)
        assert (await answered(edge, data)).status == 200


# What the question says.


def asked_target(edge) -> str:
    return edge.access.asked[-1].origin_form


async def test_bytes_outside_ascii_in_a_query_are_judged_as_the_portal_gets_them_from_us():
    async with running_edge() as edge:
        for dialect in DIALECTS:
            assert (await answered(edge, question(dialect, target="/s?q=\xe8"))).status == 200
            assert asked_target(edge) == "/s?q=%E8"


async def test_the_method_is_the_original_one():
    async with running_edge() as edge:
        for dialect in OTHERS:
            for method in ("GET", "HEAD", "POST", "DELETE"):
                client = await edge.client(unix=True)
                await client.send(question(dialect, method=method))
                assert (await client.answer(method if dialect == "envoy" else "GET")).status == 200
                assert edge.access.asked[-1].method == method


async def test_haproxy_may_ask_by_head():
    async with running_edge() as edge:
        client = await edge.client(unix=True)
        for ticket, status in ((GOOD, 200), (FORBIDDEN, 403), (UNANSWERABLE, 503), (GOOD, 200)):
            await client.send(question("haproxy", PAGE, ticket=ticket).replace(b"GET", b"HEAD", 1))
            assert (await client.answer("HEAD")).status == status


async def test_traefik_names_the_schemes_of_websockets_too():
    async with running_edge() as edge:
        for scheme in ("wss", "ws", "https", "http"):
            assert (await answered(edge, question("traefik", scheme=scheme))).status == 200
            if scheme.startswith("ws"):
                assert (await answered(edge, question("caddy", scheme=scheme))).status == 403


async def test_a_host_of_nobody_is_403():
    async with running_edge() as edge:
        for dialect in OTHERS:
            for host in ("other.example", "[::1]:8080", f"{HOST}:81"):
                answer = await answered(edge, question(dialect, host=host))
                assert (answer.status, b"unknown_host" in answer.body) == (403, True)


UNREADABLE = {
    "no path": {"target": ""},
    "an absolute target": {"target": f"http://{HOST}/page"},
    "a star": {"target": "*", "method": "OPTIONS"},
    "a query for a path": {"target": "?a=b"},
    "two slashes": {"target": "//page"},
    "dots": {"target": "/public/../admin"},
    "encoded dots": {"target": "/public/%2e%2e/admin"},
    "an encoded slash": {"target": "/a%2fb"},
    "a NUL": {"target": "/%00"},
    "a bad escape": {"target": "/%zz"},
    "a fragment": {"target": "/admin#/public"},
    "raw non-ASCII in the path": {"target": "/\xe9"},
    "a space": {"target": "/a b"},
    "an unknown method": {"method": "BREW"},
    "a method in small letters": {"method": "get"},
    "TRACE": {"method": "TRACE"},
    "CONNECT": {"method": "CONNECT"},
    "another scheme": {"scheme": "ftp"},
    "two schemes": {"scheme": "https,http"},
    "a scheme in capitals": {"scheme": "HTTPS"},
    "an empty scheme": {"scheme": ""},
    "an empty host": {"host": ""},
    "a path in the host": {"host": f"{HOST}/admin"},
    "two hosts": {"host": f"{HOST}, other.example"},
    "user information": {"host": f"a@{HOST}"},
    "no client": {"client": None},
}


UNREADABLE_TO_LLHTTP = {
    "raw non-ASCII in the path": 400,
    "an unknown method": 405,
    "a method in small letters": 405,
}
"""Of Envoy's questions these are refused before anybody knows that they are questions."""


async def test_what_does_not_say_in_one_way_what_was_asked_is_refused_and_never_allowed():
    async with running_edge() as edge:
        for dialect in OTHERS:
            for name, changes in UNREADABLE.items():
                expected = UNREADABLE_TO_LLHTTP.get(name, 403) if dialect == "envoy" else 403
                answer = await answered(edge, question(dialect, **changes))
                assert (dialect, name, answer.status) == (dialect, name, expected)
                assert (edge.observed[-1]["dialect"] == dialect) == (expected == 403)
        assert edge.access.asked == []


async def test_a_person_whose_address_cannot_be_read_gets_a_page():
    async with running_edge() as edge:
        for dialect in OTHERS:
            answer = await answered(edge, question(dialect, PAGE, target="/a%2fb"))
            assert (answer.status, answer.body) == (403, b"<h1>page request_unreadable</h1>")
            assert edge.observed[-1]["reason"] == "subrequest_unreadable"
        assert edge.access.asked == []


async def test_the_log_says_once_which_line_of_a_question_is_missing(capsys):
    async with running_edge() as edge:
        for dialect in OTHERS:
            for missing in ["X-Forwarded-Proto", "X-Forwarded-For"]:
                for _ in range(2):
                    answer = await answered(edge, question(dialect, without=missing))
                    assert (answer.status, b"subrequest_unreadable" in answer.body) == (403, True)
        await answered(edge, question("caddy", "X-Original-Method: POST"))
        await answered(edge, question("caddy", target="/a%2fb"))
        assert edge.access.asked == []
        written = "".join(capsys.readouterr())
        assert written.count("question.refused") == 3
        for flaw in (
            "x-forwarded-proto is not there once",
            "x-forwarded-for is missing",
            "two headers disagree about the original method",
        ):
            assert written.count(flaw) == 1


CONTRADICTIONS = (
    "X-Original-URI: /other",
    "X-Rewrite-URL: /public",
    "X-Original-URL: /public",
    "X-Original-URL: http://other.example/page?a=b",
    "X-Original-Host: other.example",
    "X-Original-Host: a;b",
    "X-Original-Method: POST",
    "X-HTTP-Method-Override: DELETE",
    "X-Method-Override: DELETE",
    "X-HTTP-Method: DELETE",
    "X-Scheme: https",
    "X-Forwarded-Scheme: https",
    "X-Envoy-Original-Path: /other",
    "X_Forwarded_Uri: /page?a=b",
    "X.Original.Url: /page?a=b",
    "HTTP_X_FORWARDED_PROTO: http",
    "X-Forwarded-Proto: http",
    "X-Forwarded-For_: 192.0.2.7",
)


async def test_a_header_of_another_convention_that_disagrees_is_refused():
    async with running_edge() as edge:
        for dialect in OTHERS:
            for field in CONTRADICTIONS:
                answer = await answered(edge, question(dialect, field))
                assert (answer.status, b"subrequest_unreadable" in answer.body) == (403, True)
                assert edge.access.asked == []


@pytest.mark.parametrize(
    "field",
    [
        "X-Forwarded-Uri: /other",
        "X-Forwarded-Host: other.example",
        "X-Forwarded-Method: POST",
        "X-Envoy-Original-Host: other.example",
    ],
)
async def test_what_other_proxies_say_must_agree_with_envoy(field):
    async with running_edge() as edge:
        assert (await answered(edge, question("envoy", field))).status == 403
        assert edge.access.asked == []


async def test_our_own_place_is_nothing_that_a_portal_has():
    async with running_edge() as edge:
        for dialect in OTHERS:
            for path in ["/.authproxy/login", "/.authproxy", "/.AuthProxy/x", "/%2eauthproxy/x"]:
                answer = await answered(edge, question(dialect, target=path))
                assert (answer.status, b"not_found" in answer.body) == (403, True)
                assert edge.access.asked == []


async def test_a_longer_path_than_the_endpoint_is_not_the_endpoint():
    async with running_edge() as edge:
        for dialect in FORWARDING:
            for target in ["/?x" if dialect == "caddy" else "?x", "/", "/page", "x"]:
                path = f"/.authproxy/auth/{dialect}".encode()
                data = question(dialect).replace(path, path + target.encode(), 1)
                answer = await answered(edge, data.replace(b"Host: auth", f"Host: {HOST}".encode()))
                assert answer.body.startswith(b"<h1>page /.authproxy/auth/")


async def test_caddy_may_ask_with_the_query_of_the_original_request_which_nobody_reads():
    async with running_edge() as edge:
        path = b"/.authproxy/auth/caddy"
        for query in (b"?", b"?a=b", b"?a=b&X-Forwarded-Uri=/other"):
            answer = await answered(edge, question("caddy").replace(path, path + query, 1))
            assert answer.status == 200
            assert edge.access.asked[-1].query == "a=b"
        stranger = question("caddy").replace(path, path + b"?a=b", 1)
        assert (await answered(edge, stranger, unix=False)).status == 403


async def test_whatever_is_wrong_with_a_question_it_is_refused_as_one():
    async with running_edge() as edge:
        for dialect in OTHERS:
            for field in ["User-Agent: a\x01b", "Content-Length: x", "Host: again", "no colon", "Expect: a"]:
                answer = await answered(edge, question(dialect, field))
                assert (answer.status, answer.get("connection")) == (403, b"close")
                assert edge.observed[-1]["dialect"] == dialect


async def test_a_proxy_that_names_no_client_at_the_portal_is_warned_of_once(capsys):
    async with running_edge(trusted=["127.0.0.0/8"]) as edge:
        for _ in range(2):
            client = await edge.client()
            assert (await client.ask("GET /page")).status == 200
        said = capsys.readouterr()
        assert (said.out + said.err).count("proxy.names_no_client") == 1


NOT_SAID_ONCE = [
    *((dialect, name) for dialect in FORWARDING for name in ("Method", "Proto", "Host", "Uri", "For")),
    ("envoy", "Proto"),
    ("envoy", "For"),
]


async def test_a_question_that_lacks_a_line_is_unreadable():
    async with running_edge() as edge:
        for dialect, name in NOT_SAID_ONCE:
            answer = await answered(edge, question(dialect, without=f"X-Forwarded-{name}"))
            assert (answer.status, b"subrequest_unreadable" in answer.body) == (403, True)
            assert edge.access.asked == []


# The proof by which a proxy may ask from any address.

KEY = bytes(range(100, 132))
AT = int(NOW.timestamp())


async def test_a_question_that_proves_its_sender_is_answered_wherever_it_comes_from():
    async with running_edge() as edge:
        for dialect in DIALECTS:
            edge.gate.question_keys = (KEY,)
            for unix in (False, True):
                answer = await answered(edge, question(dialect, proof(dialect, KEY, at=AT)), unix=unix)
                assert (answer.status, answer.get("x-auth-subject")) == (200, b"ana-subject")
                assert edge.observed[-1]["client"] == CLIENT


async def test_a_proof_that_does_not_hold_is_refused_wherever_it_comes_from(capsys):
    async with running_edge() as edge:
        for dialect in DIALECTS:
            for keys in ((), (KEY,)):
                edge.gate.question_keys = keys
                for unix in (False, True):
                    line = proof(dialect, bytes(32), at=AT)
                    answer = await answered(edge, question(dialect, line), unix=unix)
                    assert (answer.status, b"untrusted_peer" in answer.body) == (403, True)
            assert edge.access.asked == []


async def test_a_proved_question_may_bring_the_id_of_the_request():
    async with running_edge() as edge:
        edge.gate.question_keys = (KEY,)
        for fields in ((proof("caddy", KEY, at=AT),), ()):
            data = question("caddy", "X-Request-Id: of-the-proxy", *fields)
            answer = await answered(edge, data, unix=False)
            assert (answer.get("x-request-id") == b"of-the-proxy") == bool(fields)


async def test_the_address_of_a_proved_question_is_read_from_the_right():
    async with running_edge(trusted=["10.0.0.0/24"]) as edge:
        edge.gate.question_keys = (KEY,)
        chain = "203.0.113.9, 192.0.2.7, 10.0.0.3"
        data = question("caddy", proof("caddy", KEY, at=AT, client=chain), client=chain)
        assert (await answered(edge, data, unix=False)).status == 200
        assert edge.observed[-1]["client"] == "192.0.2.7"


# No page of a refusal may be taken for leave to pass.


async def renders_with_200(conversation):
    """Our pages as they answer for an `object`, or if they are broken."""
    while True:
        head, _ = await conversation.read_request()
        await conversation.answer(b"" if head.startswith(b"HEAD ") else b"<h1>no</h1>")


async def renders_in_pieces_with_200(conversation):
    while True:
        await conversation.read_request()
        await conversation.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n<h1>\r\n0\r\n\r\n")


@pytest.mark.parametrize("script", [renders_with_200, renders_in_pieces_with_200])
@pytest.mark.parametrize("line", ["GET", "HEAD"])
async def test_a_page_with_200_never_reaches_a_front_proxy(line, script):
    async with running_edge() as edge:
        for dialect in OTHERS:
            edge.pages.script = script
            data = question(dialect, PAGE, ticket=FORBIDDEN, method=line if dialect == "envoy" else "GET")
            data = data.replace(b"GET", line.encode(), 1)
            client = await edge.client(unix=True)
            await client.send(data)
            answer = await client.answer(line)
            assert answer.status == 403
            await client.send(question(dialect))
            assert (await client.answer()).get("x-auth-subject") == b"ana-subject"


async def test_an_object_in_a_page_gets_the_page_of_a_frame_with_its_own_status():
    async with running_edge() as edge:
        for dialect in OTHERS:
            answer = await answered(edge, question(dialect, PAGE, "Sec-Fetch-Dest: object", ticket=None))
            assert (answer.status, answer.body) == (401, b"<h1>page no_session</h1>")
            assert b"Sec-Fetch-Dest: iframe\r\n" in edge.pages.received
