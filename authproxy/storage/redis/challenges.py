"""Challenges in Redis. Scripts count tries and resolve challenges: if many answers come at once, no more are
judged than there are tries, and exactly one of them resolves the challenge."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from authproxy.challenges.challenge import Challenge, ChallengeId, Standing, State
from authproxy.identity.session import SessionId
from authproxy.storage import retention
from authproxy.storage.records import challenges as challenge_records
from authproxy.storage.records import values
from authproxy.storage.records.sealing import KeyRing, Purpose
from authproxy.storage.redis import answer_shapes
from authproxy.storage.redis import keys as keyspace
from authproxy.storage.redis.answer_shapes import Command, Script
from authproxy.storage.redis.connection import RedisConnection
from authproxy.storage.redis.swaps import SWAP, TAKE

_OPEN: Final = Script(
    """
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('HSET', KEYS[1], 'sealed', ARGV[1], 'state', 'pending', 'tries', ARGV[2], 'ends', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1
""",
    answer_shapes.whole,
)
_LIST: Final = Script(
    """
redis.call('RPUSH', KEYS[1], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
local spare = redis.call('LLEN', KEYS[1]) - ARGV[2]
if spare <= 0 then return {} end
return redis.call('LPOP', KEYS[1], spare)
""",
    answer_shapes.names,
)
# If no try is left, the answer says `exhausted` and the challenge stays pending: the last answer that was
# counted is still being judged, and may be right.
_COUNT: Final = Script(
    """
local fields = redis.call('HMGET', KEYS[1], 'sealed', 'state', 'tries', 'ends')
if fields[2] == 'pending' and tonumber(ARGV[1]) < tonumber(fields[4]) then
  if tonumber(fields[3]) < 1 then
    fields[2] = 'exhausted'
  else
    fields[3] = tostring(redis.call('HINCRBY', KEYS[1], 'tries', -1))
  end
end
return fields
""",
    answer_shapes.fields(4),
)
_RESOLVE: Final = Script(
    """
local fields = redis.call('HMGET', KEYS[1], 'state', 'ends')
if fields[1] ~= 'pending' or tonumber(ARGV[2]) >= tonumber(fields[2]) then return 0 end
redis.call('HSET', KEYS[1], 'state', ARGV[1])
return 1
""",
    answer_shapes.whole,
)
# Who was so slow that the turn expired must not end the turn of whoever has it now.
_END_TURN: Final = Script(
    """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
""",
    answer_shapes.whole,
)


class RedisChallenges:
    """Every method raises CannotAsk(STORE_UNAVAILABLE) within the connection's deadline when the store cannot
    be asked."""

    def __init__(self, connection: RedisConnection, *, keys: KeyRing) -> None:
        self._connection = connection
        self._keys = keys
        self.unreadable = 0
        """Challenges that did not open since the start. For metrics."""

    async def open(self, challenge: Challenge, *, tries: int, now: datetime) -> None:
        """Stores the challenge until ten minutes after its end. Of one session's challenges the last eight
        are kept. Raises ValueError if the id is in use."""
        name = keyspace.challenge_name(challenge.challenge_id)
        kept_for = challenge.expires_at + retention.CHALLENGE_KEPT_AFTERWARDS - now
        sealed = self._keys.seal(
            Purpose.CHALLENGE, challenge_records.challenge_octets(challenge), bound_to=name
        )
        is_new = await self._connection.ask(
            "EVAL",
            _OPEN,
            1,
            keyspace.challenge(name),
            sealed,
            tries,
            values.milliseconds(challenge.expires_at),
            values.span_in_milliseconds(kept_for),
        )
        if not is_new:
            raise ValueError("there is a challenge of this id")
        dropped = await self._connection.ask(
            "EVAL",
            _LIST,
            1,
            keyspace.challenges_of(challenge.session_id),
            name,
            retention.CHALLENGES_PER_SESSION,
            values.span_in_milliseconds(kept_for),
        )
        if dropped:
            await self._connection.all([("DEL", keyspace.challenge(old.decode())) for old in dropped])

    async def find(self, challenge_id: ChallengeId, *, now: datetime) -> Standing | None:
        """How the challenge stands. None if there was none, or if it ended more than ten minutes ago."""
        name = keyspace.challenge_name(challenge_id)
        return self._standing(
            await self._connection.ask("HMGET", keyspace.challenge(name), "sealed", "state", "tries"),
            name,
            now,
        )

    async def count_try(self, challenge_id: ChallengeId, *, now: datetime) -> Standing | None:
        """Takes one try, if the challenge is pending and not over. An answer may be judged if the result is
        PENDING. It is EXHAUSTED if there was no try left."""
        name = keyspace.challenge_name(challenge_id)
        return self._standing(
            await self._connection.ask("EVAL", _COUNT, 1, keyspace.challenge(name), values.milliseconds(now)),
            name,
            now,
        )

    async def resolve(self, challenge_id: ChallengeId, state: State, *, now: datetime) -> bool:
        """Resolves a challenge that is pending and not over. If many try, exactly one gets True."""
        key = keyspace.challenge(keyspace.challenge_name(challenge_id))
        question: Command = ("EVAL", _RESOLVE, 1, key, state.value, values.milliseconds(now))
        [is_resolved] = await self._connection.confirmed([question])
        return bool(is_resolved)

    async def current(self, session_id: SessionId, *, now: datetime) -> tuple[ChallengeId, ...]:
        """The pending challenges of a session, the newest first."""
        listed = await self._connection.ask("LRANGE", keyspace.challenges_of(session_id), 0, -1)
        names = [name.decode() for name in reversed(listed)]
        if not names:
            return ()
        found = await self._connection.all(
            [("HMGET", keyspace.challenge(name), "sealed", "state", "tries") for name in names]
        )
        standings = [self._standing(fields, name, now) for name, fields in zip(names, found, strict=True)]
        return tuple(
            standing.challenge.challenge_id
            for standing in standings
            if standing is not None
            and standing.state_at(now) is State.PENDING
            and standing.challenge.session_id == session_id
        )

    async def take_turn(self, name: str, owner: str) -> bool:
        """Whether nobody else has the turn of this name. If many take it, exactly one gets it."""
        span = values.span_in_milliseconds(retention.ISSUING_TAKES)
        return await self._connection.ask("SET", keyspace.issuing(name), owner, "NX", "PX", span) is not None

    async def end_turn(self, name: str, owner: str) -> None:
        await self._connection.ask("EVAL", _END_TURN, 1, keyspace.issuing(name), owner)

    async def claim_push(
        self, owner: tuple[str, ...], challenge_id: ChallengeId, lives_for: timedelta
    ) -> ChallengeId | None:
        """Makes this the only notification to the person that waits for an answer. Returns the challenge of
        the one before, if it is still stored."""
        first, *older = [keyspace.pending_push(name) for name in self._keys.owner_names("push", owner)]
        name, span = keyspace.challenge_name(challenge_id), values.span_in_milliseconds(lives_for)
        earlier = await self._connection.all(
            [("EVAL", SWAP, 1, first, name, span), *(("EVAL", TAKE, 1, key) for key in older)]
        )
        for known in (octets.decode() for octets in earlier if octets is not None):
            sealed = await self._connection.ask("HGET", keyspace.challenge(known), "sealed")
            challenge = None if sealed is None or known == name else self._opened(sealed, known)
            if challenge is not None:
                return challenge.challenge_id
        return None

    def _standing(self, fields: list[Any], name: str, now: datetime) -> Standing | None:
        sealed, state, tries = fields[:3]
        challenge = None if sealed is None else self._opened(sealed, name)
        if challenge is None or now >= challenge.expires_at + retention.CHALLENGE_KEPT_AFTERWARDS:
            return None
        try:
            return Standing(challenge=challenge, state=State(state.decode()), tries_left=max(int(tries), 0))
        except (ValueError, TypeError, AttributeError):
            self.unreadable += 1
            return None

    def _opened(self, sealed: bytes, name: str) -> Challenge | None:
        plaintext = self._keys.open(Purpose.CHALLENGE, sealed, bound_to=name)
        challenge = None if plaintext is None else challenge_records.challenge_in(plaintext)
        if challenge is None:
            self.unreadable += 1
        return challenge
