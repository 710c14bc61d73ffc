"""A connection that is kept for the next question brings no answer that nobody has asked for."""

from __future__ import annotations

import asyncio

from authproxy.dns.client_sessions import SessionResolver, client_session

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%s"


class Server:
    """Counts its connections, and answers every request with their number."""

    def __init__(self) -> None:
        self.connections: list[asyncio.StreamWriter] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections.append(writer)
        number = b"%d" % len(self.connections)
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(ANSWER % number)
        except asyncio.IncompleteReadError:
            writer.close()


async def asked_twice(*, unasked: bytes = b"", method: str = "GET") -> list[bytes]:
    """The answers to two questions, the second one by `method`. `unasked` arrives between them."""
    server = Server()
    async with (
        await asyncio.start_server(server, "127.0.0.1") as listening,
        client_session(SessionResolver(), connections=4, kept_for=60.0) as session,
    ):
        url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/"
        async with session.get(url) as answer:
            answers = [await answer.read()]
        server.connections[0].write(unasked)
        for _ in range(10):  # what is on this machine's own network is read in the next turn of the loop
            await asyncio.sleep(0)
        async with session.request(method, url) as answer:
            return [*answers, await answer.read()]


async def test_a_connection_is_used_again():
    assert await asked_twice() == [b"1", b"1"]


async def test_an_answer_that_comes_twice_is_not_the_answer_to_the_next_question():
    assert await asked_twice(unasked=ANSWER % b"x") == [b"1", b"2"]


async def test_a_post_goes_over_a_connection_of_its_own():
    assert await asked_twice(method="POST") == [b"1", b"2"]
