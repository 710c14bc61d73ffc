"""What only a real Redis can show: what lies in it, how long, and what happens when somebody meddles with
it."""

from __future__ import annotations

import asyncio
import base64
import re
import secrets
from dataclasses import fields
from datetime import UTC, datetime, timedelta

import pytest

from authproxy.access.decision import Reason
from authproxy.access.unavailable import CannotAsk
from authproxy.identity.session import NO_SESSION, StoredSession
from authproxy.identity.ticket import SessionTicket
from authproxy.storage.records import values
from authproxy.storage.records.sealing import KeyRing
from authproxy.storage.redis import keys as keyspace
from authproxy.storage.redis.attempts import RedisAttempts
from authproxy.storage.redis.logout_tokens import RedisLogoutTokens
from authproxy.storage.redis.sessions import RedisSessions
from tests.support.session_builders import ISSUER, NOW, SUBJECT, attempt_of, new_ticket, session_for

pytestmark = pytest.mark.needs("redis-server")
KEY, NEW_KEY = secrets.token_bytes(32), secrets.token_bytes(32)


def sessions_with(redis, *keys, remembered_for=timedelta()):
    ring = KeyRing(keys or (KEY,), random_bytes=secrets.token_bytes)
    return RedisSessions(redis, keys=ring, remembered_for=remembered_for)


async def started(sessions, **changes):
    ticket = new_ticket()
    session = session_for(ticket, **changes)
    await sessions.create(ticket, session, browser="Firefox, Windows", now=session.started_at)
    return ticket, session


async def everything_in(redis) -> bytes:
    """All keys and all their values, of every type."""
    found = []
    for key in await redis.ask("KEYS", "*"):
        kind = await redis.ask("TYPE", key)
        read = {
            b"hash": ("HGETALL", key),
            b"list": ("LRANGE", key, 0, -1),
            b"zset": ("ZRANGE", key, 0, -1),
            b"string": ("MGET", key),
        }[kind]
        found += [key, *await redis.ask(*read)]
    return b"\n".join(found)


async def test_whoever_reads_the_whole_store_learns_nobodys_name_state_or_ticket(redis):
    sessions, attempts = sessions_with(redis, remembered_for=timedelta(minutes=30)), RedisAttempts(redis)
    browser = "flow-cookie-of-the-browser"
    attempt = attempt_of(browser)
    assert await attempts.take(attempt, good_until=NOW + timedelta(minutes=30), now=NOW)
    await attempts.note_sign_in(browser, now=NOW)
    ticket, session = await started(sessions, provider_session="session-at-the-provider")
    await sessions.touch(ticket, now=NOW + timedelta(minutes=1))
    store = await everything_in(redis)
    assert store.count(session.session_id.encode()) == 5  # its two keys, and its places in the indexes
    secret_texts = [
        session.provider_session,
        browser,
        attempt.secret,
        attempt.nonce,
        attempt.code_verifier,
        attempt.return_to,
        session.id_token,
        "Firefox",
        *(str(value) for field in fields(session.person) if (value := getattr(session.person, field.name))),
        "Ana",
        "Novak",
        ticket.text,
        *ticket.text.split(".")[1:],
    ]
    secret_octets = [text.encode() for text in secret_texts] + [
        ticket.identifier,
        ticket.secret,
        ticket.identifier.hex().encode(),
        ticket.secret.hex().encode(),
        base64.b64encode(ticket.identifier),
        base64.b64encode(ticket.secret),
        KEY,
    ]
    assert [octets for octets in secret_octets if octets in store] == []


async def test_every_key_is_named_as_documented_and_none_lives_for_ever(redis):
    sessions, attempts = sessions_with(redis, remembered_for=timedelta(minutes=30)), RedisAttempts(redis)
    await started(sessions, provider_session="s-1")
    await attempts.take(attempt_of("browser"), good_until=NOW + timedelta(minutes=30), now=NOW)
    await attempts.note_sign_in("browser", now=NOW)
    await RedisLogoutTokens(redis).take(ISSUER, "token", now=NOW)
    keys = await redis.ask("KEYS", "*")
    kinds = [
        b"ended",
        b"logout-token",
        b"person",
        b"provider-session",
        b"session",
        b"sign-ins",
        b"subject",
        b"used-attempt",
    ]
    assert sorted(key.rsplit(b":")[-1] for key in keys) == kinds
    assert all(re.fullmatch(rb"authproxy:\{[A-Za-z0-9_-]{24,43}\}:[a-z-]+", key) for key in keys)
    assert all([await redis.ask("PTTL", key) > 0 for key in keys])


