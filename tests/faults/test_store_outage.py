"""Whatever happens to Redis: an answer within a second that says "cannot be asked", and everybody still
signed in afterwards."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import replace
from datetime import timedelta

import pytest

from authproxy.access.decision import Reason
from authproxy.access.unavailable import CannotAsk
from authproxy.challenges.challenge import ChallengeId
from authproxy.identity.person import Subject
from authproxy.storage.records.sealing import KeyRing
from authproxy.storage.redis.attempts import RedisAttempts
from authproxy.storage.redis.challenges import RedisChallenges
from authproxy.storage.redis.connection import RedisConnection
from authproxy.storage.redis.enrolments import RedisEnrolments
from authproxy.storage.redis.limits import RedisLimits
from authproxy.storage.redis.machine_keys import RedisMachineKeys
from authproxy.storage.redis.sessions import RedisSessions
from authproxy.storage.retention import BlockRules
from tests.support.challenge_builders import ANAS, challenge_of
from tests.support.log_lines import logged_events
from tests.support.machine_builders import KEY_ID, api_key
from tests.support.ports import free_port
from tests.support.redis_server import GENEROUS, RedisServer, fault_proxy
from tests.support.session_builders import ISSUER, NOW, SUBJECT, attempt_of, new_ticket, session_for
from tests.support.waiting import stands_still, until

pytestmark = pytest.mark.needs("redis-server")
KEYS = KeyRing((bytes(32),), random_bytes=secrets.token_bytes)
RULES = BlockRules(after=5, lasts=timedelta(minutes=15), at_most=timedelta(hours=24))
NO_ANSWER = "the store does not answer within 0.8 s"
OTHER = Subject("bojan")


@pytest.fixture
def server():
    with RedisServer(append_only=True) as running:
        yield running


@pytest.fixture
async def proxy(server):
    async with fault_proxy(server.port) as standing_before:
        yield standing_before


@pytest.fixture
async def redis(proxy):
    connection = RedisConnection(proxy.url)
    yield connection
    await connection.aclose()


def sessions_on(redis):
    return RedisSessions(redis, keys=KEYS, remembered_for=timedelta(minutes=30))


async def started(sessions, subject=SUBJECT):
    ticket = new_ticket()
    session = session_for(ticket)
    session = replace(session, person=replace(session.person, subject=subject))
    await sessions.create(ticket, session, browser="", now=NOW)
    return ticket, session


async def rotated(sessions, old):
    new = new_ticket()
    return await sessions.rotate(old, new, session_for(new), browser=None, now=NOW)


async def list_all(sessions):
    return [summary async for summary in sessions.all_summaries(now=NOW)]


def every_question(redis, ticket):
    """About a person of their own: a question whose answer was lost may have been carried out."""
    sessions = sessions_on(redis)
    challenges, enrolments = (made(redis, keys=KEYS) for made in (RedisChallenges, RedisEnrolments))
    attempts, machine_keys = RedisAttempts(redis), RedisMachineKeys(redis, keys=KEYS)
    limits = RedisLimits(redis, keys=KEYS, people=RULES, addresses=RULES)
    return {
        "load": lambda: sessions.load(ticket, now=NOW),
        "whose": lambda: sessions.whose(ticket, now=NOW),
        "create": lambda: started(sessions, OTHER),
        "touch": lambda: sessions.touch(ticket, now=NOW + timedelta(minutes=1)),
        "revoke": lambda: sessions.revoke(ticket.session_id),
        "revoke_subject": lambda: sessions.revoke_subject(ISSUER, OTHER),
        "summaries": lambda: sessions.summaries(ISSUER, SUBJECT, now=NOW),
        "all_summaries": lambda: list_all(sessions),
        "take": lambda: attempts.take(
            attempt_of("browser", secret=secrets.token_hex(8)),
            good_until=NOW + timedelta(minutes=30),
            now=NOW,
        ),
        "note_sign_in": lambda: attempts.note_sign_in("browser", now=NOW),
        "recent_sign_ins": lambda: attempts.recent_sign_ins("browser", now=NOW),
        "rotate": lambda: rotated(sessions, ticket),
        "count_try": lambda: challenges.count_try(ChallengeId("challenge"), now=NOW),
        "open_challenge": lambda: challenges.open(challenge_of(secrets.token_hex(8)), tries=5, now=NOW),
        "try_answer": lambda: limits.try_answer(["person:somebody"], now=NOW),
        "enrolments": lambda: enrolments.of(ANAS),
        "spend_recovery": lambda: enrolments.spend_recovery(ANAS, "hash"),
        "add_machine_key": lambda: machine_keys.add(api_key(key_id="c" * 32), now=NOW),
        "find_machine_key": lambda: machine_keys.find(KEY_ID),
        "every_machine_key": machine_keys.every,
        "revoke_machine_key": lambda: machine_keys.revoke(KEY_ID),
        "ping": redis.ping,
    }


async def refusal(question):
    """What is said. `NO_ANSWER` is said by our own deadline, at its time, and by nobody else."""
    with pytest.raises(CannotAsk) as told:
        await question()
    assert told.value.reason is Reason.STORE_UNAVAILABLE
    return str(told.value)


async def assert_nothing_can_be_asked(redis, ticket, fault):
    questions = every_question(redis, ticket)
    said = set(await asyncio.gather(*(refusal(question) for question in questions.values())))
    assert (said == {NO_ANSWER}) is (fault in SILENT)


async def refused(server, proxy):
    await proxy.refuse()


async def frozen(server, proxy):
    server.freeze()


async def swallowed(server, proxy):
    proxy.swallow()


async def reset_in_mid_answer(server, proxy):
    proxy.reset_after(3)


async def reset_before_an_answer(server, proxy):
    proxy.reset_after(0)


async def loading(server, proxy):
    await proxy.answer(b"-LOADING Redis is loading the dataset in memory\r\n" * 3)


async def talking_nonsense(server, proxy):
    await proxy.answer(b"HTTP/1.1 400 Bad Request\r\n\r\n")


async def killed(server, proxy):
    server.kill()


FAULTS = [
    refused,
    frozen,
    swallowed,
    reset_in_mid_answer,
    reset_before_an_answer,
    loading,
    talking_nonsense,
    killed,
]


SILENT = (frozen, swallowed)


async def healed(server, proxy):
    if server._process.poll() is None:
        server.thaw()
    else:
        server.start()
    await proxy.pass_on()


@pytest.mark.parametrize("fault", FAULTS)
async def test_every_question_fails_by_its_deadline_and_the_session_is_there_afterwards(
    server, proxy, redis, fault
):
    sessions = sessions_on(redis)
    ticket, session = await started(sessions)
    other, _ = await started(sessions, OTHER)
    await asyncio.gather(*(redis.ping() for _ in range(4)))
    await fault(server, proxy)
    await assert_nothing_can_be_asked(redis, other, fault)
    await healed(server, proxy)
    server.command("PING")
    failures = redis.failures
    found = await asyncio.gather(*(sessions.load(ticket, now=NOW) for _ in range(10)))
    assert [stored.session for stored in found] == [session] * 10
    assert redis.failures == failures


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fresh_start_during_the_fault_fails_in_time_too(server, proxy, fault):
    await fault(server, proxy)
    redis = RedisConnection(proxy.url)
    assert (await refusal(redis.ping) == NO_ANSWER) is (fault in SILENT)
    await redis.aclose()


CORRUPTED = [
    b"$2\r\nhi\r\n",
    b":1\r\n",
    b"*0\r\n",
    b"*1\r\n$1\r\na\r\n",
    b"*2\r\n:1\r\n:2\r\n",
    b"$-1\r\n",
    b"*-1\r\n",
    b"+\xff\xfe\r\n",
    b"-\xff\xfe broken\r\n",
    b"-\r\n",
    b":999999999999999999\r\n",
    b":not a number\r\n",
    b"*2\r\n*1\r\n:1\r\n$1\r\na\r\n",
    b"\x00\x00\x00\x00",
    b"*4\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n$1\r\nd\r\n",
]


@pytest.mark.parametrize("answer", CORRUPTED, ids=repr)
async def test_a_corrupted_answer_is_an_outage_and_nothing_else(proxy, redis, answer):
    sessions = sessions_on(redis)
    ticket, _ = await started(sessions)
    other, session = await started(sessions, OTHER)
    await proxy.answer(answer)
    outcomes = await asyncio.gather(
        *(question() for question in every_question(redis, ticket).values()), return_exceptions=True
    )
    assert {type(outcome) for outcome in outcomes if isinstance(outcome, Exception)} == {CannotAsk}
    await proxy.pass_on()
    assert (await sessions.load(other, now=NOW)).session == session


async def test_what_a_former_primary_refuses_is_asked_once_more_over_a_fresh_connection(server, proxy, redis):
    sessions = sessions_on(redis)
    await redis.ping()
    with RedisServer() as promoted:
        server.command("REPLICAOF", "127.0.0.1", str(promoted.port))
        proxy.lead_to(promoted.port)
        ticket, session = await started(sessions)
        assert (await sessions.load(ticket, now=NOW)).session == session
        assert redis.failures == 0


async def test_a_frozen_redis_that_thaws_has_signed_nobody_out(server, proxy, redis):
    sessions = sessions_on(redis)
    ticket, session = await started(sessions)
    server.freeze()
    load = lambda: sessions.load(ticket, now=NOW)  # noqa: E731
    assert set(await asyncio.gather(*(refusal(load) for _ in range(200)))) == {NO_ANSWER}
    server.thaw()
    assert (await sessions.load(ticket, now=NOW)).session == session


async def test_a_stopped_redis_refuses_at_once(server):
    redis = RedisConnection(f"redis://127.0.0.1:{free_port()}", deadline=GENEROUS)
    assert await refusal(redis.ping) == "the store cannot be reached: connection refused"
    await redis.aclose()


async def test_a_host_that_has_no_name_is_an_outage():
    redis = RedisConnection("redis://store.invalid", deadline=GENEROUS)
    assert "store.invalid has no address" in await refusal(redis.ping)
    await redis.aclose()


async def test_a_missing_socket_is_an_outage(tmp_path):
    redis = RedisConnection(f"unix://{tmp_path}/none.sock", deadline=GENEROUS)
    assert await refusal(redis.ping) == "the store cannot be reached: no such file or directory"
    await redis.aclose()


async def test_a_replica_refuses_what_changes_something_and_still_answers_reads(server, redis):
    sessions = sessions_on(redis)
    ticket, session = await started(sessions)
    server.command("REPLICAOF", "127.0.0.1", str(free_port()))
    questions = every_question(redis, ticket)
    for name in (
        "create",
        "touch",
        "revoke",
        "rotate",
        "take",
        "note_sign_in",
        "open_challenge",
        "try_answer",
    ):
        assert "it is a replica (READONLY)" in await refusal(questions[name])
        assert redis._store._idle == []  # the next connection may find the new primary
    assert (await sessions.load(ticket, now=NOW)).session == session
    server.command("REPLICAOF", "NO", "ONE")
    await sessions.touch(ticket, now=NOW + timedelta(minutes=1))
    assert (await sessions.load(ticket, now=NOW)).last_active_at == NOW + timedelta(minutes=1)


async def test_a_replica_without_its_primary_and_without_leave_to_be_stale_answers_nothing(server, redis):
    ticket, _ = await started(sessions_on(redis))
    server.command("CONFIG", "SET", "replica-serve-stale-data", "no")
    server.command("REPLICAOF", "127.0.0.1", str(free_port()))
    assert "(MASTERDOWN)" in await refusal(every_question(redis, ticket)["load"])


async def test_a_full_redis_refuses_new_sessions_and_keeps_the_old_ones(server, redis):
    sessions = sessions_on(redis)
    ticket, session = await started(sessions)
    server.command("CONFIG", "SET", "maxmemory", "1")
    questions = every_question(redis, ticket)
    with logged_events() as logs:
        for name in ("create", "create", "touch", "take", "note_sign_in"):
            assert "out of memory (OOM)" in await refusal(questions[name])
            assert (await sessions.load(ticket, now=NOW)).session == session
    assert [entry["event"] for entry in logs] == ["store.refusing"]
    assert await sessions.revoke(session.session_id) is True


async def test_after_one_dead_connection_the_other_idle_ones_are_not_tried(proxy, redis):
    await asyncio.gather(*(redis.ping() for _ in range(5)))
    proxy.swallow_open_connections()
    assert await refusal(redis.ping) == NO_ANSWER
    for _ in range(5):
        await redis.ping()


async def test_idle_connections_that_were_reset_are_noticed_and_replaced(proxy, redis):
    await asyncio.gather(*(redis.ping() for _ in range(5)))
    await proxy.refuse()
    await proxy.listen()
    await until(lambda: all(connection._writer.is_closing() for connection in redis._store._idle))
    await asyncio.gather(*(redis.ping() for _ in range(5)))
    assert redis.failures == 0


async def test_one_deadline_holds_for_everybody_who_reads_together(server, proxy, redis):
    sessions = sessions_on(redis)
    tickets = [(await started(sessions))[0] for _ in range(20)]
    proxy.swallow()
    told = []

    async def is_told(ticket):
        told.append(await refusal(lambda: sessions.load(ticket, now=NOW)))

    asking = [asyncio.ensure_future(is_told(ticket)) for ticket in tickets]
    await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
    # Nobody waits for a deadline of their own after that.
    assert await stands_still(lambda: len(told)) == len(tickets)
    assert set(told) == {NO_ANSWER}


async def test_an_outage_is_told_when_it_begins_and_when_it_ends_and_not_for_each_request(proxy, redis):
    await redis.ping()
    with logged_events() as logs:
        await proxy.refuse()
        for _ in range(20):
            await refusal(redis.ping)
        await proxy.pass_on()
        for _ in range(20):
            await redis.ping()
    told = [(entry["event"], entry.get("detail")) for entry in logs]
    assert len(set(told)) == len(told)
    assert list(dict.fromkeys(event for event, _ in told)) == ["store.unavailable", "store.available"]


async def test_a_killed_redis_with_an_append_only_file_forgets_nobody(server, redis):
    sessions = sessions_on(redis)
    pairs = [await started(sessions) for _ in range(50)]
    revoked, _ = pairs.pop()
    await sessions.revoke(revoked.session_id)
    server.kill()
    await refusal(lambda: sessions.load(pairs[0][0], now=NOW))
    server.start()
    assert [(await sessions.load(ticket, now=NOW)).session for ticket, _ in pairs] == [
        session for _, session in pairs
    ]
    assert await sessions.load(revoked, now=NOW) is None


async def test_questions_given_up_by_their_askers_leave_no_connection_behind(server, proxy, redis):
    await redis.ping()
    proxy.swallow()
    asking = [asyncio.ensure_future(redis.ping()) for _ in range(130)]
    await until(proxy.swallowed.is_set)
    for one in asking:
        one.cancel()
    await asyncio.wait(asking)
    assert not redis._store._turn.locked()
    await proxy.pass_on()
    await redis.ping()
