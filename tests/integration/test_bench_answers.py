"""The benchmark measures answers that are 2xx, and nothing else: an error page would be the fastest answer of
all."""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.error import HTTPError

import pytest

BENCH = Path(__file__).parents[2] / "bench"
pytestmark = pytest.mark.needs("redis-server")


@pytest.fixture(autouse=True)
def _bench(monkeypatch):
    """The modules of the benchmark import each other by their names alone."""
    monkeypatch.syspath_prepend(str(BENCH))


@asynccontextmanager
async def answering(status):
    """A server that answers every request with `status`, and the targets that it was asked for."""
    asked = []

    async def serve(reader, writer):
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                asked.append(head.split(b" ")[1].decode())
                writer.write(f"HTTP/1.1 {status} Whatever\r\nContent-Length: 3\r\n\r\nxyz".encode())
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1") as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/x", asked


def crowd_at(url, server):
    import crowd
    from measuring import Load

    watched = crowd.Watched("somebody", [Load(url)], [os.getpid()], server.url)
    return asyncio.to_thread(crowd.measured, crowd.Crowd(5, 0, 10, scale=0.01), watched)


@pytest.mark.parametrize("status", [302, 401, 503])
async def test_an_answer_that_is_not_2xx_ends_the_crowd(status, server):
    async with answering(status) as (url, _):
        with pytest.raises(RuntimeError, match=f"somebody: HTTP/1.1 {status}"):
            await crowd_at(url, server)


async def test_a_page_counts_when_all_of_its_parts_have_come(server):
    async with answering(200) as (url, asked):
        result = await crowd_at(url, server)

        assert result.pages >= 1
        assert len(asked) >= 31 * result.pages
        assert result.hits is None


async def test_a_redirect_and_a_page_of_another_size_are_not_measured():
    import throughput
    from measuring import Load, Row

    def row(url, size):
        return Row(name="somebody", group="some", load=Load(url), size=size, pids=())

    async with answering(302) as (url, _):
        with pytest.raises(HTTPError):
            await asyncio.to_thread(throughput.check, row(url, None))
    async with answering(200) as (url, _):
        await asyncio.to_thread(throughput.check, row(url, 3))
        with pytest.raises(RuntimeError, match="answered 3 bytes"):
            await asyncio.to_thread(throughput.check, row(url, 1024))