async def lifetime(redis, session) -> timedelta:
    return timedelta(milliseconds=await redis.ask("PTTL", keyspace.session(session.session_id)))


async def test_a_record_lives_for_the_idle_time_and_never_past_the_absolute_end(redis):
    sessions = sessions_with(redis)
    moment = timedelta(seconds=5)
    ticket, session = await started(sessions)
    assert session.idle_for - moment < await lifetime(redis, session) <= session.idle_for
    _, brief = await started(sessions, expires_at=NOW + timedelta(minutes=1))
    assert await lifetime(redis, brief) <= timedelta(minutes=1)
    at_last = session.expires_at - timedelta(minutes=3)
    near = NOW
    while (near := near + timedelta(minutes=14)) < at_last:
        await sessions.touch(ticket, now=near)
    await sessions.touch(ticket, now=at_last)
    assert timedelta(minutes=3) - moment < await lifetime(redis, session) <= timedelta(minutes=3)


async def test_the_index_of_a_person_lives_as_long_as_the_longest_session(redis):
    sessions = sessions_with(redis)
    await started(sessions)
    await started(sessions, expires_at=NOW + timedelta(minutes=1))
    (index,) = await redis.ask("KEYS", "*:subject")
    assert (
        timedelta(hours=7, minutes=59)
        < timedelta(milliseconds=await redis.ask("PTTL", index))
        <= timedelta(hours=8)
    )


@pytest.mark.parametrize("kind", ["subject", "provider-session"])
async def test_an_index_forgets_sessions_after_their_absolute_end(redis, kind):
    sessions = sessions_with(redis)
    await started(sessions, expires_at=NOW + timedelta(minutes=1), provider_session="s-1")
    _, later = await started(sessions, started_at=NOW + timedelta(hours=1), provider_session="s-1")
    (index,) = await redis.ask("KEYS", f"*:{kind}")
    assert await redis.ask("ZRANGE", index, 0, -1) == [later.session_id.encode()]


async def test_a_logout_token_is_held_for_a_moment_and_then_kept_as_long_as_it_would_be_believed(redis):
    tokens = RedisLogoutTokens(redis)
    await tokens.take(ISSUER, "token", now=NOW)
    (key,) = await redis.ask("KEYS", "*:logout-token")
    assert 0 < await redis.ask("PTTL", key) <= 4_000
    await tokens.keep(ISSUER, "token", until=NOW + timedelta(minutes=6), now=NOW)
    assert 355_000 < await redis.ask("PTTL", key) <= 360_000


async def test_a_record_from_before_provider_sessions_were_kept_is_found_by_its_subject(redis):
    sessions = sessions_with(redis)
    ticket, session = await started(sessions)
    (summary,) = await sessions.summaries(ISSUER, SUBJECT, now=NOW)
    assert (summary.session_id, summary.provider_session) == (session.session_id, None)
    assert (await sessions.load(ticket, now=NOW)).session.provider_session is None
    assert await redis.ask("KEYS", "*:provider-session") == []


async def test_a_record_really_expires_in_redis(redis):
    now = datetime.now(UTC)
    _, session = await started(sessions_with(redis), started_at=now, idle_for=timedelta(milliseconds=50))
    gone = False
    while not gone:
        gone = await redis.ask("EXISTS", keyspace.session(session.session_id)) == 0
        assert datetime.now(UTC) - now < timedelta(seconds=5)


async def test_nothing_is_left_of_a_session_that_is_touched_after_it_was_revoked(redis):
    sessions = sessions_with(redis)
    ticket, session = await started(sessions)
    await sessions.revoke(session.session_id)
    await sessions.touch(ticket, now=NOW + timedelta(minutes=1))
    assert await redis.ask("EXISTS", keyspace.session(session.session_id)) == 0


async def test_after_a_key_change_nobody_is_signed_out(redis):
    ticket, session = await started(sessions_with(redis, KEY), provider_session="s-1")
    after = sessions_with(redis, NEW_KEY, KEY)
    assert (await after.load(ticket, now=NOW)).session == session
    newer, _ = await started(after, provider_session="s-1")
    assert len(await after.summaries(ISSUER, SUBJECT, now=NOW)) == 2
    assert len(await after.of_provider_session(ISSUER, "s-1", now=NOW)) == 2
    assert await after.revoke_subject(ISSUER, SUBJECT) == 2
    assert await after.load(newer, now=NOW) is None


