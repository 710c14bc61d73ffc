"""`GET /.authproxy/auth/nginx`: who may ask, what must be said, and what is answered to nginx's
auth_request."""

from __future__ import annotations

import pytest

from authproxy.access.decision import Denied, Reason
from tests.support.edge import COOKIE, FORBIDDEN, GOOD, HOST, SLOW, UNANSWERABLE, running_edge

LOOPS = ("asyncio", "uvloop")
PAGE = "Sec-Fetch-Mode: navigate"


def subrequest(
    *fields: str,
    url: str | None = f"http://{HOST}/page?a=b",
    method: str | None = "GET",
    ticket: str | None = GOOD,
) -> bytes:
    lines = ["GET /.authproxy/auth/nginx HTTP/1.1", "Host: auth"]
    lines += [f"X-Original-URL: {url}"] if url is not None else []
    lines += [f"X-Original-Method: {method}"] if method is not None else []
    lines += [f"Cookie: __Host-authproxy={ticket}"] if ticket is not None else []
    return ("\r\n".join([*lines, *fields]) + "\r\n\r\n").encode("latin-1")


async def answered(edge, data: bytes, *, unix: bool = True):
    client = await edge.client(unix=unix)
    await client.send(data)
    return await client.answer()


@pytest.mark.parametrize("ticket", [GOOD, SLOW])
async def test_allow_is_200_with_every_identity_header_and_no_cookie(ticket):
    async with running_edge() as edge:
        edge.access.may_answer.set()
        answer = await answered(edge, subrequest(ticket=ticket))
        assert (answer.status, answer.body) == (200, b"")
        assert answer.get("x-auth-subject") == b"ana-subject"
        assert answer.get("x-auth-assertion") == b"header.payload.signature"
        assert answer.get("cache-control") == b"no-store"
        assert answer.all("set-cookie") == []
        assert edge.portal.conversations == []
        assert edge.observed[0]["dialect"] == "nginx"
        assert edge.observed[0]["path"] == "/page"


@pytest.mark.parametrize("framing", ["Content-Length: 300", "Transfer-Encoding: chunked"])
async def test_a_question_that_announces_a_body_is_the_last_one_on_its_connection(framing):
    async with running_edge() as edge:
        client = await edge.client(unix=True)
        await client.send(subrequest(framing))
        said = await client.everything()
        assert said.startswith(b"HTTP/1.1 200 ")
        assert b"\r\nConnection: close\r\n" in said


async def test_a_page_load_without_a_session_is_401_with_the_place_to_sign_in():
    async with running_edge() as edge:
        answer = await answered(edge, subrequest(PAGE, ticket=None))
        assert answer.status == 401
        assert answer.get("location") == f"http://{HOST}/.authproxy/login?rt=/page%3Fa%3Db".encode()


async def test_a_script_without_a_session_is_401_without_a_redirect():
    async with running_edge() as edge:
        answer = await answered(edge, subrequest("Sec-Fetch-Mode: cors", ticket=None))
        assert (answer.status, answer.get("location")) == (401, None)
        assert answer.get("www-authenticate") == b'Bearer realm="acq"'


@pytest.mark.parametrize("mode", [PAGE, "Sec-Fetch-Mode: cors"])
@pytest.mark.parametrize(("ticket", "status"), [(FORBIDDEN, 403), (UNANSWERABLE, 503)])
async def test_what_signing_in_does_not_mend_is_said_plainly(ticket, status, mode):
    async with running_edge() as edge:
        answer = await answered(edge, subrequest(mode, ticket=ticket))
        assert (answer.status, answer.get("location")) == (status, None)
        assert answer.get("retry-after") == (b"5" if status == 503 else None)
        assert answer.all("set-cookie") == []


@pytest.mark.parametrize(("method", "ending"), [("GET", b""), ("POST", b"&lost=yes")])
async def test_a_page_load_that_lacks_a_proof_is_401_with_the_place_where_it_is_asked(method, ending):
    async with running_edge() as edge:
        edge.access.lacks_proof.add(GOOD)
        answer = await answered(edge, subrequest(PAGE, f"Referer: http://{HOST}/form", method=method))
        back = b"/form" if method == "POST" else b"/page%3Fa%3Db"
        place = f"http://{HOST}/.authproxy/step-up?rt=".encode() + back + b"&for=acq/payments%20POST" + ending
        assert (answer.status, answer.get("location")) == (401, place)
        assert (edge.observed[0]["decision"], edge.observed[0]["reason"]) == (
            "step_up_required",
            "step_up_required",
        )


