"""Request targets: the string that is judged is the string that is served, or neither is (RFC 9112 §3.2, RFC
3986 §6.2.2)."""

from __future__ import annotations

import dataclasses

import pytest

from tests.support.edge import COOKIE, HOST, PORTAL, request, running_edge

REFUSED = [
    # dot segments, plain, encoded, doubly encoded, with parameters, behind other separators
    "/..",
    "/../",
    "/../admin",
    "/public/../admin",
    "/public/./admin",
    "/.",
    "/./",
    "/a/.",
    "/a/..",
    "/%2e%2e/admin",
    "/%2E%2E/admin",
    "/.%2e/admin",
    "/%2e./admin",
    "/%2e/admin",
    "/public/%2e%2e/admin",
    "/..;/admin",
    "/..;x=y/admin",
    "/.;/admin",
    "/a/..;/b",
    "/%2e%2e;/admin",
    # a portal behind nginx with a path in `proxy_pass` gets a decoded `;`
    "/x/..%3B/admin",
    "/..%3bv=1/admin",
    "/%2e%2e%3B/admin",
    "/x/.%3B/admin",
    "/x/..%3F/admin",
    "/x/..%23",
    "/..%2fadmin",
    "/..%5cadmin",
    "/%252e%252e/admin",
    "/%25%32%65%25%32%65/admin",
    "/%252e%252e%252fadmin",
    "/%%32%65%%32%65/admin",
    "/%2%65%2%65/admin",
    "/..%00/admin",
    "/..%0d/admin",
    "/..\\admin",
    "/a\\..\\admin",
    # encoded slashes and backslashes
    "/a%2fb",
    "/a%2Fb",
    "/%2fadmin",
    "/%2f/admin",
    "/a%5cb",
    "/a%5Cb",
    "/%5cadmin",
    "/a%252fb",
    "/a%255cb",
    "/a%25%32%66b",
    "/.authproxy%2fsession",
    "//admin",
    "///admin",
    "//evil.example/",
    "/\\evil.example",
    "\\admin",
    "/\\/admin",
    # overlong UTF-8 and other decoders' dreams
    "/%c0%ae%c0%ae/admin",
    "/%c0%afadmin",
    "/%c1%9cadmin",
    "/%e0%80%ae%e0%80%ae/admin",
    "/%e0%80%afadmin",
    "/%f0%80%80%afadmin",
    "/%C0%AE./admin",
    "/%c0%2f",
    "/%u002e%u002e/admin",
    "/%u2215admin",
    "/a%u0000",
    # incomplete and impossible escapes
    "/%",
    "/a%",
    "/%2",
    "/%zz",
    "/%g1",
    "/%-1",
    "/%2 ",
    "/%\u00b2\u00b2",
    # control characters, white space, raw non-ASCII
    "/%00",
    "/a%00b",
    "/admin%00.css",
    "/%01",
    "/%0a",
    "/%0d%0aX-Auth-Subject:%20root",
    "/%09",
    "/%1f",
    "/%7f",
    "/a b",
    "/a\tb",
    "/\x0b",
    "/a\x00b",
    "/a\x01b",
    "/a\x7fb",
    "/\xe9",
    "/\xe9?b",
    "/a?b=\xe9#c",
    "/a?b=\xe9 c",
    "/a?b=\xe9\x7f",
    "/a?b\x00",
    "/a?b\x1f",
    "/a?\x7f",
    # fragments, quotes, brackets that end a URL for somebody
    "/admin#",
    "/admin#/public",
    "/public#/../admin",
    "/#",
    "/a?b#c",
    '/a"b',
    "/a<b",
    "/a>b",
    "/a`b",
    "/a{b",
    "/a}b",
    # forms of the target
    "*",
    "admin",
    "?a=b",
    "",
    "acq.localhost:80",
    "http:",
    "http:/",
    "http:///",
    "http://",
    "http://other.example/",
    "https://other.example/",
    "http://acq.localhost:81/",
    "http://user@acq.localhost/",
    "http://acq.localhost@other.example/",
    "http://acq.localhost#/",
    "http://acq.localhost\\/",
    "ftp://acq.localhost/",
    "file:///etc/passwd",
    "javascript:alert(1)",
    "http://acq.localhost/../admin",
    "http://acq.localhost//admin",
    "http://[::1]/",
    "http://acq.localhost.other.example/",
    "HTTP://OTHER.example/",
]

