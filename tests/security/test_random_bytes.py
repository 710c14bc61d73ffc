"""Random bytes in every header and in the target: never a 2xx without a valid ticket, never a byte for the
portal, and the edge goes on."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from tests.support.edge import GOOD, HOST, running_edge
from tests.support.questions import DIALECTS

NAMES = [
    "Host",
    "Cookie",
    "Content-Length",
    "Transfer-Encoding",
    "Connection",
    "Upgrade",
    "Expect",
    "TE",
    "Trailer",
    "Accept",
    "Origin",
    "Referer",
    "Authorization",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "X-Forwarded-Uri",
    "X-Original-URL",
    "X-Original-Method",
    "X-Original-Host",
    "X-Forwarded-Method",
    "X-Authproxy-Question",
    "Sec-Fetch-Dest",
    "Sec-WebSocket-Version",
    "X-Original-URI",
    "X-Rewrite-URL",
    "X-Auth-Subject",
    "X-Auth-Assertion",
    "X-Request-Id",
    "User-Agent",
    "Sec-Fetch-Mode",
    "Purpose",
    "Sec-WebSocket-Key",
    "Range",
    "If-None-Match",
    "X-HTTP-Method-Override",
    "Forwarded",
    "X-Authproxy-Status",
]
# Bytes as an attacker picks them: mostly those with a meaning, words of the protocol, and anything at all.
meaningful = some.sampled_from(
    [
        b"\r\n",
        b"\n",
        b"\r",
        b"\0",
        b":",
        b" ",
        b"\t",
        b",",
        b";",
        b"=",
        b"%",
        b"/",
        b"..",
        b"%2e",
        b"%2f",
        b"#",
        b"?",
        b"\\",
        b"\xff",
        b'"',
    ]
)
words = some.sampled_from(
    [
        b"chunked",
        b"close",
        b"upgrade",
        b"websocket",
        b"__Host-authproxy=",
        b"1.",
        b"100-continue",
        b"http://",
        HOST.encode(),
        b"5",
        b"0",
        b"GET",
    ]
)
noise = some.lists(meaningful | words | some.binary(max_size=6), max_size=6).map(b"".join)
sane = {
    b"Host": HOST.encode(),
    b"X-Original-URL": f"http://{HOST}/page".encode(),
    b"X-Original-Method": b"GET",
    b"X-Forwarded-Method": b"GET",
    b"X-Forwarded-Proto": b"http",
    b"X-Forwarded-Host": HOST.encode(),
    b"X-Forwarded-Uri": b"/page",
    b"X-Forwarded-For": b"192.0.2.7",
}
QUESTIONS = [b"/.authproxy/auth/" + name.encode() for name in DIALECTS if name != "envoy"]
QUESTIONS.append(b"/.authproxy/auth/envoy/page")
targets = some.one_of(
    some.just(b"/"),
    some.sampled_from(QUESTIONS),
    noise.map(lambda tail: b"/.authproxy/auth/envoy" + tail),
    noise.map(lambda tail: b"/" + tail),
    noise,
    noise.map(lambda tail: b"/.authproxy/" + tail),
)


@some.composite
def requests(draw):
    """A request that is sound but for the noise: a few headers, or the target, or the method, hold random
    bytes."""
    values = dict(sane)
    for name in draw(some.lists(some.sampled_from(NAMES), max_size=4, unique=True)):
        values[name.encode()] = draw(noise)
    method = draw(some.sampled_from([b"GET", b"POST", b"HEAD", b"OPTIONS"]) | noise)
    lines = [b"%s: %s\r\n" % field for field in values.items()]
    return b"%s %s HTTP/1.1\r\n%s\r\n%s" % (
        method,
        draw(targets),
        b"".join(draw(some.permutations(lines))),
        draw(noise),
    )


class Harness:
    """One edge for all examples of a test: that it survives them is part of what is proved."""

    def __init__(self, trusted):
        self._runner = asyncio.Runner()
        self._context = running_edge(trusted=trusted)
        self.edge = self._runner.run(self._enter())

    async def _enter(self):
        return await self._context.__aenter__()

    def answer(self, attack: bytes) -> bytes:
        return self._runner.run(self._exchange(attack))

    async def _exchange(self, attack: bytes) -> bytes:
        client = await self.edge.client()
        await client.send(attack)
        client.writer.write_eof()
        answer = await client.everything()
        client.close()
        return answer

    def close(self) -> None:
        self._runner.run(self._context.__aexit__(None, None, None))
        self._runner.close()


@pytest.fixture(scope="module", params=[(), ("127.0.0.1",)], ids=["from a stranger", "from a trusted proxy"])
def harness(request):
    harness = Harness(request.param)
    yield harness
    assert b" 401 " in harness.answer(f"GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
    harness.close()


def statuses(answer: bytes) -> list[int]:
    return [int(line[9:12]) for line in answer.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")]


@settings(max_examples=400)
@given(attack=requests())
def test_random_bytes_never_pass_without_a_ticket(harness, attack):
    answer = harness.answer(attack)
    assert GOOD.encode() not in attack
    found = statuses(answer)
    assert all(status >= 300 for status in found if status != 100), answer
    assert harness.edge.portal.conversations == []
    assert harness.edge.errors == []


@settings(max_examples=120)
@given(ticket=some.binary(max_size=40) | noise)
def test_random_bytes_are_no_ticket(harness, ticket):
    head = (
        b"Host: %s\r\nX-Original-URL: http://%s/\r\nX-Original-Method: GET\r\nCookie: "
        b"__Host-authproxy=%s\r\n\r\n"
        % (
            HOST.encode(),
            HOST.encode(),
            ticket,
        )
    )
    for target in (b"/", *QUESTIONS):
        answer = harness.answer(b"GET %s HTTP/1.1\r\n%s" % (target, head))
        assert all(status >= 400 for status in statuses(answer)), answer
    assert harness.edge.portal.conversations == []
    assert harness.edge.errors == []


@settings(max_examples=100)
@given(
    target=some.sampled_from(QUESTIONS),
    proof=some.binary(max_size=80) | noise | some.from_regex(rb"\At=[0-9]{1,12};h=[0-9a-f]{64}\Z"),
    others=some.dictionaries(some.sampled_from(NAMES[3:]).map(str.encode), noise, max_size=2),
)
def test_random_bytes_prove_nothing_about_who_asks(harness, target, proof, others):
    harness.edge.gate.question_keys = (bytes(range(32)),)
    # The proof comes first, so that no noise ends the head before it.
    fields = (
        {b"X-Authproxy-Question": proof} | sane | {b"Cookie": b"__Host-authproxy=%s" % GOOD.encode()} | others
    )
    fields[b"X-Authproxy-Question"] = proof
    lines = b"".join(b"%s: %s\r\n" % field for field in fields.items())
    answer = harness.answer(b"GET %s HTTP/1.1\r\n%s\r\n" % (target, lines))
    assert all(status >= 400 for status in statuses(answer)), answer
    assert harness.edge.errors == []