async def test_a_record_under_a_dropped_key_is_not_found_and_counted(redis):
    ticket, _ = await started(sessions_with(redis, KEY))
    without = sessions_with(redis, NEW_KEY)
    assert await without.load(ticket, now=NOW) is None
    assert [summary async for summary in without.all_summaries(now=NOW)] == []
    assert without.unreadable == 2


async def test_a_ticket_with_a_wrong_secret_is_counted_and_an_unknown_one_is_not(redis):
    sessions = sessions_with(redis)
    ticket, _ = await started(sessions)
    await sessions.load(SessionTicket(ticket.identifier, bytes(32)), now=NOW)
    await sessions.load(new_ticket(), now=NOW)
    assert sessions.unreadable == 1


async def test_records_swapped_between_two_sessions_open_neither(redis):
    sessions = sessions_with(redis)
    pairs = [await started(sessions) for _ in range(2)]
    keys = [keyspace.session(session.session_id) for _, session in pairs]
    await redis.ask("RENAME", keys[0], "aside")
    await redis.ask("RENAME", keys[1], keys[0])
    await redis.ask("RENAME", "aside", keys[1])
    assert [await sessions.load(ticket, now=NOW) for ticket, _ in pairs] == [None, None]
    assert await sessions.summaries(ISSUER, SUBJECT, now=NOW) == ()


@pytest.mark.parametrize(
    "meddled", [("HSET", "seen", "soon"), ("HDEL", "seen"), ("HSET", "record", "x"), ("HSET", "record", "")]
)
async def test_a_meddled_record_is_not_found(redis, meddled):
    sessions = sessions_with(redis)
    ticket, session = await started(sessions)
    command, *words = meddled
    await redis.ask(command, keyspace.session(session.session_id), *words)
    assert await sessions.load(ticket, now=NOW) is None
    assert sessions.unreadable == 1


@pytest.mark.parametrize("sealed", [b"", b"x"])
async def test_a_record_that_authenticates_nothing_opens_nothing_also_if_its_session_is_remembered(
    redis, sealed
):
    """Somebody has written it after the end of the session. What is remembered of one that was idle has no
    record."""
    sessions = sessions_with(redis)
    ticket, session = await started(sessions)
    remembered = StoredSession(session=session, last_active_at=NOW, sealed=b"")
    await sessions.revoke(session.session_id)
    await redis.ask(
        "HSET", keyspace.session(session.session_id), "record", sealed, "seen", values.milliseconds(NOW)
    )
    elsewhere = sessions_with(redis)  # this instance does not know of the end
    assert await elsewhere.load(ticket, now=NOW, before=remembered) is None
    assert await reread(elsewhere, remembered) is None


async def test_what_is_remembered_of_one_ticket_opens_no_record_of_another(redis):
    sessions = sessions_with(redis)
    tickets = [(await started(sessions))[0] for _ in range(2)]
    mine, others = [await sessions.load(ticket, now=NOW) for ticket in tickets]
    assert await sessions.load(tickets[1], now=NOW, before=others) == others
    assert await reread(sessions, others) is others
    await redis.ask("HSET", keyspace.session(others.session.session_id), "record", mine.sealed)
    assert await sessions.load(tickets[1], now=NOW, before=others) is None
    assert await reread(sessions, others) is None


async def reread(sessions, before):
    told = asyncio.get_running_loop().create_future()
    sessions.reread(before, now=NOW, told=told.set_result)
    return await told


@pytest.mark.parametrize(
    "meddled",
    [("HSET", "seen", "soon"), ("HDEL", "seen"), ("HSET", "record", "x"), ("HDEL", "record"), ("SET", "x")],
)
async def test_who_is_remembered_is_not_let_in_by_a_meddled_record_but_looked_up_anew(redis, meddled):
    sessions = sessions_with(redis)
    ticket, session = await started(sessions)
    before = await sessions.load(ticket, now=NOW)
    command, *words = meddled
    await redis.ask(command, keyspace.session(session.session_id), *words)
    assert await reread(sessions, before) is (NO_SESSION if meddled == ("HDEL", "record") else None)
    assert await sessions.load(ticket, now=NOW, before=before) is None


