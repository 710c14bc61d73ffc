"""The implementations that each contract suite runs against."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta

import pytest
from redis.crc import key_slot

from authproxy.storage.memory import (
    MemoryAttempts,
    MemoryChallenges,
    MemoryEnrolments,
    MemoryLimits,
    MemoryNotices,
    MemorySessions,
    MemorySharedOctets,
    MemoryUsedProofs,
)
from authproxy.storage.records.sealing import KeyRing
from authproxy.storage.redis.attempts import RedisAttempts
from authproxy.storage.redis.challenges import RedisChallenges
from authproxy.storage.redis.connection import RedisConnection
from authproxy.storage.redis.enrolments import RedisEnrolments
from authproxy.storage.redis.limits import RedisLimits
from authproxy.storage.redis.notices import RedisNotices
from authproxy.storage.redis.sessions import RedisSessions
from authproxy.storage.redis.shared_octets import RedisSharedOctets
from authproxy.storage.redis.used_proofs import RedisUsedProofs
from authproxy.storage.retention import BlockRules
from tests.support.redis_server import GENEROUS, RedisServer
from tests.support.redis_topologies import clustered, connected_as_user, replicated

REMEMBERED = timedelta(minutes=30)
"""How long it is known whose a session was."""
PEOPLE = BlockRules(after=5, lasts=timedelta(minutes=15), at_most=timedelta(hours=24))
ADDRESSES = BlockRules(after=30, lasts=timedelta(minutes=15), at_most=timedelta(hours=2))
_SEVERAL = [pytest.mark.needs("redis-server"), pytest.mark.rehearsal]
STORES = [
    "memory",
    pytest.param("redis", marks=pytest.mark.needs("redis-server")),
    pytest.param("sentinel", marks=_SEVERAL),
    pytest.param("cluster", marks=_SEVERAL),
]
"""The last two are asked as a user who has the rights of `authproxy store acl` and no other."""


class InOneSlot(RedisConnection):
    """Fails a script whose keys a cluster would have in several slots."""

    async def each(self, commands, **how):
        for command in commands:
            if command[0] == "EVAL":
                keys = command[3 : 3 + command[2]]
                assert keys
                assert (
                    len({key_slot(key if isinstance(key, bytes) else key.encode()) for key in keys}) == 1
                ), keys
        return await super().each(commands, **how)


@pytest.fixture(scope="session")
def redis_server():
    with RedisServer() as server:
        yield server


@pytest.fixture
async def redis(redis_server):
    redis_server.command("FLUSHALL")
    connection = InOneSlot(redis_server.socket_url, deadline=GENEROUS)
    yield connection
    await connection.aclose()


@pytest.fixture(scope="session")
def sentinel_servers():
    with replicated(has_users=True) as store:
        yield store


@pytest.fixture(scope="session")
def cluster_servers():
    with clustered(has_users=True) as store:
        yield store


@pytest.fixture
async def sentinel(sentinel_servers):
    async with connected_as_user(sentinel_servers) as connection:
        yield connection


@pytest.fixture
async def cluster(cluster_servers):
    async with connected_as_user(cluster_servers) as connection:
        yield connection


@pytest.fixture
def keys():
    return KeyRing((secrets.token_bytes(32),), random_bytes=secrets.token_bytes)


@pytest.fixture(params=STORES)
def sessions(request, keys):
    if request.param == "memory":
        return MemorySessions(remembered_for=REMEMBERED)
    return RedisSessions(request.getfixturevalue(request.param), keys=keys, remembered_for=REMEMBERED)


@pytest.fixture(params=STORES)
def attempts(request):
    if request.param == "memory":
        return MemoryAttempts()
    return RedisAttempts(request.getfixturevalue(request.param))


@pytest.fixture(params=STORES)
def shared_octets(request, keys):
    if request.param == "memory":
        return MemorySharedOctets(clock=lambda: datetime.now(UTC))
    return RedisSharedOctets(request.getfixturevalue(request.param), keys=keys)


@pytest.fixture(params=STORES)
def challenges(request, keys):
    if request.param == "memory":
        return MemoryChallenges()
    return RedisChallenges(request.getfixturevalue(request.param), keys=keys)


@pytest.fixture(params=STORES)
def limits(request, keys):
    if request.param == "memory":
        return MemoryLimits(people=PEOPLE, addresses=ADDRESSES)
    return RedisLimits(request.getfixturevalue(request.param), keys=keys, people=PEOPLE, addresses=ADDRESSES)


@pytest.fixture(params=STORES)
def enrolments(request, keys):
    if request.param == "memory":
        return MemoryEnrolments()
    return RedisEnrolments(request.getfixturevalue(request.param), keys=keys)


@pytest.fixture(params=STORES)
def notices(request, keys):
    if request.param == "memory":
        return MemoryNotices()
    return RedisNotices(request.getfixturevalue(request.param), keys=keys)


@pytest.fixture(params=STORES)
def used_proofs(request):
    if request.param == "memory":
        return MemoryUsedProofs(clock=lambda: datetime.now(UTC))
    return RedisUsedProofs(request.getfixturevalue(request.param))