async def test_a_script_that_lacks_a_proof_is_401_as_rfc_9470_says_it():
    async with running_edge() as edge:
        edge.access.lacks_proof.add(GOOD)
        answer = await answered(edge, subrequest("Sec-Fetch-Mode: cors"))
        assert (answer.status, answer.get("location")) == (401, None)
        assert answer.get("www-authenticate").startswith(
            b'Bearer realm="acq", error="insufficient_user_authentication", '
        )
        assert answer.get("www-authenticate").endswith(b', max_age="300"')
        assert b'"methods": ["push", "totp"]' in answer.body


async def test_a_stranger_is_refused_whatever_it_says():
    async with running_edge() as edge:
        answer = await answered(edge, subrequest(), unix=False)
        assert (answer.status, b"untrusted_peer" in answer.body) == (403, True)
        assert edge.access.asked == []


async def test_a_listed_address_may_ask():
    async with running_edge(trusted=["127.0.0.0/8"]) as edge:
        assert (await answered(edge, subrequest(), unix=False)).status == 200


UNREADABLE = {
    "no URL": subrequest(url=None),
    "no method": subrequest(method=None),
    "two URLs": subrequest(f"X-Original-URL: http://{HOST}/other"),
    "two equal URLs": subrequest(f"X-Original-URL: http://{HOST}/page?a=b"),
    "two methods": subrequest("X-Original-Method: POST"),
    "no scheme": subrequest(url="/page"),
    "another scheme": subrequest(url=f"ftp://{HOST}/page"),
    "no path": subrequest(url=f"http://{HOST}"),
    "no host": subrequest(url="http:///page"),
    "query for a path": subrequest(url=f"http://{HOST}?a=b/c"),
    "user information": subrequest(url=f"http://a@{HOST}/page"),
    "a bad escape": subrequest(url=f"http://{HOST}/%zz"),
    "half an escape": subrequest(url=f"http://{HOST}/%"),
    "a NUL": subrequest(url=f"http://{HOST}/%00"),
    "a fragment": subrequest(url=f"http://{HOST}/admin#/public"),
    "dots": subrequest(url=f"http://{HOST}/public/../admin"),
    "encoded dots": subrequest(url=f"http://{HOST}/public/%2e%2e/admin"),
    "an encoded slash": subrequest(url=f"http://{HOST}/a%2fb"),
    "raw non-ASCII": subrequest(url=f"http://{HOST}/\xe9"),
    "a space": subrequest(url=f"http://{HOST}/a b"),
    "garbage": subrequest(url="x" * 5000),
    "nothing": subrequest(url=""),
    "an unknown method": subrequest(method="get"),
    "a forbidden method": subrequest(method="TRACE"),
    "a method with non-ASCII": subrequest(method="G\xe9T"),
    "another X-Original-URI": subrequest("X-Original-URI: /other"),
    "another X-Forwarded-Uri": subrequest("X-Forwarded-Uri: /public"),
    "an X-Rewrite-URL": subrequest("X-Rewrite-URL: /public"),
    "another X-Forwarded-Host": subrequest("X-Forwarded-Host: other.example"),
    "an unreadable X-Forwarded-Host": subrequest("X-Forwarded-Host: a;b"),
    "one of two X-Original-URI": subrequest("X-Original-URI: /page?a=b", "X-Original-URI: /other"),
}


@pytest.mark.parametrize("data", [pytest.param(data, id=name) for name, data in UNREADABLE.items()])
async def test_what_does_not_say_in_one_way_what_was_asked_is_403_and_never_allowed(data):
    async with running_edge() as edge:
        answer = await answered(edge, data)
        assert (answer.status, b"subrequest_unreadable" in answer.body) == (403, True)
        assert edge.access.asked == []


async def test_headers_of_other_conventions_may_be_there_if_they_agree():
    async with running_edge() as edge:
        data = subrequest(
            "X-Original-URI: /page?a=b", f"X-Forwarded-Host: {HOST.upper()}:80", "X-Forwarded-Uri: /page?a=b"
        )
        assert (await answered(edge, data)).status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/.authproxy/auth/nginx",
        "/.authproxy/login",
        "/.authproxy/static/pages.css",
        "/.authproxy",
        "/.AuthProxy/x",
        "/;a/.authproxy/",
        "/%2eauthproxy/x",
    ],
)
async def test_an_original_url_in_our_own_place_is_nothing_that_a_portal_has(path):
    async with running_edge() as edge:
        for ticket in (GOOD, None):
            answer = await answered(edge, subrequest(url=f"http://{HOST}{path}", ticket=ticket))
            assert (answer.status, b"not_found" in answer.body) == (403, True)
        assert edge.access.asked == []


async def test_a_host_that_is_nobodys_is_403():
    async with running_edge() as edge:
        answer = await answered(edge, subrequest(url="http://other.example/"))
        assert (answer.status, b"unknown_host" in answer.body) == (403, True)


