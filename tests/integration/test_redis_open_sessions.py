"""Sessions that end by time are told of, once, and no others: against a real store that lets records
expire."""

from __future__ import annotations

import secrets
from datetime import timedelta

import pytest

from authproxy.storage.records.sealing import KeyRing
from authproxy.storage.redis import keys as keyspace
from authproxy.storage.redis.connection import RedisConnection
from authproxy.storage.redis.heartbeat import Heartbeat
from authproxy.storage.redis.open_sessions import RedisOpenSessions
from authproxy.storage.redis.sessions import RedisSessions
from tests.support.gateway import DAVID, open_house
from tests.support.redis_server import GENEROUS, RedisServer
from tests.support.session_builders import NOW, new_ticket, session_for
from tests.support.waiting import until

pytestmark = pytest.mark.needs("redis-server")
LATER = NOW + timedelta(minutes=20)
AGAIN_AFTER = timedelta(seconds=6)
"""A session whose record is gone is looked at again after this time."""


@pytest.fixture(scope="module")
def redis_server():
    with RedisServer() as running:
        yield running


class Store:
    def __init__(self, connection, server):
        self.server = server
        self.connection = connection
        self.keys = KeyRing((secrets.token_bytes(32),), random_bytes=secrets.token_bytes)
        self.heartbeat, self.opened = self.instance()
        self.sessions = RedisSessions(
            connection, keys=self.keys, heartbeat=self.heartbeat, open_sessions=self.opened
        )

    def instance(self):
        heartbeat = Heartbeat(self.connection)
        return heartbeat, RedisOpenSessions(
            self.connection, keys=self.keys, heartbeat=heartbeat, name_of=lambda _: "name of a person"
        )

    async def begun(self, **changes):
        ticket = new_ticket()
        session = session_for(ticket, **{"idle_for": timedelta(milliseconds=50)} | changes)
        await self.sessions.create(ticket, session, browser="", now=NOW)
        return ticket, session

    async def is_gone(self, session):
        async def gone():
            return self.server.command("EXISTS", keyspace.session(session.session_id)) == b":0\r\n"

        await until(gone)

    async def told(self, now=LATER, taker="a"):
        """What a gateway tells that looks at this moment and then again."""
        await self.opened.ended(taker, now=now)
        found = await self.opened.ended(taker, now=now + AGAIN_AFTER)
        return [(each.session_id, each.is_absolute) for each in found]


@pytest.fixture
async def store(redis_server):
    redis_server.command("FLUSHALL")
    connection = RedisConnection(redis_server.socket_url, deadline=GENEROUS)
    yield Store(connection, redis_server)
    await connection.aclose()


@pytest.mark.parametrize("key", [keyspace.OPEN_SESSIONS, keyspace.OPEN_DETAILS])
async def test_something_else_under_their_keys_keeps_nobody_from_signing_in(store, key):
    store.server.command("RPUSH", key, "x")
    _, session = await store.begun()
    await store.is_gone(session)
    assert await store.told() == [(session.session_id, False)]


async def test_an_idle_session_is_told_of_until_that_is_settled_and_never_again(store):
    _, session = await store.begun()
    await store.is_gone(session)
    assert await store.opened.ended("b", now=LATER) == []
    [ended] = await store.opened.ended("a", now=LATER + AGAIN_AFTER)
    assert (ended.session_id, ended.portal, ended.method, ended.person_name) == (
        session.session_id,
        session.portal,
        session.method,
        "name of a person",
    )
    assert not ended.is_absolute
    assert await store.told(taker="b") == []
    assert await store.told() == [(session.session_id, False)]
    assert await store.opened.settle("a", [ended])
    assert await store.told() == await store.told(taker="b") == []
    assert store.server.command("EXISTS", keyspace.OPEN_SESSIONS, keyspace.OPEN_DETAILS) == b":0\r\n"


async def test_the_absolute_end_is_told_apart(store):
    _, session = await store.begun(expires_at=NOW + timedelta(milliseconds=50), idle_for=timedelta(hours=1))
    await store.is_gone(session)
    assert await store.told() == [(session.session_id, True)]


async def test_a_session_that_lives_is_looked_at_again_at_its_new_end(store):
    ticket, _ = await store.begun(idle_for=timedelta(minutes=15))
    await store.sessions.touch(ticket, now=NOW + timedelta(minutes=14))
    assert await store.told(now=LATER) == []
    store.server.command("DEL", keyspace.session(ticket.session_id))
    assert await store.told(now=LATER) == []
    assert await store.told(now=NOW + timedelta(minutes=30)) == [(ticket.session_id, False)]


