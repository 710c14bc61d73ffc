"""What 0.1.0 has written is read by this version, and what this version writes in its place 0.1.0 could read."""

from __future__ import annotations

import base64
import json
import secrets
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from authproxy.challenges.challenge import State
from authproxy.identity.assurance import AuthenticationEvent, Level
from authproxy.identity.member import RegisterKey, tax_number_key
from authproxy.identity.person import MemberId
from authproxy.identity.ticket import SessionTicket
from authproxy.storage.records import challenges, members, sessions
from authproxy.storage.records.challenges import OwnedEnrolment, RecoverySet
from authproxy.storage.records.sealing import KeyRing, Purpose
from authproxy.storage.redis import keys as keyspace
from authproxy.storage.redis.challenges import RedisChallenges
from authproxy.storage.redis.enrolments import RedisEnrolments
from authproxy.storage.redis.heartbeat import Heartbeat
from authproxy.storage.redis.limits import RedisLimits
from authproxy.storage.redis.logout_tokens import RedisLogoutTokens
from authproxy.storage.redis.people import RedisPeople
from authproxy.storage.redis.sessions import RedisSessions
from authproxy.storage.redis.shared_octets import RedisSharedOctets
from authproxy.storage.retention import BlockRules
from tests.support.challenge_builders import ANAS, challenge_of, enrolment_of
from tests.support.people_builders import ANA, CVETKA, DAVID, account
from tests.support.session_builders import ISSUER, NOW, SUBJECT, session_for

pytestmark = pytest.mark.needs("redis-server")
FILE = Path(__file__).parents[1] / "golden/0.1.0.json"
WRITTEN = json.loads(FILE.read_text())
KEY = WRITTEN["worthless_key"].encode()
KEYS = KeyRing((KEY,), random_bytes=secrets.token_bytes)
TICKETS = [SessionTicket(bytes([number]) * 16, bytes([number + 100]) * 32) for number in range(1, 5)]
MINUTE = timedelta(minutes=1)
RULES = BlockRules(after=5, lasts=15 * MINUTE, at_most=timedelta(hours=24))
RESTORED = {"hash": "HSET", "string": "SET", "list": "RPUSH", "set": "SADD"}

SESSION = session_for(TICKETS[0], provider_session="sid-1", claims=("portal_admin",))
SESSION = replace(SESSION, person=replace(SESSION.person, member=MemberId("ana"), phone="+38640123456"))
PROOF = AuthenticationEvent(
    method="totp", at=NOW + MINUTE, source="enrolment-1", is_step_up=True, level=Level.MEDIUM
)
MEMBERS = (replace(ANA, accounts=(account(),)), CVETKA, replace(DAVID, blocked_at=NOW, block_reason="left"))
CHALLENGE = challenge_of(session_id=TICKETS[0].session_id, portal="acq")
TOTP = enrolment_of()
PUSH = enrolment_of(
    "enrolment-2",
    method="push",
    label="Android",
    secret="a public key",
    device_id="device-1",
    enrolled_at=NOW + MINUTE,
)


def octets_of(value):
    return value.encode() if isinstance(value, str) else base64.b64decode(value["base64"])


@pytest.fixture
async def golden(redis):
    """A store with everything that 0.1.0 had written."""
    for name, entry in WRITTEN["keys"].items():
        values = [octets_of(value) for value in entry["value"]]
        if entry["type"] == "zset":
            values = [
                part
                for member, score in zip(values[::2], values[1::2], strict=True)
                for part in (score, member)
            ]
        await redis.ask(RESTORED.get(entry["type"], "ZADD"), name, *values)
    return redis


@pytest.fixture
def stored_sessions(golden):
    return RedisSessions(golden, keys=KEYS, heartbeat=Heartbeat(golden))


@pytest.fixture
def people(golden):
    return RedisPeople(golden, keys=KEYS, heartbeat=Heartbeat(golden))


def test_the_file_says_who_has_written_it_and_that_its_key_is_worthless():
    assert WRITTEN["version"] == "0.1.0"
    assert WRITTEN["worthless_key"].startswith("worthless")


async def test_a_session_goes_on(stored_sessions):
    found = await stored_sessions.load(TICKETS[0], now=NOW + MINUTE)
    assert found is not None
    assert (found.session, found.last_active_at) == (SESSION, NOW)
    by_certificate = await stored_sessions.load(TICKETS[1], now=NOW + MINUTE)
    assert by_certificate is not None
    assert by_certificate.session.certificates == ("a1" * 32,)