@pytest.mark.parametrize("agent", ["GoogleHC/1.0", "kube-probe/1.30", "ELB-HealthChecker/2.0"])
async def test_no_user_agent_opens_anything(agent):
    async with running_edge() as edge:
        assert (await answered(edge, subrequest(f"User-Agent: {agent}", ticket=None))).status == 401


async def test_headers_that_nginx_copies_from_the_client_do_no_harm():
    async with running_edge() as edge:
        client = await edge.client(unix=True)
        for fields in (
            ["Connection: Upgrade", "Upgrade: websocket"],
            ["Range: bytes=0-1", "If-None-Match: *"],
            ["Expect: 100-continue"],
        ):
            await client.send(subrequest(*fields))
            assert (await client.answer()).status == 200


async def test_a_content_length_without_its_body_is_answered_at_once():
    async with running_edge() as edge:
        client = await edge.client(unix=True)
        await client.send(subrequest("Content-Length: 5"))
        assert (await client.answer()).status == 200


async def test_a_longer_path_than_the_endpoint_is_not_the_endpoint():
    async with running_edge() as edge:
        for target in (
            "/.authproxy/auth/nginx?x",
            "/.authproxy/auth/nginx/",
            "/.authproxy/auth//nginx",
            "/.authproxy/auth/other",
        ):
            data = (
                subrequest()
                .replace(b"/.authproxy/auth/nginx", target.encode())
                .replace(b"Host: auth", f"Host: {HOST}".encode())
            )
            answer = await answered(edge, data)
            assert answer.body.startswith(
                b"<h1>page /.authproxy/auth/"
            )  # the pages answer it, with what they have there: nothing


@pytest.mark.parametrize(
    "field",
    [
        "User-Agent: a\x01b",
        "Accept: a\x7f",
        "Cookie: a\x01=b",
        "Expect: foo",
        "Content-Length: x",
        "Transfer-Encoding: gzip",
        "Host: again",
        "no colon",
        "X-Long: " + "x" * 40_000,
        "\r\n".join(f"X-{number}: x" for number in range(101)),
    ],
    ids=lambda field: field[:20],
)
async def test_whatever_is_wrong_with_a_subrequest_it_is_refused_as_one(field):
    async with running_edge() as edge:
        answer = await answered(edge, subrequest(field))
        assert (answer.status, answer.get("content-type")) == (
            403,
            b"application/problem+json; charset=utf-8",
        )
        assert answer.get("connection") == b"close"
        assert answer.all("x-auth-subject") == []
        assert edge.observed[-1]["dialect"] == "nginx"


@pytest.mark.parametrize("version", ["HTTP/1.2", "HTTP/2.0", "RTSP/1.0"])
async def test_a_subrequest_in_another_version_is_refused_as_one(version):
    async with running_edge() as edge:
        assert (await answered(edge, subrequest().replace(b"HTTP/1.1", version.encode(), 1))).status == 403


async def test_a_crash_of_the_decision_is_a_fault_and_ends_nobody_else():
    class Broken:
        def decide_soon(self, portal, target, sender, now, then):
            match sender.ticket:
                case "1.now":
                    raise RuntimeError("nobody expected this")
                case "1.asked":
                    edge.gate.time = fails_once
                    then(Denied(reason=Reason.LEVEL_TOO_LOW, portal=portal))
                case _:
                    then(None)

        async def decide(self, portal, target, sender, now):
            raise RuntimeError("nor this")

        async def still_allowed(self, allowed, sender, now):
            raise RuntimeError("nor this")

    async with running_edge() as edge:
        sound, edge.gate.access = edge.gate.access, Broken()
        tells_time = edge.gate.time

        def fails_once():
            edge.gate.time = tells_time
            raise RuntimeError("what the store has said makes trouble")

        for ticket in ("1.now", "1.later", "1.asked"):
            request = f"GET / HTTP/1.1\r\nHost: {HOST}\r\nCookie: __Host-authproxy={ticket}\r\n\r\n".encode()
            for data, status in ((subrequest(ticket=ticket), 503), (request, 500)):
                answer = await answered(edge, data)
                assert (answer.status, answer.get("connection")) == (status, b"close")
        assert [str(one["exception"]) for one in edge.errors] == ["nobody expected this"] * 2 + [
            "nor this"
        ] * 2 + ["what the store has said makes trouble"] * 2
        edge.errors.clear()
        edge.gate.access = sound
        assert (
            await answered(edge, f"GET / HTTP/1.1\r\nHost: {HOST}\r\n{COOKIE}\r\n".encode())
        ).status == 200
