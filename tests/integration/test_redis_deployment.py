"""The files for operators of Redis: the server starts with them, keeps what it is told, and the gateway's
user may do what it must."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import secrets
from pathlib import Path

import pytest

import authproxy.storage
from authproxy.access.unavailable import CannotAsk
from authproxy.storage.records.sealing import KeyRing
from authproxy.storage.redis.connection import RedisConnection
from authproxy.storage.redis.heartbeat import Heartbeat
from authproxy.storage.redis.sessions import RedisSessions
from tests.support.redis_server import GENEROUS, RedisServer
from tests.support.session_builders import NOW, new_ticket, session_for

pytestmark = pytest.mark.needs("redis-server")
DEPLOY = Path(__file__).parents[2] / "deploy" / "redis"


async def test_a_server_with_the_files_for_operators_is_nothing_to_warn_of(tmp_path):
    password = secrets.token_urlsafe(16)
    users = (
        (DEPLOY / "users.acl")
        .read_text()
        .replace("<sha256 of the password>", hashlib.sha256(password.encode()).hexdigest())
    )
    (tmp_path / "users.acl").write_text(users)
    words = [
        line.split()
        for line in (DEPLOY / "authproxy.conf").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    options = [
        option
        for name, *values in words
        if name != "aclfile"
        for option in (f"--{name}", *(value.strip('"') for value in values))
    ]
    # What was written in the last second may be lost with a killed server; here nothing may.
    with RedisServer(*options, "--appendfsync", "always", "--aclfile", str(tmp_path / "users.acl")) as server:
        redis = RedisConnection(server.url, username="gateway", password=password, deadline=GENEROUS)
        heartbeat = Heartbeat(redis)
        await heartbeat.beat(NOW)
        assert await heartbeat.warnings() == []
        sessions, ticket = (
            RedisSessions(
                redis, keys=KeyRing((bytes(32),), random_bytes=secrets.token_bytes), heartbeat=heartbeat
            ),
            new_ticket(),
        )
        await sessions.create(ticket, session_for(ticket), browser="", now=NOW)
        await redis.aclose()
        server.kill()
        server.start()
        redis = RedisConnection(server.url, username="gateway", password=password, deadline=GENEROUS)
        sessions = RedisSessions(redis, keys=KeyRing((bytes(32),), random_bytes=secrets.token_bytes))
        assert await found(sessions, ticket) is not None
        await redis.aclose()


async def found(sessions, ticket):
    """Once the server has read its data; before, it refuses every question."""
    async with asyncio.timeout(10):
        while True:
            with contextlib.suppress(CannotAsk):
                return await sessions.load(ticket, now=NOW)


def test_the_user_of_the_files_has_the_rights_of_the_readme():
    [line] = [
        line for line in (DEPLOY / "users.acl").read_text().splitlines() if line.startswith("user gateway")
    ]
    readme = (Path(authproxy.storage.__file__).parent / "README.md").read_text()
    assert line.partition("> ")[2] in readme