async def test_a_session_that_had_changed_its_ticket_has_its_proof_and_is_found_by_its_old_id(
    stored_sessions,
):
    assert await stored_sessions.load(TICKETS[2], now=NOW + MINUTE) is None
    found = await stored_sessions.load(TICKETS[3], now=NOW + 2 * MINUTE)
    assert found is not None
    assert found.session.events[-1] == PROOF
    assert await stored_sessions.revoke_all([TICKETS[2].session_id])
    assert await stored_sessions.load(TICKETS[3], now=NOW + 2 * MINUTE) is None


async def test_a_session_is_touched_ends_by_time_and_is_revoked(stored_sessions):
    await stored_sessions.touch(TICKETS[0], now=NOW + 10 * MINUTE)
    assert await stored_sessions.load(TICKETS[0], now=NOW + 20 * MINUTE) is not None
    assert await stored_sessions.load(TICKETS[0], now=NOW + 26 * MINUTE) is None
    assert await stored_sessions.load(TICKETS[1], now=NOW + MINUTE) is not None
    assert await stored_sessions.revoke(TICKETS[1].session_id)
    assert await stored_sessions.load(TICKETS[1], now=NOW + MINUTE) is None


async def test_a_person_sees_and_ends_their_sessions(stored_sessions):
    now = NOW + 2 * MINUTE
    listed = await stored_sessions.summaries(ISSUER, SUBJECT, now=now)
    assert {summary.browser for summary in listed} == {"Firefox, Windows", "Chrome, Linux", "Safari, macOS"}
    assert [
        summary.session_id for summary in await stored_sessions.of_provider_session(ISSUER, "sid-1", now=now)
    ] == [TICKETS[0].session_id]
    assert await stored_sessions.revoke_member(ANA) == 1
    assert await stored_sessions.revoke_subject(ISSUER, SUBJECT) == 2


async def test_a_session_gets_another_proof(stored_sessions):
    new = SessionTicket(bytes([9]) * 16, bytes([109]) * 32)
    stronger = replace(SESSION, session_id=new.session_id, events=(*SESSION.events, PROOF))
    assert await stored_sessions.rotate(TICKETS[0], new, stronger, browser=None, now=NOW + MINUTE)
    found = await stored_sessions.load(new, now=NOW + 2 * MINUTE)
    assert found is not None
    assert found.session == stronger
    assert await stored_sessions.load(TICKETS[0], now=NOW + 2 * MINUTE) is None


async def test_the_register_is_whole(people):
    snapshot = await people.every()
    assert snapshot.revision == 1
    assert sorted(snapshot.members, key=lambda member: member.member_id) == list(MEMBERS)
    by_account, by_number, by_certificate, nobody = await people.find(
        [
            account().key,
            tax_number_key(CVETKA.tax_number),
            RegisterKey("fingerprint", "a1" * 32),
            RegisterKey("id", "nobody"),
        ]
    )
    assert (by_account.member, by_number.member, by_certificate.member) == (MEMBERS[0], CVETKA, MEMBERS[0])
    assert nobody is None


async def test_somebody_who_was_blocked_stays_blocked_and_another_one_is_blocked(people):
    david, cvetka = await people.find([RegisterKey("id", "david"), RegisterKey("id", "cvetka")])
    assert david.member.is_blocked
    assert await people.change(cvetka, cvetka.member.blocked(NOW, "left"), departs=True)
    [again] = await people.find([RegisterKey("id", "cvetka")])
    assert again.member.is_blocked


async def test_methods_that_were_enrolled_prove_at_the_lowest_level(golden):
    enrolments = RedisEnrolments(golden, keys=KEYS)
    assert [enrolment for enrolment in await enrolments.of(ANAS) if enrolment.method != "recovery"] == [
        TOTP,
        PUSH,
    ]
    assert {enrolment.level for enrolment in await enrolments.every(ANAS)} == {Level.LOW}
    assert not await enrolments.accept_step("enrolment-1", 59_000_000)
    assert await enrolments.accept_step("enrolment-1", 59_000_001)


async def test_recovery_codes_work_and_a_spent_one_does_not(golden):
    enrolments = RedisEnrolments(golden, keys=KEYS)
    assert await enrolments.recovery_left(ANAS) == 1
    assert not await enrolments.spend_recovery(ANAS, "hash of code one")
    assert await enrolments.spend_recovery(ANAS, "hash of code two")
    assert await enrolments.recovery_left(ANAS) == 0


