"""The client of the JDK, which offers HTTP/2 by `Upgrade: h2c` with each request until it has been answered:
bodies arrive whole."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

import pytest

from tests.support.edge import COOKIE, HOST, running_edge

pytestmark = pytest.mark.needs("java")
PROGRAM = Path(__file__).parents[1] / "support" / "foreign_java" / "Asks.java"


async def sums(conversation):
    """Answers each request with the SHA-256 of its body."""
    while True:
        head = await conversation.read_until(b"\r\n\r\n")
        if b"\r\nexpect: 100-continue\r\n" in head.lower():
            await conversation.say(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = await conversation.read_body(head)
        if b"\r\ntransfer-encoding: chunked\r\n" in head.lower():
            body = unchunked(body)
        await conversation.answer(hashlib.sha256(body).hexdigest().encode())


def unchunked(raw):
    body = b""
    while (size := int(raw.partition(b"\r\n")[0], 16)) > 0:
        raw = raw.partition(b"\r\n")[2]
        body, raw = body + raw[:size], raw[size + 2 :]
    return body


async def asked(port, sizes):
    """The lines of the program."""
    process = await asyncio.create_subprocess_exec(
        "java",
        "-Djdk.httpclient.allowRestrictedHeaders=host",
        PROGRAM,
        f"http://127.0.0.1:{port}/a",
        HOST,
        COOKIE.partition(": ")[2].strip(),
        sizes,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await asyncio.wait_for(process.communicate(), 100)
    assert process.returncode == 0, said.decode()
    return said.decode().splitlines()


async def test_bodies_of_javas_client_reach_the_portal_whole():
    async with running_edge(script=sums) as edge:
        await asked(edge.portal.port, "none")
        assert b"\r\nUpgrade: h2c\r\n" in edge.portal.heads[0]  # it does offer it
        direct = len(edge.portal.conversations)
        lines = await asked(edge.port, "all")
        assert len(lines) == 2 * (4 * 13 + 1)
        assert [line for line in lines if not line.endswith(" 200 intact")] == []
        assert {b"h2c" in bytes(one.received) for one in edge.portal.conversations[direct:]} == {False}
