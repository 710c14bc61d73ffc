"""A version that meets records of a newer format says so and asks nothing else, instead of misreading them."""

from __future__ import annotations

import asyncio
import secrets
import sys
from datetime import timedelta

import pytest

from authproxy import __version__
from authproxy.access.unavailable import CannotAsk
from authproxy.bootstrap.stores import open_stores_of_command
from authproxy.settings.sources import load
from authproxy.storage.records.sealing import FORMAT, KeyRing
from authproxy.storage.redis import formats
from authproxy.storage.redis import keys as keyspace
from authproxy.storage.redis.heartbeat import Heartbeat
from authproxy.storage.redis.sessions import RedisSessions
from tests.support.gateway import open_house, write_settings
from tests.support.http_client import Browser
from tests.support.ports import free_port
from tests.support.redis_server import fault_proxy
from tests.support.sandbox import ROOT
from tests.support.session_builders import NOW, new_ticket, session_for
from tests.support.waiting import until

pytestmark = pytest.mark.needs("redis-server")
SECOND = timedelta(seconds=1)
NEWER = str(FORMAT + 1)


async def newer_version_writes(redis, *, number=NEWER):
    await redis.each([("HSET", keyspace.FORMATS, number, "9.1.0")], in_any_case=True)


@pytest.fixture
def heartbeat(redis):
    return Heartbeat(redis, forgives=timedelta(minutes=10))


async def test_every_version_writes_its_format_into_the_store(redis, heartbeat):
    await heartbeat.beat(NOW)
    assert await redis.ask("HGETALL", keyspace.FORMATS) == [str(FORMAT).encode(), __version__.encode()]


async def test_it_is_written_again_after_somebody_has_emptied_the_store(redis, heartbeat):
    await heartbeat.beat(NOW)
    await redis.ask("FLUSHALL")
    await heartbeat.beat(NOW + SECOND)
    assert await redis.ask("HLEN", keyspace.FORMATS) == 1


async def test_a_running_gateway_asks_nothing_more_once_a_newer_version_has_written(redis, heartbeat):
    sessions = RedisSessions(
        redis, keys=KeyRing((bytes(32),), random_bytes=secrets.token_bytes), heartbeat=heartbeat
    )
    ticket = new_ticket()
    await sessions.create(ticket, session_for(ticket), browser="", now=NOW)
    await heartbeat.beat(NOW)

    await newer_version_writes(redis)
    await heartbeat.beat(NOW + SECOND)
    for question in (
        sessions.load(ticket, now=NOW + SECOND),
        sessions.touch(ticket, now=NOW + SECOND),
        heartbeat.warnings(),
    ):
        with pytest.raises(CannotAsk, match=r"authproxy 9\.1\.0 has written records of format 2"):
            await question

    # What it does meanwhile changes nothing in the store: no beat, no outage, no activity.
    before = await redis.each([("HGETALL", keyspace.HEARTBEAT)], in_any_case=True)
    await heartbeat.beat(NOW + 2 * SECOND)
    await heartbeat.beat(NOW + 3 * SECOND)
    assert await redis.each([("HGETALL", keyspace.HEARTBEAT)], in_any_case=True) == before
    assert await redis.each([("EXISTS", keyspace.OUTAGES)], in_any_case=True) == [0]

    # The operator has gone back, and has removed what the newer version had noted.
    await redis.each([("HDEL", keyspace.FORMATS, NEWER)], in_any_case=True)
    await heartbeat.beat(NOW + 4 * SECOND)
    assert await sessions.load(ticket, now=NOW + 4 * SECOND) is not None


async def test_a_newer_store_stays_refused_while_its_formats_cannot_be_asked(redis, server, heartbeat):
    await heartbeat.beat(NOW)
    await newer_version_writes(redis)
    await heartbeat.beat(NOW + SECOND)
    server.command("ACL", "SETUSER", "default", "-hgetall")
    try:
        with pytest.raises(CannotAsk, match="lacks a right"):
            await heartbeat.beat(NOW + 2 * SECOND)
        assert heartbeat.outages.is_failing
        with pytest.raises(CannotAsk, match=r"authproxy 9\.1\.0 has written"):
            await redis.ping()
    finally:
        server.command("ACL", "SETUSER", "default", "+hgetall")


