"""The ways to a real Redis: Unix socket, TLS with a pinned authority, a user with few rights; and what is
said when they fail."""

from __future__ import annotations

import asyncio
import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

import authproxy.storage
from authproxy.access.unavailable import CannotAsk
from authproxy.challenges.challenge import State
from authproxy.identity.member import RegisterKey
from authproxy.identity.session import SessionId
from authproxy.storage import near_cache
from authproxy.storage.records.sealing import KeyRing
from authproxy.storage.redis import rights
from authproxy.storage.redis.attempts import RedisAttempts
from authproxy.storage.redis.challenges import RedisChallenges
from authproxy.storage.redis.connection import RedisConnection
from authproxy.storage.redis.enrolments import RedisEnrolments
from authproxy.storage.redis.invalidation import listen
from authproxy.storage.redis.limits import RedisLimits
from authproxy.storage.redis.logout_tokens import RedisLogoutTokens
from authproxy.storage.redis.people import RedisPeople
from authproxy.storage.redis.servers import StoreTls
from authproxy.storage.redis.sessions import RedisSessions
from authproxy.storage.redis.shared_octets import RedisSharedOctets
from authproxy.storage.retention import BlockRules
from tests.support.challenge_builders import ANAS, challenge_of, enrolment_of
from tests.support.log_lines import logged_events
from tests.support.people_builders import ANA
from tests.support.redis_server import GENEROUS, RedisServer
from tests.support.session_builders import ISSUER, NOW, SUBJECT, attempt_of, new_ticket, session_for
from tests.support.waiting import PATIENCE, until

pytestmark = pytest.mark.needs("redis-server")

ACL = f"on >{{password}} {rights.rules()}"


async def is_served(connection) -> bool:
    try:
        await connection.ping()
    finally:
        await connection.aclose()
    return True


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def ca_file(authority, tmp_path_factory):
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return str(path)


@pytest.fixture(scope="module")
def tls_server(authority, tmp_path_factory):
    directory = tmp_path_factory.mktemp("tls")
    certificate = authority.issue_cert("localhost")
    chain, key = directory / "chain.pem", directory / "key.pem"
    chain.write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    certificate.private_key_pem.write_to_path(key)
    with RedisServer(tls=(chain, key)) as running:
        yield running


@pytest.fixture(scope="module")
def files_for_tls(authority, tmp_path_factory):
    """Makes a certificate with its key for a name: the chain's file and the key's."""

    def made(name):
        directory = tmp_path_factory.mktemp("pair")
        issued = authority.issue_cert(name)
        (directory / "chain.pem").write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(directory / "key.pem")
        return directory / "chain.pem", directory / "key.pem"

    return made


@pytest.fixture(scope="module")
def server():
    with RedisServer() as running:
        yield running


async def test_redis_is_reached_over_tcp_and_over_a_unix_socket(server):
    assert await is_served(RedisConnection(server.url))
    assert await is_served(RedisConnection(server.socket_url))


async def test_redis_is_reached_over_tls_with_its_authority(tls_server, ca_file):
    assert await is_served(
        RedisConnection(f"rediss://localhost:{tls_server.port}/0", tls=StoreTls(ca_file=ca_file))
    )


async def test_a_store_that_asks_for_a_certificate_is_shown_ours(files_for_tls, ca_file):
    with RedisServer(
        "--tls-auth-clients", "yes", "--tls-ca-cert-file", ca_file, tls=files_for_tls("localhost")
    ) as running:
        url = f"rediss://localhost:{running.port}/0"
        chain, key = map(str, files_for_tls("gateway.example"))
        assert await is_served(
            RedisConnection(url, tls=StoreTls(ca_file=ca_file, certificate_file=chain, key_file=key))
        )
        with pytest.raises(CannotAsk):
            await is_served(RedisConnection(url, tls=StoreTls(ca_file=ca_file)))


async def test_a_url_of_valkey_is_one_of_redis(server, tls_server, ca_file):
    assert await is_served(RedisConnection(server.url.replace("redis", "valkey")))
    assert await is_served(
        RedisConnection(f"valkeys://localhost:{tls_server.port}/0", tls=StoreTls(ca_file=ca_file))
    )


async def test_no_option_in_the_url_changes_what_answers_look_like(server):
    redis = RedisConnection(f"{server.url}?decode_responses=true&health_check_interval=1&nonsense=1")
    assert await redis.ask("ECHO", "octets") == b"octets"
    await redis.aclose()


async def test_a_certificate_for_another_host_is_refused(tls_server, ca_file):
    with pytest.raises(CannotAsk, match=r"127\.0\.0\.1"):
        await is_served(
            RedisConnection(f"rediss://127.0.0.1:{tls_server.port}/0", tls=StoreTls(ca_file=ca_file))
        )


async def test_a_certificate_of_another_authority_is_refused(tls_server, tmp_path):
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(other)
    with pytest.raises(CannotAsk, match=r"(?i)certificate"):
        await is_served(
            RedisConnection(f"rediss://localhost:{tls_server.port}/0", tls=StoreTls(ca_file=str(other)))
        )