async def test_a_challenge_that_waits_has_the_tries_that_were_left(golden):
    stored = RedisChallenges(golden, keys=KEYS)
    standing = await stored.find(CHALLENGE.challenge_id, now=NOW + MINUTE)
    assert (standing.challenge, standing.state, standing.tries_left) == (CHALLENGE, State.PENDING, 4)
    assert await stored.current(TICKETS[0].session_id, now=NOW + MINUTE) == (CHALLENGE.challenge_id,)
    assert await stored.resolve(CHALLENGE.challenge_id, State.APPROVED, now=NOW + MINUTE)
    assert not await stored.resolve(CHALLENGE.challenge_id, State.APPROVED, now=NOW + MINUTE)


async def test_a_block_goes_on(golden):
    limits = RedisLimits(golden, keys=KEYS, people=RULES, addresses=RULES)
    [name] = [WRITTEN["blocked"]]
    assert await limits.blocked_until([name], now=NOW + MINUTE) == NOW + 15 * MINUTE
    assert await limits.lift([name])


async def test_a_form_that_waits_is_taken_once_and_a_logout_token_stays_used(golden):
    octets = RedisSharedOctets(golden, keys=KEYS)
    assert await octets.take("held") == b"a form that waits"
    assert await octets.take("held") is None
    assert not await RedisLogoutTokens(golden).take(ISSUER, "jti-1", now=NOW)


async def test_another_key_opens_nothing_and_signs_nobody_in(golden):
    others = KeyRing((bytes(32),), random_bytes=secrets.token_bytes)
    stored = RedisSessions(golden, keys=others, heartbeat=Heartbeat(golden))
    assert await stored.load(TICKETS[0], now=NOW + MINUTE) is None
    assert await RedisEnrolments(golden, keys=others).every(ANAS) == ()


def opened(purpose, name, *, bound_to, field=None, secret=None):
    entry = WRITTEN["keys"][name]
    values = entry["value"]
    value = values[0] if field is None else values[values.index(field) + 1]
    octets = KEYS.open(purpose, octets_of(value), bound_to=bound_to, secret=secret)
    assert octets is not None
    return json.loads(octets)


def of_the_register(name):
    """The sealed person whose name in the register this is."""
    [hashed] = KEYS.register_names([RegisterKey("id", name)], KEYS.key_ids[0])
    return opened(Purpose.MEMBER, keyspace.REGISTER_PEOPLE, field=hashed, bound_to=hashed)


def test_whatever_0_1_0_needs_to_read_a_record_is_in_what_this_version_writes():
    """The fields that 0.1.0 had written are still written, with the same values. It ignores the others."""
    session_id = TICKETS[0].session_id
    owner = KEYS.owner_names("enrolments", ANAS)[0]
    enrolment = keyspace.enrolment_name("enrolment-1")
    challenge = keyspace.challenge_name(CHALLENGE.challenge_id)
    recovery = opened(Purpose.ENROLMENT, keyspace.recovery(owner), bound_to=owner)
    pairs = {
        "session": (
            opened(
                Purpose.SESSION,
                keyspace.session(session_id),
                field="record",
                bound_to=session_id,
                secret=TICKETS[0].secret,
            ),
            sessions.session_octets(SESSION),
        ),
        "summary": (
            opened(Purpose.SUMMARY, keyspace.session(session_id), field="summary", bound_to=session_id),
            sessions.summary_octets(SESSION, "Firefox, Windows"),
        ),
        "enrolment": (
            opened(
                Purpose.ENROLMENT,
                keyspace.enrolments(owner),
                field=enrolment,
                bound_to=f"{owner} {enrolment}",
            ),
            challenges.owned_octets(OwnedEnrolment(ANAS, TOTP)),
        ),
        "recovery": (recovery, challenges.recovery_set_octets(RecoverySet(ANAS, recovery["set"]))),
        "challenge": (
            opened(Purpose.CHALLENGE, keyspace.challenge(challenge), field="sealed", bound_to=challenge),
            challenges.challenge_octets(CHALLENGE),
        ),
        **{
            f"member {member.member_id}": (of_the_register(member.member_id), members.member_octets(member))
            for member in MEMBERS
        },
    }
    for what, (then, now) in pairs.items():
        assert lacking(then, json.loads(now)) == [], what


def lacking(then, now, path=""):
    """Where `now` does not have what `then` has."""
    if isinstance(then, dict):
        return [
            found
            for name, value in then.items()
            for found in (lacking(value, now[name], f"{path}.{name}") if name in now else [f"{path}.{name}"])
        ]
    if isinstance(then, list) and isinstance(now, list) and len(then) == len(now):
        return [
            found
            for at, (one, other) in enumerate(zip(then, now, strict=True))
            for found in lacking(one, other, f"{path}[{at}]")
        ]
    return [] if then == now else [path]