SERVED = {
    "/": "/",
    "/a/b.css?c=d": "/a/b.css?c=d",
    "/a?": "/a?",
    "/a?b?c": "/a?b?c",
    "/a?/../b": "/a?/../b",
    "/a?x=%2f%2e%2e%00": "/a?x=%2f%2e%2e%00",
    "/a?x=%": "/a?x=%",
    '/a?x="{}|^`\\<>': '/a?x="{}|^`\\<>',
    "/a?b=\xe9": "/a?b=%E9",
    "/a?q=\xc8epi\xe8&r=%C8": "/a?q=%C8epi%E8&r=%C8",
    "/a?\x80\xa0\xff": "/a?%80%A0%FF",
    f"http://{HOST}/a?\xc4\x8d": "/a?%C4%8D",
    "/%61dmin": "/admin",
    "/%41%7e%2d%5f": "/A~-_",
    "/a%2eb": "/a.b",
    "/a%2db": "/a-b",
    "/%c4%8d": "/%C4%8D",
    "/a%20b": "/a%20b",
    "/a%3bb": "/a%3Bb",
    "/a%25": "/a%25",
    "/a%25zz": "/a%25zz",
    "/a%3f%23": "/a%3F%23",
    "/a//b": "/a//b",
    "/a;b=c/d": "/a;b=c/d",
    "/...": "/...",
    "/..a/.b/c..": "/..a/.b/c..",
    "/a/.well-known/x": "/a/.well-known/x",
    "/a|b^c[d]": "/a|b^c[d]",
    "/a:b@c!$&'()*+,=~": "/a:b@c!$&'()*+,=~",
    f"http://{HOST}": "/",
    f"http://{HOST}/a?b": "/a?b",
    f"http://{HOST}?b": "/?b",
    f"HTTP://{HOST.upper()}:80/a": "/a",
    f"https://{HOST}/a": "/a",
    "/" + "a" * 8000: "/" + "a" * 8000,
}


@pytest.mark.parametrize("target", REFUSED)
async def test_a_target_that_two_readers_could_read_in_two_ways_is_refused(target):
    async with running_edge() as edge:
        answer = await edge.exchange(request(f"GET {target}"))
        assert answer.startswith(b"HTTP/1.1 400 "), answer[:100]
        assert b"Connection: close\r\n" in answer
        assert edge.portal.conversations == []
        assert edge.access.asked == []


@pytest.mark.parametrize(("target", "served"), SERVED.items())
async def test_what_is_judged_is_what_is_served(target, served):
    async with running_edge() as edge:
        answer = await (await edge.client()).ask(f"GET {target}")
        assert answer.status == 200
        assert edge.portal.received.startswith(f"GET {served} HTTP/1.1\r\nHost: {HOST}\r\n".encode())
        assert edge.access.asked[0].origin_form == served


@pytest.mark.parametrize(("target", "served"), [("/a%2fb", "/a%2Fb"), ("/a%5Cb", "/a%5Cb")])
async def test_a_portal_may_opt_in_to_encoded_slashes(target, served):
    async with running_edge(portal=dataclasses.replace(PORTAL, accepts_encoded_slash=True)) as edge:
        client = await edge.client()
        assert (await client.ask(f"GET {target}")).status == 200
        assert edge.portal.received.startswith(f"GET {served} ".encode())
        assert edge.access.asked[0].readings()[-1] == "/a/b"
        await client.send(request("GET /a%2f..%2fadmin"))
        assert (await client.answer()).status == 400


@pytest.mark.parametrize("target", ["/.authproxy%2fsession", "/x%2f.authproxy/", "/%5c.authproxy/"])
async def test_a_portal_that_opted_in_is_still_not_asked_for_our_place(target):
    async with running_edge(portal=dataclasses.replace(PORTAL, accepts_encoded_slash=True)) as edge:
        await (await edge.client()).send(request(f"GET {target}", "Connection: close"))
        await edge.settled(lambda: len(edge.observed) == 1)
        assert b"/.authproxy" not in edge.portal.received.lower()


async def test_a_target_longer_than_the_limit_is_414_however_it_is_cut():
    async with running_edge() as edge:
        client = await edge.client()
        assert (await client.ask("GET /" + "a" * 8191)).status == 200
        client = await edge.client()
        for _ in range(9):
            await client.send(b"GET /" if _ == 0 else b"a" * 1024)
        assert (await client.answer()).status == 414
        assert (await edge.exchange(request("GET /" + "a" * 100_000))).startswith(b"HTTP/1.1 414 ")


async def test_the_error_text_repeats_nothing_of_the_request():
    async with running_edge() as edge:
        answer = await edge.exchange(
            f"GET /%zz<script>secret HTTP/1.1\r\nHost: {HOST}\r\n{COOKIE}\r\n".encode()
        )
        assert b"script" not in answer
        assert b"secret" not in answer
        assert b"1.good" not in answer