async def test_who_is_remembered_by_a_store_that_cannot_be_asked_or_that_knows_of_their_end_is_not_let_in(
    redis,
):
    sessions = sessions_with(redis)
    ticket, session = await started(sessions)
    before = await sessions.load(ticket, now=NOW)
    redis.refused = CannotAsk(Reason.STORE_UNAVAILABLE, "a newer format")
    assert isinstance(await reread(sessions, before), CannotAsk)
    redis.refused = None
    assert await reread(sessions, before) is before
    record = await redis.ask("DUMP", keyspace.session(session.session_id))
    await sessions.revoke(session.session_id)
    await redis.ask("RESTORE", keyspace.session(session.session_id), 0, record)
    assert await reread(sessions, before) is NO_SESSION


async def test_a_used_attempt_is_remembered_until_it_is_over_and_little_longer(redis):
    await RedisAttempts(redis).take(
        attempt_of("browser"), good_until=NOW + timedelta(minutes=30), now=NOW + timedelta(minutes=10)
    )
    [key] = await redis.ask("KEYS", "*:used-attempt")
    assert (
        timedelta(minutes=20) < timedelta(milliseconds=await redis.ask("PTTL", key)) <= timedelta(minutes=22)
    )


async def test_reads_of_one_turn_of_the_loop_go_to_redis_together(redis, server):
    sessions = sessions_with(redis)
    tickets = [(await started(sessions))[0] for _ in range(20)]
    connections_before = await connections_received(redis)
    await asyncio.gather(*(sessions.load(ticket, now=NOW) for ticket in tickets))
    pipeline_of_later_reads = 1
    assert await connections_received(redis) <= connections_before + pipeline_of_later_reads


async def connections_received(redis) -> int:
    return int(re.search(rb"total_connections_received:(\d+)", await redis.ask("INFO", "stats"))[1])


async def test_a_refused_read_fails_its_own_reader_only(redis):
    sessions = sessions_with(redis)
    good, session = await started(sessions)
    _, other = await started(sessions)
    key = keyspace.session(other.session_id)
    await redis.ask("DEL", key)
    await redis.ask("SET", key, "not a hash")
    answers = await asyncio.gather(
        sessions.load(good, now=NOW),
        sessions._reads.read("HGET", key, "record"),
        sessions.load(good, now=NOW),
        return_exceptions=True,
    )
    assert [answers[0].session, answers[2].session] == [session, session]
    assert answers[1].reason == "store_unavailable"


async def test_a_server_without_its_scripts_serves_on(redis):
    sessions = sessions_with(redis)
    ticket, _ = await started(sessions)
    await redis.ask("SCRIPT", "FLUSH")
    await sessions.touch(ticket, now=NOW + timedelta(minutes=1))
    assert (await sessions.load(ticket, now=NOW + timedelta(minutes=2))).last_active_at == NOW + timedelta(
        minutes=1
    )


MINUTE_MS = 60_000


async def test_whose_a_session_was_is_known_for_as_long_as_is_set_after_its_end_and_activity_moves_that(
    redis,
):
    sessions = sessions_with(redis, remembered_for=timedelta(minutes=30))
    ticket, session = await started(sessions)
    key = f"authproxy:{{{session.session_id}}}:ended"

    async def lives():
        """Milliseconds to the end of the session, and from there to the end of what is remembered of it."""
        record = await redis.ask("PTTL", f"authproxy:{{{session.session_id}}}:session")
        return record, await redis.ask("PTTL", key) - record

    for _ in range(2):
        record, longer = await lives()
        assert record > 14 * MINUTE_MS
        assert abs(longer - 30 * MINUTE_MS) < 1000
        await redis.ask("PEXPIRE", key, MINUTE_MS)
        await sessions.touch(ticket, now=NOW + timedelta(minutes=14))


async def test_where_nothing_is_to_be_remembered_nothing_is_stored_for_it(redis):
    sessions = sessions_with(redis)
    ticket, session = await started(sessions)
    await sessions.touch(ticket, now=NOW + timedelta(minutes=2))
    assert await redis.ask("KEYS", "*:ended") == []
    assert await sessions.whose(ticket, now=NOW + session.idle_for) is None


async def test_something_else_under_the_name_says_nothing_of_whose_the_session_was(redis):
    sessions = sessions_with(redis, remembered_for=timedelta(minutes=30))
    ticket, _ = await started(sessions)
    other, _ = await started(sessions)
    key, others = (f"authproxy:{{{one.session_id}}}:ended" for one in (ticket, other))
    await redis.ask("SET", key, await redis.ask("GET", others))
    assert await sessions.whose(ticket, now=NOW) is None
    await redis.ask("DEL", key)
    await redis.ask("SADD", key, "a")
    assert await sessions.whose(ticket, now=NOW) is None
    assert await sessions.load(ticket, now=NOW) is not None