async def test_a_store_that_was_away_at_the_start_is_asked_nothing_before_its_formats(
    redis, server, tmp_path
):
    """Its records may be newer: what this version cannot read would look as if it had ended."""
    await newer_version_writes(redis)
    async with fault_proxy(server.port) as proxy:
        settings = settings_for(tmp_path, proxy.url)
        await proxy.refuse()
        async with open_stores_of_command(settings) as stores:
            await proxy.pass_on()
            with pytest.raises(CannotAsk, match="cannot be reached"):
                await stores.sessions.load(new_ticket(), now=NOW)
            await stores.heartbeat.beat(NOW)
            with pytest.raises(CannotAsk, match=r"authproxy 9\.1\.0 has written"):
                await stores.sessions.load(new_ticket(), now=NOW)
            await redis.each([("HDEL", keyspace.FORMATS, NEWER)], in_any_case=True)
            await stores.heartbeat.beat(NOW + SECOND)
            assert await stores.sessions.load(new_ticket(), now=NOW) is None


async def test_a_command_that_fails_half_way_tells_the_gateways_what_it_has_ended(redis, server, tmp_path):
    ended = new_ticket().session_id
    with pytest.raises(RuntimeError, match="half-way"):
        async with open_stores_of_command(settings_for(tmp_path, server.socket_url)) as stores:
            stores.heartbeat.endings.add([ended])
            raise RuntimeError("half-way")
    assert await redis.ask("ZRANGE", keyspace.ENDINGS, 0, -1) == [ended.encode()]


def settings_for(folder, url):
    ports = {name: free_port() for name in ("gateway", "management", "provider", "acq", "b2b")}
    return load(write_settings(folder, ports, url, secrets.token_urlsafe(32), {}, {}), {})


async def test_a_format_that_this_version_knows_is_no_obstacle(redis, heartbeat):
    await newer_version_writes(redis, number=str(FORMAT))
    await formats.refuse_newer(redis)
    await heartbeat.beat(NOW)
    await redis.ping()


@pytest.mark.parametrize(
    "written",
    [
        ("SET", keyspace.FORMATS, "x"),
        ("HSET", keyspace.FORMATS, "many", "9.1.0"),
        ("HSET", keyspace.FORMATS, "-7", ""),
        ("HSET", keyspace.FORMATS, "\u00b2", ""),
    ],
    ids=str,
)
async def test_what_somebody_else_has_written_there_keeps_nobody_out(redis, heartbeat, written):
    await redis.ask(*written)
    await formats.refuse_newer(redis)
    await heartbeat.beat(NOW)
    await redis.ping()
    await heartbeat.beat(NOW + SECOND)
    assert await redis.ask("HGET", keyspace.FORMATS, str(FORMAT)) == __version__.encode()


async def test_a_gateway_does_not_start_on_a_store_of_a_newer_version_and_says_which(redis, server, tmp_path):
    await newer_version_writes(redis)
    ports = {name: free_port() for name in ("gateway", "management", "provider", "acq", "b2b")}
    file = write_settings(tmp_path, ports, server.socket_url, secrets.token_urlsafe(32), {}, {})
    for command in (["serve", "-c", str(file)], ["sessions", "list", "-c", str(file)]):
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "authproxy",
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            cwd=ROOT,
        )
        async with asyncio.timeout(60):
            _, said = await process.communicate()
        *_, last = said.decode().splitlines()
        assert process.returncode != 0
        assert f"authproxy 9.1.0 has written records of format {NEWER} into the store" in last, last
    assert await redis.each([("KEYS", "*")], in_any_case=True) == [[keyspace.FORMATS.encode()]]


async def test_a_gateway_that_runs_when_a_newer_version_writes_answers_503_and_signs_nobody_out(
    redis, server
):
    async with open_house(server.url) as house:
        person = await house.signed_in()
        script = f"{house.acq}/api/jaz"
        assert (await person.browser.fetch(script)).status == 200

        await newer_version_writes(redis)

        async def is_refused() -> bool:
            answer = await person.browser.fetch(script)
            assert answer.all("set-cookie") == []
            return answer.status == 503

        await until(is_refused)
        ready = await Browser().fetch(f"{house.management}/readyz")
        assert ready.status == 503
        assert "authproxy 9.1.0 has written records" in ready.json["checks"]["store"]["detail"]

        await redis.each([("HDEL", keyspace.FORMATS, NEWER)], in_any_case=True)

        async def is_served() -> bool:
            return (await person.browser.fetch(script)).status == 200

        await until(is_served)