async def test_what_somebody_has_ended_has_not_ended_by_time(store):
    _, session = await store.begun(idle_for=timedelta(minutes=15))
    assert await store.sessions.revoke(session.session_id)
    assert await store.told() == []
    assert store.server.command("EXISTS", keyspace.OPEN_SESSIONS) == b":0\r\n"


async def test_what_another_gateway_has_just_ended_has_not_ended_by_time(store):
    _, session = await store.begun(idle_for=timedelta(minutes=15))
    assert await store.sessions.revoke(session.session_id)
    heartbeat, opened = store.instance()
    assert await opened.ended("b", now=LATER) == []
    await store.heartbeat.beat(LATER)
    await heartbeat.beat(LATER)
    assert await opened.ended("b", now=LATER + AGAIN_AFTER) == []
    assert store.server.command("EXISTS", keyspace.OPEN_SESSIONS) == b":0\r\n"


async def test_a_session_that_has_changed_its_ticket_goes_on(store):
    ticket, _ = await store.begun(idle_for=timedelta(minutes=15))
    new = new_ticket()
    heir = session_for(new, idle_for=timedelta(minutes=15))
    assert await store.sessions.rotate(ticket, new, heir, browser=None, now=NOW)
    assert await store.told() == []
    store.server.command("DEL", keyspace.session(new.session_id))
    assert await store.told(now=NOW + timedelta(minutes=40)) == [(new.session_id, False)]


async def test_values_of_another_type_keep_nobody_else_from_being_told_of(store):
    for _ in range(100):
        _, spoilt = await store.begun(idle_for=timedelta(minutes=1))
        store.server.command("SET", keyspace.session(spoilt.session_id), "no session")
    _, session = await store.begun(idle_for=timedelta(minutes=2))
    store.server.command("DEL", keyspace.session(session.session_id))
    assert await store.told() == []
    assert await store.told(LATER + timedelta(minutes=1)) == [(session.session_id, False)]


async def test_nobody_learns_from_the_store_who_has_a_session(store):
    _, session = await store.begun(idle_for=timedelta(minutes=15))
    for command in (("HGETALL", keyspace.OPEN_DETAILS), ("ZRANGE", keyspace.OPEN_SESSIONS, "0", "-1")):
        answer = store.server.command(*command)
        assert session.session_id.encode() in answer
        assert not any(
            part.encode() in answer for part in ("name of a person", session.person.subject, session.portal)
        )


# The events, from a running gateway.


async def test_the_trail_says_which_sessions_ended_by_time_and_what_was_denied(redis_server):
    redis_server.command("FLUSHALL")
    acq = {"routes": [{"path": "/vault", "level": 30}]}
    async with open_house(redis_server.socket_url, acq=acq) as house, house.second_gateway():
        david, ana = house.person(DAVID), house.person()
        for person in (david, ana):
            assert (await person.signs_in(house.acq + "/")).status == 200
        of_david, of_ana = house.events("session.started")

        assert (await david.browser.fetch(house.acq + "/vault")).status == 403
        [denied] = house.events("access.denied")
        assert (denied["session"], denied["person"], denied["reason"]) == (
            of_david["session"],
            of_david["person"],
            "level_too_low",
        )

        house.clock.advance(minutes=6)
        assert (await david.browser.fetch(house.acq + "/")).status == 401
        [idle] = house.events("session.ended")
        assert (idle["session"], idle["person"], idle["by"], idle["detail"]) == (
            of_david["session"],
            of_david["person"],
            "time",
            "idle",
        )

        again = house.person(DAVID)
        assert (await again.signs_in(house.acq + "/")).status == 200
        spoilt = house.events("session.started")[-1]["session"]
        redis_server.command("SET", keyspace.session(spoilt), "no session")

        async def is_out():
            return (await again.browser.fetch(house.acq + "/")).status == 401

        await until(is_out)
        assert {event["session"] for event in house.events("session.unreadable")} == {spoilt}

        house.clock.advance(hours=9)
        redis_server.command(
            "DEL", keyspace.session(of_ana["session"])
        )  # as the store lets it expire, whose clock nobody can move

        async def is_told():
            house.clock.advance(seconds=6)  # there is a second look some seconds after the first
            return len(house.events("session.ended")) > 1

        await until(is_told, within=20)
        _, over = house.events("session.ended")
        assert (over["session"], over["person"], over["portal"], over["method"]) == (
            of_ana["session"],
            of_ana["person"],
            "acq",
            "rekono",
        )
        assert (over["by"], over["detail"]) == ("time", "absolute")
