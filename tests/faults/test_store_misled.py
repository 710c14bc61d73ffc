"""What nodes of a cluster and Sentinels say may be wrong, or a lie: where nothing is sent, and what is not
believed. All servers are real, but for the machine that listens in."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from authproxy.access.unavailable import CannotAsk
from authproxy.storage.near_cache import NearCache
from authproxy.storage.redis.connection import RedisConnection, SeveralServers
from authproxy.storage.redis.invalidation import listen
from tests.support.ports import free_port
from tests.support.redis_server import GENEROUS, RedisServer, fault_proxy
from tests.support.redis_topologies import SERVICE, asked
from tests.support.store_side import now, store_sides
from tests.support.waiting import until

pytestmark = pytest.mark.needs("redis-server")
EVERY_SLOT = (0, 16383)


@contextlib.contextmanager
def node(*options):
    cluster = (
        "--cluster-enabled",
        "yes",
        "--cluster-port",
        str(free_port()),
        "--cluster-node-timeout",
        "1000",
    )
    with RedisServer(*cluster, *options) as running:
        yield running


@contextlib.asynccontextmanager
async def other_machine():
    """What it is sent is in the list."""
    sent = []

    async def listens(reader, writer):
        sent.append(await reader.read(1000))
        writer.close()

    server = await asyncio.start_server(listens, "127.0.0.2", 0)
    try:
        yield server.sockets[0].getsockname()[1], sent
    finally:
        server.close()


async def test_neither_a_scan_nor_the_channel_of_the_near_cache_follows_a_node_to_another_machine():
    """Without TLS and without leave, nobody there gets the password."""
    async with other_machine() as (port, sent):
        there = ("--cluster-announce-ip", "127.0.0.2", "--cluster-announce-port", str(port))
        with node(*there) as seed:
            asked(seed, "ACL", "SETUSER", "gateway", "on", ">the-password", "~*", "&*", "+@all")
            asked(seed, "CLUSTER", "ADDSLOTSRANGE", *EVERY_SLOT)
            redis = RedisConnection(
                f"redis+cluster://127.0.0.1:{seed.port}",
                username="gateway",
                password="the-password",
                several=SeveralServers(may_lead_to=lambda host: host == "127.0.0.1"),
            )
            for question in (redis.primaries, redis.ping, redis.scan("*").__anext__):
                with pytest.raises(CannotAsk, match="another machine"):
                    await question()
            with pytest.raises(CannotAsk, match="another machine"):
                async with redis.dedicated():
                    pass
            listening = asyncio.ensure_future(listen(redis, NearCache(near_cache_for=GENEROUS), clock=now))
            failures = redis.failures
            await until(lambda: redis.failures > failures + 2)
            listening.cancel()
            await asyncio.wait([listening])
            await redis.aclose()
        assert sent == []


async def test_a_cluster_of_which_nobody_has_any_key_cannot_be_asked():
    """So it is before somebody has made the cluster. Without a primary there is no channel to wait for either."""
    with node() as seed:
        redis = RedisConnection(f"redis+cluster://127.0.0.1:{seed.port}")
        for question in (redis.ping, redis.primaries):
            with pytest.raises(CannotAsk, match="no node has any key"):
                await question()
        asked(seed, "CLUSTER", "ADDSLOTSRANGE", *EVERY_SLOT)
        await until(lambda: b"cluster_state:ok" in seed.command("CLUSTER", "INFO"))

        async def is_served():
            with contextlib.suppress(CannotAsk):
                await redis.ping()
                return True

        await until(is_served)
        await redis.aclose()


async def test_an_address_of_the_url_that_has_become_another_cluster_does_not_lead_there():
    """All sessions would seem to have ended."""
    with node() as own, node() as reused:
        asked(own, "CLUSTER", "ADDSLOTSRANGE", *EVERY_SLOT)
        await until(lambda: b"cluster_state:ok" in own.command("CLUSTER", "INFO"))
        redis = RedisConnection(f"redis+cluster://127.0.0.1:{own.port},127.0.0.1:{reused.port}")
        await redis.all([("SET", "authproxy:{x}:session", "1")])

        asked(reused, "CLUSTER", "SET-CONFIG-EPOCH", 50)
        asked(reused, "CLUSTER", "ADDSLOTSRANGE", *EVERY_SLOT)
        await until(lambda: b"cluster_state:ok" in reused.command("CLUSTER", "INFO"))
        for _ in range(5):
            await redis._store._look()
            assert await redis.ask("GET", "authproxy:{x}:session") == b"1"
        await redis.aclose()


def resp(*words):
    return f"*{len(words)}\r\n".encode() + b"".join(f"${len(word)}\r\n{word}\r\n".encode() for word in words)


def sentinel_says(port, epoch=0):
    return resp("127.0.0.1", str(port)) + resp("config-epoch", str(epoch))


async def test_of_sentinels_that_were_set_up_for_different_primaries_most_are_believed_again_and_again():
    """They have decided nothing yet, so none of them is newer. Sessions must not be now here, now there."""
    with RedisServer() as right, RedisServer() as wrong:
        async with contextlib.AsyncExitStack() as running:
            ports = [right.port, wrong.port, right.port]
            sentinels = [await running.enter_async_context(fault_proxy(right.port)) for _ in ports]
            for sentinel, port in zip(sentinels, ports, strict=True):
                await sentinel.answer(sentinel_says(port))
            hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in sentinels)
            redis = RedisConnection(f"redis+sentinel://{hosts}/{SERVICE}", deadline=GENEROUS)

            async def who_is_asked():
                await redis._sentinels._look()
                return b"tcp_port:%d\r" % right.port in await redis.ask("INFO", "server")

            await until(who_is_asked)
            for silent in sentinels:  # also if it is one against one
                silent.swallow()
                assert {await who_is_asked() for _ in range(5)} == {True}
                await silent.pass_on()
                await silent.answer(sentinel_says(ports[sentinels.index(silent)]))
            await redis.aclose()


async def test_a_primary_without_replicas_is_not_believed_once_most_sentinels_are_silent():
    """The gateway may be cut off together with a former primary. What is revoked elsewhere meanwhile is not known
    there."""
    async with contextlib.AsyncExitStack() as running:
        primary = running.enter_context(RedisServer("--repl-diskless-sync-delay", "0"))
        replica_of = ("--replicaof", f"127.0.0.1 {primary.port}")
        replica = running.enter_context(RedisServer(*replica_of))
        sentinels = [await running.enter_async_context(fault_proxy(primary.port)) for _ in range(3)]
        for sentinel in sentinels:
            await sentinel.answer(sentinel_says(primary.port))
        hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in sentinels)
        url = f"redis+sentinel://{hosts}/{SERVICE}"
        [side] = await running.enter_async_context(store_sides(url, count=1))
        ticket = await side.starts()
        await until(lambda: b"state=online" in primary.command("INFO", "replication"), within=20)
        primary.command("CONFIG", "SET", "min-replicas-to-write", "1")

        replica.kill()
        await until(lambda: side.heartbeat.outages.is_failing)
        assert await side.asks(ticket)  # the Sentinels still say that it is the primary

        for sentinel in sentinels[:2]:
            sentinel.swallow()

        async def is_refused():
            with contextlib.suppress(CannotAsk):
                await side.heartbeat.beat(now())
            return await side.asks(ticket) is None

        await until(is_refused)
        assert [await is_refused() for _ in range(5)] == [True] * 5
        with pytest.raises(CannotAsk, match="may be a former primary"):
            await side.sessions.load(ticket, now=now())

        replica.start()
        await until(side.is_served, within=20)
        assert await side.asks(ticket)