async def test_no_option_in_the_url_switches_the_check_of_the_certificate_off(tls_server):
    url = f"rediss://localhost:{tls_server.port}/0?ssl_cert_reqs=none&ssl_check_hostname=false"
    with pytest.raises(CannotAsk, match=r"(?i)certificate"):
        await is_served(RedisConnection(url))


async def test_a_server_that_speaks_no_tls_is_refused_within_the_deadline(server, ca_file):
    async with asyncio.timeout(PATIENCE):  # without a deadline this waits for ever
        with pytest.raises(CannotAsk):
            await is_served(
                RedisConnection(f"rediss://localhost:{server.port}/0", tls=StoreTls(ca_file=ca_file))
            )


def test_an_authority_without_tls_is_a_mistake_that_is_told(ca_file):
    with pytest.raises(ValueError, match="rediss://"):
        RedisConnection("redis://127.0.0.1:6379", tls=StoreTls(ca_file=ca_file))


def test_a_ca_file_that_is_not_there_is_told_at_once():
    with pytest.raises(OSError, match="No such file"):
        RedisConnection("rediss://127.0.0.1:6379", tls=StoreTls(ca_file="/nowhere/ca.pem"))


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1", "127.0.0.1:6379", "", "redis://host:port", "redis://host/abc", "redis://host/0/1"],
)
def test_a_url_of_another_kind_is_told_at_once(url):
    with pytest.raises(ValueError):
        RedisConnection(url)


async def test_the_rights_in_the_readme_are_enough_for_everything(server):
    password = secrets.token_urlsafe(16)
    server.command("ACL", "SETUSER", "gateway", "reset", *ACL.format(password=password).split())
    redis = RedisConnection(server.url, username="gateway", password=password)
    sessions = RedisSessions(redis, keys=KeyRing((bytes(32),), random_bytes=secrets.token_bytes))
    attempts = RedisAttempts(redis)
    logout_tokens = RedisLogoutTokens(redis)
    cache = near_cache.NearCache(near_cache_for=timedelta(seconds=5))
    ticket = new_ticket()
    await redis.ping()
    await sessions.create(ticket, session_for(ticket, provider_session="s-1"), browser="", now=NOW)
    await sessions.touch(ticket, now=NOW + timedelta(minutes=1))
    assert await sessions.load(ticket, now=NOW + timedelta(minutes=1)) is not None
    assert len(await sessions.summaries(ISSUER, SUBJECT, now=NOW)) == 1
    assert len(await sessions.of_provider_session(ISSUER, "s-1", now=NOW)) == 1
    assert len([summary async for summary in sessions.all_summaries(now=NOW)]) == 1
    assert await logout_tokens.take(ISSUER, "token", now=NOW)
    await logout_tokens.keep(ISSUER, "token", until=NOW + timedelta(minutes=3), now=NOW)
    assert await attempts.take(attempt_of("browser"), good_until=NOW + timedelta(minutes=30), now=NOW)
    assert (
        await attempts.note_sign_in("browser", now=NOW)
        == await attempts.recent_sign_ins("browser", now=NOW)
        == 1
    )
    people = RedisPeople(redis, keys=KeyRing((bytes(32),), random_bytes=secrets.token_bytes))
    assert await people.take_over([ANA], revision=0, departures=[ANA])
    [found] = await people.find([RegisterKey("id", "ana")])
    assert await people.change(found, ANA.blocked(NOW, None), departs=True)
    assert (await people.every()).members == (ANA.blocked(NOW, None),)
    await people.settle(await people.departures())
    assert await people.is_under_first_key()
    new = new_ticket()
    assert await sessions.rotate(ticket, new, session_for(new), browser=None, now=NOW + timedelta(minutes=1))
    await asks_for_proofs(redis, KeyRing((bytes(32),), random_bytes=secrets.token_bytes))
    listener = asyncio.ensure_future(listen(redis, cache, clock=lambda: datetime.now(UTC)))
    await until(lambda: cache.is_heard(datetime.now(UTC)))
    listener.cancel()
    assert await sessions.revoke_subject(ISSUER, SUBJECT) == 1
    await redis.aclose()


