"""The gateway's user on a store of several servers, with the rights that `authproxy store acl` prints and no other,
while replicas and Sentinels have users of their own and the default user is off. What each store asks is in
`contracts/`, which runs as this user too; here is what goes on in the background."""

from __future__ import annotations

import asyncio
import secrets
from datetime import timedelta
from pathlib import Path

import pytest

from authproxy.access.unavailable import CannotAsk
from authproxy.storage.near_cache import NearCache
from authproxy.storage.records.sealing import KeyRing
from authproxy.storage.redis import condition, formats
from authproxy.storage.redis.audit_queue import RedisAuditQueue
from authproxy.storage.redis.connection import RedisConnection, SeveralServers
from authproxy.storage.redis.heartbeat import Heartbeat
from authproxy.storage.redis.invalidation import listen
from authproxy.storage.redis.open_sessions import RedisOpenSessions
from authproxy.storage.redis.sessions import RedisSessions
from tests.support.redis_topologies import (
    OTHER_USERS,
    PASSWORD,
    SENTINEL_PASSWORD,
    SENTINEL_USER,
    USER,
    clustered,
    connected_as_user,
    replicated,
)
from tests.support.session_builders import new_ticket, session_for
from tests.support.store_side import now
from tests.support.waiting import until

SEVERAL = [
    pytest.mark.needs("redis-server"),
    pytest.mark.rehearsal,
]
README = (Path(__file__).parents[2] / "deploy/redis/README.md").read_text()


@pytest.mark.parametrize(
    "topology",
    [
        pytest.param(replicated, id="sentinel", marks=SEVERAL),
        pytest.param(clustered, id="cluster", marks=SEVERAL),
    ],
)
async def test_what_goes_on_in_the_background_needs_no_further_right(topology):
    with topology(has_users=True) as store:
        async with connected_as_user(store) as redis:
            keys = KeyRing((secrets.token_bytes(32),), random_bytes=secrets.token_bytes)
            heartbeat = Heartbeat(redis, forgives=timedelta(minutes=10))
            opened = RedisOpenSessions(redis, keys=keys, heartbeat=heartbeat, name_of=lambda _: "name")
            sessions = RedisSessions(redis, keys=keys, heartbeat=heartbeat, open_sessions=opened)
            cache = NearCache(near_cache_for=timedelta(minutes=5))
            listening = asyncio.ensure_future(listen(redis, cache, clock=now))
            await formats.refuse_newer(redis)
            await heartbeat.beat(now())
            await until(lambda: cache.is_heard(now()))
            ticket, at = new_ticket(), now()
            await sessions.create(ticket, session_for(ticket, started_at=at), browser="", now=at)
            assert await opened.ended("taker", now=at + timedelta(days=1)) == []
            assert await sessions.revoke(ticket.session_id)
            assert [each async for each in sessions.all_summaries(now=at)] == []
            await heartbeat.beat(now())
            acts = RedisAuditQueue(redis, keys=keys)
            assert await acts.append(b"act")
            assert await acts.claim("taker") == [b"act"]
            assert await acts.settle("taker", 1)
            assert [text for text in await heartbeat.warnings(now) if "append-only" not in text] == []
            assert not (await condition.missing_rights(redis, "test")).is_warning
            listening.cancel()
            await asyncio.wait([listening])
        fallen = store.primaries[0]
        fallen.kill()  # and those who replicate it and who watch it need no further right either
        await until(lambda: asyncio.to_thread(store.has_decided, fallen), within=40)
        fallen.start()
        await until(store.is_whole, within=40)
        async with connected_as_user(store) as redis:
            await redis.ask("SET", "authproxy:{name}:session", "1")


@pytest.mark.needs("redis-server")
@pytest.mark.rehearsal
async def test_sentinels_and_the_store_have_users_of_their_own():
    with replicated(has_users=True) as store:

        async def is_asked(password, sentinel_password):
            redis = RedisConnection(
                store.url,
                username=USER,
                password=password,
                several=SeveralServers(sentinel_username=USER, sentinel_password=sentinel_password),
            )
            try:
                await redis.ping()
            finally:
                await redis.aclose()

        await is_asked(PASSWORD, SENTINEL_PASSWORD)
        for password, sentinel_password, said in (
            (PASSWORD, PASSWORD, "Sentinels do not lead to the primary: it does not accept the user name"),
            (SENTINEL_PASSWORD, SENTINEL_PASSWORD, "the store does not accept the user name"),
        ):
            with pytest.raises(CannotAsk, match=said) as told:
                await is_asked(password, sentinel_password)
            assert PASSWORD not in str(told.value)
            assert SENTINEL_PASSWORD not in str(told.value)


def test_the_documents_have_the_users_of_replicas_and_sentinels():
    for line in (*OTHER_USERS, SENTINEL_USER):
        assert line.format(password="#<sha256 of the password>") in README
