"""What every store of challenges promises, in Redis and in memory."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from authproxy.challenges.challenge import ChallengeId, State
from authproxy.identity.session import SessionId
from tests.support.challenge_builders import ANAS, BORS, challenge_of
from tests.support.session_builders import NOW

ONE = ChallengeId("challenge-1")
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
AN_HOUR = timedelta(hours=1)


async def opened(challenges, challenge_id=ONE, *, tries=5, **changes):
    challenge = challenge_of(challenge_id, **changes)
    await challenges.open(challenge, tries=tries, now=challenge.issued_at)
    return challenge


async def test_an_opened_challenge_is_found_whole_and_pending(challenges):
    challenge = await opened(challenges)
    standing = await challenges.find(ONE, now=NOW + SECOND)
    assert (standing.challenge, standing.state, standing.tries_left) == (challenge, State.PENDING, 5)


async def test_a_challenge_that_never_was_is_not_found(challenges):
    await opened(challenges)
    other = ChallengeId("another")
    assert await challenges.find(other, now=NOW) is None
    assert await challenges.count_try(other, now=NOW) is None
    assert await challenges.resolve(other, State.APPROVED, now=NOW) is False


async def test_an_id_is_given_once(challenges):
    await opened(challenges)
    with pytest.raises(ValueError, match="of this id"):
        await opened(challenges, return_to="/elsewhere")
    assert (await challenges.find(ONE, now=NOW)).challenge == challenge_of()


async def test_every_try_is_counted_and_the_last_one_may_still_be_judged(challenges):
    await opened(challenges, tries=3)
    counted = [await challenges.count_try(ONE, now=NOW) for _ in range(5)]
    assert [standing.tries_left for standing in counted] == [2, 1, 0, 0, 0]
    assert [standing.state for standing in counted] == [State.PENDING] * 3 + [State.EXHAUSTED] * 2
    assert await challenges.resolve(ONE, State.APPROVED, now=NOW) is True


async def test_looking_costs_no_try(challenges):
    await opened(challenges)
    assert [(await challenges.find(ONE, now=NOW)).tries_left for _ in range(3)] == [5] * 3


async def test_of_fifty_answers_at_once_as_many_are_judged_as_there_are_tries(challenges):
    await opened(challenges, tries=5)
    counted = await asyncio.gather(*(challenges.count_try(ONE, now=NOW) for _ in range(50)))
    judged = [standing for standing in counted if standing.state is State.PENDING]
    assert sorted(standing.tries_left for standing in judged) == [0, 1, 2, 3, 4]


async def test_of_fifty_right_answers_at_once_exactly_one_resolves(challenges):
    await opened(challenges)

    async def answered_rightly():
        standing = await challenges.count_try(ONE, now=NOW)
        return standing.state is State.PENDING and await challenges.resolve(ONE, State.APPROVED, now=NOW)

    assert sum(await asyncio.gather(*(answered_rightly() for _ in range(50)))) == 1
    assert (await challenges.find(ONE, now=NOW)).state is State.APPROVED


@pytest.mark.parametrize("end", [State.APPROVED, State.REFUSED, State.EXHAUSTED, State.EXPIRED])
async def test_from_an_end_nothing_leads_on(challenges, end):
    await opened(challenges)
    assert await challenges.resolve(ONE, end, now=NOW) is True
    assert [await challenges.resolve(ONE, state, now=NOW) for state in State] == [False] * 5
    standing = await challenges.count_try(ONE, now=NOW)
    assert (standing.state, standing.tries_left) == (end, 5)


async def test_an_answer_after_the_end_is_told_apart_from_one_to_nothing_for_ten_minutes(challenges):
    challenge = await opened(challenges)
    late = challenge.expires_at
    standing = await challenges.count_try(ONE, now=late)
    assert (standing.state_at(late), standing.tries_left) == (State.EXPIRED, 5)
    assert await challenges.resolve(ONE, State.APPROVED, now=late) is False
    assert await challenges.find(ONE, now=late + 10 * MINUTE - SECOND) is not None
    assert await challenges.find(ONE, now=late + 10 * MINUTE) is None
    assert await challenges.count_try(ONE, now=late + 10 * MINUTE) is None
    assert await challenges.resolve(ONE, State.APPROVED, now=late - SECOND) is True


async def test_the_pending_challenges_of_a_session_are_listed_newest_first(challenges):
    for number in range(3):
        await opened(challenges, f"challenge-{number}")
    await opened(challenges, "of another", session_id=SessionId("another"))
    await opened(challenges, "brief", expires_at=NOW + MINUTE)
    await challenges.resolve(ChallengeId("challenge-1"), State.REFUSED, now=NOW)
    assert await challenges.current(SessionId("a-session"), now=NOW) == (
        "brief",
        "challenge-2",
        "challenge-0",
    )
    assert await challenges.current(SessionId("a-session"), now=NOW + MINUTE) == (
        "challenge-2",
        "challenge-0",
    )
    assert await challenges.current(SessionId("nobody's"), now=NOW) == ()


async def test_a_session_keeps_its_last_eight_challenges(challenges):
    for number in range(11):
        await opened(challenges, f"challenge-{number}")
    assert await challenges.current(SessionId("a-session"), now=NOW) == tuple(
        f"challenge-{number}" for number in range(10, 2, -1)
    )
    assert [
        await challenges.find(ChallengeId(f"challenge-{number}"), now=NOW) is None for number in range(4)
    ] == [True] * 3 + [False]


async def test_what_still_waits_stays_when_what_is_over_makes_room(challenges):
    await opened(challenges, "lasting", expires_at=NOW + 20 * MINUTE)
    await opened(challenges, "brief", expires_at=NOW + MINUTE)
    later = NOW + 12 * MINUTE
    await opened(
        challenges, "of another", session_id=SessionId("another"), issued_at=later, expires_at=later + MINUTE
    )
    assert await challenges.current(SessionId("a-session"), now=later) == ("lasting",)
    assert await challenges.find(ChallengeId("brief"), now=later) is None


async def test_a_person_has_one_pending_notification(challenges):
    for number in range(3):
        await opened(challenges, f"challenge-{number}", method="push")
    assert await challenges.claim_push(ANAS, ChallengeId("challenge-0"), MINUTE) is None
    assert await challenges.claim_push(ANAS, ChallengeId("challenge-1"), MINUTE) == "challenge-0"
    assert await challenges.claim_push(BORS, ChallengeId("challenge-2"), MINUTE) is None
    assert await challenges.claim_push(ANAS, ChallengeId("challenge-1"), MINUTE) is None
    assert await challenges.claim_push(ANAS, ChallengeId("challenge-2"), MINUTE) == "challenge-1"


async def test_a_notification_that_nobody_knows_any_more_is_not_named(challenges):
    assert await challenges.claim_push(ANAS, ChallengeId("never opened"), MINUTE) is None
    assert await challenges.claim_push(ANAS, ChallengeId("another"), MINUTE) is None


async def test_a_turn_to_issue_is_somebodys_until_they_end_it(challenges):
    click = "session of Ana: sms"
    taken = await asyncio.gather(*(challenges.take_turn(click, f"owner {number}") for number in range(20)))
    assert sum(taken) == 1
    assert await challenges.take_turn("session of Ana: push", "another")
    await challenges.end_turn(click, f"owner {taken.index(True)}")
    assert await challenges.take_turn(click, "another")


async def test_nobody_ends_a_turn_that_is_somebody_elses(challenges):
    assert await challenges.take_turn("session of Ana: sms", "first")
    await challenges.end_turn("session of Ana: sms", "second")
    assert not await challenges.take_turn("session of Ana: sms", "third")
    await challenges.end_turn("session of Ana: sms", "first")
    await challenges.end_turn("session of Ana: sms", "first")
    assert await challenges.take_turn("session of Ana: sms", "third")
