"""Reads over the pipeline, against a real Redis behind a proxy that can misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from datetime import timedelta

import pytest
import trustme

from authproxy.access.decision import Reason
from authproxy.access.unavailable import CannotAsk
from authproxy.storage.redis.connection import RedisConnection, WrongType
from authproxy.storage.redis.reads import GatheredReads
from authproxy.storage.redis.servers import StoreTls
from tests.support.redis_server import GENEROUS, RedisServer, fault_proxy
from tests.support.waiting import PATIENCE, until

pytestmark = pytest.mark.needs("redis-server")
LOOPS = ("asyncio", "uvloop")
DEADLINE, SECOND = timedelta(milliseconds=300), timedelta(seconds=1)


@pytest.fixture(scope="module")
def tls_server(tmp_path_factory):
    """The server, and what is needed to trust it."""
    authority, folder = trustme.CA(), tmp_path_factory.mktemp("tls")
    certificate = authority.issue_cert("localhost")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    (folder / "chain.pem").write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    with RedisServer(tls=(folder / "chain.pem", folder / "key.pem")) as running:
        yield running, StoreTls(ca_file=str(folder / "ca.pem"))


@contextlib.asynccontextmanager
async def piped(url, **options):
    """A connection whose pipeline is open, and its reads."""
    connection = RedisConnection(url, **options)
    reads = GatheredReads(connection)
    try:
        await reads.read("GET", "nothing")
        await until(lambda: connection.pipeline() is not None)
        yield connection, reads
    finally:
        await connection.aclose()


@contextlib.asynccontextmanager
async def piped_through_a_proxy(server, **options):
    """The proxy, and what `piped` gives by way of it."""
    async with fault_proxy(server.port) as proxy, piped(proxy.url, **options) as (connection, reads):
        yield proxy, connection, reads


def count_of(server, name: str) -> int:
    return int(re.search(rf"{name}:(\d+)".encode(), server.command("INFO"))[1])


async def outcomes(reads, *commands) -> list[type[BaseException]]:
    answers = await asyncio.gather(*(reads.read(*command) for command in commands), return_exceptions=True)
    return [CannotAsk if isinstance(answer, CannotAsk) else type(answer) for answer in answers]


async def test_each_reader_gets_its_own_answer_however_many_turns_and_questions_overlap(server):
    async with piped_through_a_proxy(server) as (proxy, connection, reads):
        names = [f"name {number}" for number in range(500)]
        await connection.all([("SET", name, name, "PX", 60_000) for name in names])
        before = count_of(server, "total_connections_received")

        async def later(number, name):
            for _ in range(number % 7):
                await asyncio.sleep(0)
            return await reads.read("GET", name)

        with proxy.far_away(0.02):
            answers = await asyncio.gather(*(later(*numbered) for numbered in enumerate(names)))
        assert answers == [name.encode() for name in names]
        the_one_who_counts = 1
        assert count_of(server, "total_connections_received") == before + the_one_who_counts


async def test_a_refused_read_fails_its_own_reader_only(server):
    async with piped(server.url) as (connection, reads):
        await connection.all([("SET", "a text", "value"), ("HSET", "a hash", "field", "value")])
        answers = await asyncio.gather(
            reads.read("GET", "a text"),
            reads.read("HMGET", "a text", "field"),
            reads.read("HMGET", "a hash", "field"),
            return_exceptions=True,
        )
        assert [answers[0], answers[2]] == [b"value", [b"value"]]
        assert type(answers[1]) is WrongType
        assert connection.pipeline() is not None


async def test_a_reader_that_is_cancelled_disturbs_nobody(server):
    async with piped_through_a_proxy(server) as (proxy, connection, reads):
        await connection.all([("SET", name, name) for name in "abc"])
        with proxy.far_away(0.05):
            readers = [asyncio.ensure_future(reads.read("GET", name)) for name in "abc"]
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            readers[0].cancel()
            assert await asyncio.gather(*readers[1:]) == [b"b", b"c"]
        assert await reads.read("GET", "a") == b"a"


@pytest.mark.parametrize(
    "fault", ["refuse", "reset", "swallow", "forget", "nonsense", "another answer", "half an answer"]
)
async def test_when_the_connection_fails_all_readers_are_told_and_later_ones_are_answered(server, fault):
    async with piped_through_a_proxy(server, deadline=DEADLINE) as (proxy, connection, reads):
        await connection.ask("SET", "name", "value")
        match fault:
            case "refuse":
                await proxy.refuse()
            case "reset":
                proxy.reset_after(0)
            case "swallow":
                proxy.swallow()
            case "forget":
                proxy.swallow_open_connections()
            case "nonsense":
                proxy._canned = b"?\r\n"
            case "another answer":
                proxy._canned = b":1\r\n"
            case "half an answer":
                proxy.reset_after(3)
        assert await outcomes(reads, *[("GET", "name")] * 5) == [CannotAsk] * 5
        assert connection.pipeline() is None
        await proxy.pass_on()
        assert await reads.read("GET", "name") == b"value"
        await until(lambda: connection.pipeline() is not None)
        assert await reads.read("GET", "name") == b"value"


@pytest.mark.parametrize("rest", [b"$7\r\nanother\r\n", b"$7\r\nano"])
async def test_an_answer_that_nobody_asked_for_ends_the_connection_before_it_can_be_taken_for_another(
    server, rest
):
    async with piped_through_a_proxy(server, deadline=DEADLINE) as (proxy, connection, reads):
        proxy._canned = b"$1\r\nx\r\n" + rest
        assert await reads.read("GET", "name") == b"x"
        await until(lambda: connection.pipeline() is None)


@pytest.mark.parametrize("octets", [b"$7\r\nanother\r\n", b"*2\r\n", b"$500000000\r\nx"])
async def test_not_even_a_part_of_an_answer_waits_for_its_question(server, octets):
    async with piped_through_a_proxy(server) as (proxy, connection, reads):
        pipeline = connection.pipeline()
        proxy.say(octets)
        await asyncio.wait_for(pipeline.wait_closed(), PATIENCE)
        assert connection.pipeline() is None
        assert await reads.read("GET", "nothing") is None


def asked_at_one_moment(reads, pipeline, deadlines):
    """Asks for each name, and gives it so many seconds; what is told of each. No turn of the loop is between them."""
    told = {name: [] for name in deadlines}
    for name, pipeline._deadline in deadlines.items():
        reads.ask(("GET", name), told[name].append)
        reads._send()
    return told


async def test_a_late_answer_fails_its_own_reader_and_not_those_who_asked_later(server):
    async with piped_through_a_proxy(server, deadline=SECOND) as (proxy, connection, reads):
        proxy.swallow()
        told = asked_at_one_moment(reads, connection.pipeline(), {"a": 0.1, "b": 0.2, "c": 60.0})
        await until(lambda: told["a"])
        assert isinstance(told["a"][0], CannotAsk)
        assert "does not answer within 1 s" in str(told["a"][0])
        assert connection.pipeline() is None
        proxy.say(b"$1\r\na\r\n")
        await until(lambda: told["b"])
        assert isinstance(told["b"][0], CannotAsk)
        proxy.say(b"$1\r\nb\r\n$1\r\nc\r\n")
        await until(lambda: told["c"])
        assert told["c"] == [b"c"]
        assert [len(told[name]) for name in "ab"] == [1, 1]
        await proxy.pass_on()
        assert await reads.read("GET", "nothing") is None


async def test_everybody_is_told_once_whatever_comes_afterwards(server):
    async with piped_through_a_proxy(server, deadline=SECOND) as (proxy, connection, reads):
        proxy.swallow()
        told = asked_at_one_moment(reads, connection.pipeline(), {"a": 0.1, "b": 60.0})
        await until(lambda: told["a"])
        proxy.say(b"$1\r\na\r\n$1\r\nb\r\n")
        await until(lambda: told["b"])
        await proxy.pass_on()
        assert await reads.read("GET", "nothing") is None
        assert [isinstance(each, CannotAsk) for each in told["a"]] == [True]
        assert told["b"] == [b"b"]


async def test_a_question_that_cannot_be_sent_takes_nobodys_answer_and_keeps_nobody_waiting(server):
    async with piped(server.url, deadline=GENEROUS) as (connection, reads):
        await connection.ask("SET", "a", "a")
        said = asyncio.ensure_future(outcomes(reads, ("GET", "\udc80"), ("GET", "nothing")))
        await until(lambda: connection.pipeline() is None)
        assert await reads.read("GET", "a") == b"a"
        assert await asyncio.wait_for(said, PATIENCE) == [CannotAsk] * 2


async def test_a_store_that_takes_no_more_connections_is_not_tried_again_for_each_answer(server):
    connection = RedisConnection(server.url, deadline=GENEROUS)
    reads = GatheredReads(connection)
    before = count_of(server, "rejected_connections")
    await connection.ask("CONFIG", "SET", "maxclients", "1")
    began = time.monotonic()
    try:
        for _ in range(50):
            assert await reads.read("GET", "nothing") is None
            await until(lambda: connection._store._opening is None)
    finally:
        await connection.ask("CONFIG", "SET", "maxclients", "10000")
    assert count_of(server, "rejected_connections") - before <= 2 + time.monotonic() - began
    await connection.aclose()


async def test_over_tls_it_is_the_same(tls_server):
    server, tls = tls_server
    async with piped(f"rediss://localhost:{server.port}/0", tls=tls) as (connection, reads):
        names = [f"name {number}" for number in range(100)]
        await connection.all([("SET", name, name * 1000) for name in names])
        answers = await asyncio.gather(*(reads.read("GET", name) for name in names))
        assert answers == [name.encode() * 1000 for name in names]
        pipeline = connection.pipeline()
        server.command("CLIENT", "KILL", "TYPE", "normal")
        await asyncio.wait_for(pipeline.wait_closed(), PATIENCE)
        with contextlib.suppress(CannotAsk):  # over a connection that was cut at this moment
            await reads.read("GET", "name 1")
        assert await reads.read("GET", "name 1") == b"name 1" * 1000
        await until(lambda: connection.pipeline() is not None)
        pipeline = connection.pipeline()
    await asyncio.wait_for(pipeline.wait_closed(), PATIENCE)


async def test_a_pipeline_to_a_server_that_was_left_answers_what_is_open_and_takes_nothing_new(server):
    async with piped_through_a_proxy(server) as (proxy, connection, reads):
        await connection.ask("SET", "name", "value")
        with proxy.far_away(0.1):
            reader = asyncio.ensure_future(reads.read("GET", "name"))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            pipeline = connection.pipeline()
            await connection.leave()
            assert connection.pipeline() is None
            assert await reader == b"value"
        await asyncio.wait_for(pipeline.wait_closed(), PATIENCE)
        assert await reads.read("GET", "name") == b"value"


async def test_a_closed_connection_leaves_no_pipeline_open_not_even_one_that_was_being_opened(server):
    before = count_of(server, "connected_clients")
    connection = RedisConnection(server.url)
    await GatheredReads(connection).read("GET", "nothing")
    await connection.aclose()
    assert connection.pipeline() is None
    async with piped(server.url) as (connection, _):
        pass
    assert connection.pipeline() is None
    await until(lambda: count_of(server, "connected_clients") <= before)


async def test_a_store_that_must_not_be_asked_is_not_asked_over_the_pipeline_either(server):
    async with piped(server.url) as (connection, reads):
        connection.refused = CannotAsk(Reason.STORE_UNAVAILABLE, "a newer format")
        with pytest.raises(CannotAsk, match="a newer format"):
            await reads.read("GET", "name")


async def test_what_is_asked_after_the_end_leaves_no_connection_open(server):
    before = count_of(server, "connected_clients")
    connection = RedisConnection(server.url)
    await connection.aclose()
    assert await GatheredReads(connection).read("GET", "nothing") is None
    await until(lambda: count_of(server, "connected_clients") <= before)
    assert connection.pipeline() is None