async def asks_for_proofs(redis, keys):
    kept = RedisSharedOctets(redis, keys=keys)
    await kept.put("name", b"octets", timedelta(minutes=1))
    assert [await kept.get("name"), await kept.take("name")] == [b"octets"] * 2
    challenges = RedisChallenges(redis, keys=keys)
    for number in range(9):
        await challenges.open(challenge_of(f"challenge-{number}"), tries=5, now=NOW)
    newest, *_ = await challenges.current(SessionId("a-session"), now=NOW)
    assert (await challenges.count_try(newest, now=NOW)).tries_left == 4
    assert await challenges.resolve(newest, State.APPROVED, now=NOW)
    assert await challenges.claim_push(ANAS, newest, timedelta(minutes=1)) is None
    rules = BlockRules(after=1, lasts=timedelta(minutes=1), at_most=timedelta(hours=1))
    limits = RedisLimits(redis, keys=keys, people=rules, addresses=rules)
    assert await limits.try_answer(["person:ana"], now=NOW) is None
    assert await limits.reserve("person:ana", pause=timedelta(minutes=1), per_hour=3, now=NOW) is None
    assert await limits.lift(["person:ana"]) is True
    enrolments = RedisEnrolments(redis, keys=keys)
    assert await enrolments.add(ANAS, enrolment_of())
    await enrolments.put_recovery(ANAS, ["hash"])
    assert (await enrolments.recovery_left(ANAS), await enrolments.spend_recovery(ANAS, "hash")) == (1, True)
    assert await enrolments.accept_step("enrolment-1", 1)
    assert await enrolments.reseal() == 0
    assert await enrolments.remove(ANAS, "enrolment-1")


def test_the_rights_that_the_readme_lists_are_the_tested_ones():
    readme = (Path(authproxy.storage.__file__).parent / "README.md").read_text()
    for right in ACL.split()[2:]:
        assert f" {right}" in readme


@pytest.mark.parametrize(
    "credentials", [{"password": "wrong-password"}, {"username": "nobody", "password": "wrong-password"}]
)
async def test_wrong_credentials_are_an_outage_and_show_nowhere(server, credentials):
    with logged_events() as logs, pytest.raises(CannotAsk) as told:
        await is_served(RedisConnection(server.url, **credentials))
    assert "wrong-password" not in str(told.value) + repr(told.value.__cause__) + str(logs)


async def test_a_missing_right_is_an_outage_and_the_message_repeats_no_argument(server):
    server.command("ACL", "SETUSER", "weak", "reset", "on", ">password", "+ping")
    redis = RedisConnection(server.url, username="weak", password="password")
    with pytest.raises(CannotAsk) as told:
        await redis.ask("HMGET", "authproxy:{argument}:session", "record")
    assert "argument" not in str(told.value)
    await redis.aclose()


async def test_beyond_the_greatest_number_of_connections_a_question_waits_its_turn(server):
    redis = RedisConnection(server.url, max_connections=2, deadline=timedelta(seconds=20))
    answers = await asyncio.gather(*(redis.ask("ECHO", str(number)) for number in range(100)))
    assert answers == [str(number).encode() for number in range(100)]
    assert len(redis._store._idle) == 2
    await redis.aclose()


async def test_a_question_whose_turn_does_not_come_in_time_is_refused_and_takes_no_turn(server):
    redis = RedisConnection(server.url, max_connections=1, deadline=timedelta(seconds=1))
    async with redis._store._turn:  # a question that holds the only turn for longer than any other waits
        refused = await asyncio.gather(*(redis.ping() for _ in range(10)), return_exceptions=True)
    assert all(isinstance(one, CannotAsk) for one in refused)
    await redis.ping()
    await redis.aclose()


async def test_a_question_that_was_given_up_never_answers_the_next_one(server):
    redis = RedisConnection(server.url)
    await redis.ask("SET", "mine", "yours")
    for _ in range(20):
        given_up = asyncio.ensure_future(redis.ask("GET", "mine"))
        for _ in range(3):
            await asyncio.sleep(0)
        given_up.cancel()
        assert await redis.ask("ECHO", "my own answer") == b"my own answer"
    await redis.aclose()


async def test_a_closed_connection_leaves_no_connection_open(server):
    redis = RedisConnection(server.url)
    await asyncio.gather(redis.ping(), redis.ping())
    running = asyncio.ensure_future(redis.ask("BLPOP", "never", "0.2"))
    await until(lambda: len(redis._store._idle) == 1)
    await redis.aclose()
    assert await running is None
    assert redis._store._idle == []


async def test_idle_connections_that_the_server_closed_are_noticed_and_replaced(server):
    redis = RedisConnection(server.url)
    await asyncio.gather(*(redis.ping() for _ in range(5)))
    server.command("CLIENT", "KILL", "TYPE", "normal")
    await until(lambda: all(connection._reader.at_eof() for connection in redis._store._idle))
    await asyncio.gather(*(redis.ping() for _ in range(5)))
    assert redis.failures == 0
    await redis.aclose()


async def test_a_scan_begins_anew_when_the_server_is_started_again_meanwhile():
    """A place among the keys means nothing to the new process, and nothing says that the connection is new."""
    with RedisServer(append_only=True) as server:
        redis = RedisConnection(server.url, deadline=GENEROUS)
        names = {f"authproxy:{{{number}}}:session" for number in range(1500)}
        await redis.all([("SET", name, "1") for name in names])
        found = set()
        async for keys in redis.scan("authproxy:{*}:session"):
            if not found:
                server.kill()
                await asyncio.to_thread(server.start)
            found |= {key.decode() for key in keys}
        assert found == names
        await redis.aclose()
