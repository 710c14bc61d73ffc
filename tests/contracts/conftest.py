"""The implementations that each contract suite runs against."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta

import pytest

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

REMEMBERED = timedelta(minutes=30)
"""How long it is known whose a session was."""
PEOPLE = BlockRules(after=5, lasts=timedelta(minutes=15), at_most=timedelta(hours=24))
ADDRESSES = BlockRules(after=30, lasts=timedelta(minutes=15), at_most=timedelta(hours=2))
STORES = ["memory", pytest.param("redis", marks=pytest.mark.needs("redis-server"))]


@pytest.fixture(scope="session")
def redis_server():
    with RedisServer() as server:
        yield server


@pytest.fixture
async def redis(redis_server):
    redis_server.command("FLUSHALL")
    connection = RedisConnection(redis_server.socket_url, deadline=GENEROUS)
    yield connection
    await connection.aclose()


@pytest.fixture
def keys():
    return KeyRing((secrets.token_bytes(32),), random_bytes=secrets.token_bytes)


@pytest.fixture(params=STORES)
def sessions(request, keys):
    if request.param == "memory":
        return MemorySessions(remembered_for=REMEMBERED)
    return RedisSessions(request.getfixturevalue("redis"), keys=keys, remembered_for=REMEMBERED)


@pytest.fixture(params=STORES)
def attempts(request):
    if request.param == "memory":
        return MemoryAttempts()
    return RedisAttempts(request.getfixturevalue("redis"))


@pytest.fixture(params=STORES)
def shared_octets(request, keys):
    if request.param == "memory":
        return MemorySharedOctets(clock=lambda: datetime.now(UTC))
    return RedisSharedOctets(request.getfixturevalue("redis"), keys=keys)


@pytest.fixture(params=STORES)
def challenges(request, keys):
    if request.param == "memory":
        return MemoryChallenges()
    return RedisChallenges(request.getfixturevalue("redis"), keys=keys)


@pytest.fixture(params=STORES)
def limits(request, keys):
    if request.param == "memory":
        return MemoryLimits(people=PEOPLE, addresses=ADDRESSES)
    return RedisLimits(request.getfixturevalue("redis"), keys=keys, people=PEOPLE, addresses=ADDRESSES)


@pytest.fixture(params=STORES)
def enrolments(request, keys):
    if request.param == "memory":
        return MemoryEnrolments()
    return RedisEnrolments(request.getfixturevalue("redis"), keys=keys)


@pytest.fixture(params=STORES)
def notices(request, keys):
    if request.param == "memory":
        return MemoryNotices()
    return RedisNotices(request.getfixturevalue("redis"), keys=keys)


@pytest.fixture(params=STORES)
def used_proofs(request):
    if request.param == "memory":
        return MemoryUsedProofs(clock=lambda: datetime.now(UTC))
    return RedisUsedProofs(request.getfixturevalue("redis"))
