"""Notifications: one at a time, two minutes, three in ten minutes, one sign-in from each."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta

import pytest

from authproxy.sandbox.identity_provider.frequency import Frequency
from authproxy.sandbox.identity_provider.onepass.pushes import Outcome, Pushes, PushState
from tests.support.clock import Clock

ANA, BOR = "ana@example.si", "bor@example.si"


@pytest.fixture
def clock():
    return Clock(datetime(2026, 11, 22, 10, tzinfo=UTC))


@pytest.fixture
def pushes(clock):
    return Pushes(clock, secrets.token_bytes)


@pytest.fixture
def push(pushes):
    return pushes.ask(ANA, for_="Portal", place="Firefox")


def answered(pushes, push, **how):
    return pushes.answer(push.id, ANA, **({"approves": True, "number": push.number} | how))


def test_the_number_is_one_of_three_different_ones(pushes, clock):
    for _ in range(40):
        push = pushes.ask(ANA, for_="Portal", place="")
        assert push.number in push.choices
        assert len(set(push.choices)) == 3
        assert all(10 <= int(choice) <= 99 for choice in push.choices)
        clock.advance(minutes=5)


def test_an_approved_one_is_redeemed_once(pushes, push):
    assert not pushes.redeem(push.id, ANA)
    assert answered(pushes, push) is Outcome.TAKEN
    assert pushes.state(push.id) is PushState.APPROVED
    assert pushes.redeem(push.id, ANA)
    assert not pushes.redeem(push.id, ANA)
    assert pushes.state(push.id) is PushState.EXPIRED


def test_an_approval_is_worth_nothing_to_another_account(pushes, push):
    answered(pushes, push)
    assert not pushes.redeem(push.id, BOR)
    assert pushes.redeem(push.id, ANA)


def test_a_wrong_number_ends_it(pushes, push):
    wrong = next(choice for choice in push.choices if choice != push.number)
    assert answered(pushes, push, number=wrong) is Outcome.WRONG_NUMBER
    assert pushes.state(push.id) is PushState.WRONG_NUMBER
    assert answered(pushes, push) is Outcome.OVER
    assert not pushes.redeem(push.id, ANA)


def test_a_refusal_needs_no_number_and_ends_it(pushes, push):
    assert answered(pushes, push, approves=False, number="") is Outcome.TAKEN
    assert pushes.state(push.id) is PushState.REFUSED
    assert answered(pushes, push) is Outcome.OVER


def test_the_phone_of_another_account_cannot_answer(pushes, push):
    assert pushes.answer(push.id, BOR, approves=True, number=push.number) is Outcome.UNKNOWN
    assert pushes.answer("nothing", ANA, approves=True, number="10") is Outcome.UNKNOWN
    assert pushes.state(push.id) is PushState.PENDING


def test_two_minutes_without_an_answer_end_it(pushes, push, clock):
    clock.advance(seconds=119)
    assert pushes.pending(ANA) == (push,)
    clock.advance(seconds=1)
    assert pushes.pending(ANA) == ()
    assert answered(pushes, push) is Outcome.OVER
    assert pushes.state(push.id) is PushState.EXPIRED


def test_an_approval_that_nobody_fetches_is_over_after_two_minutes(pushes, push, clock):
    answered(pushes, push)
    clock.advance(minutes=2)
    assert not pushes.redeem(push.id, ANA)


def test_a_new_one_takes_the_place_of_the_one_that_waits(pushes, push):
    newer = pushes.ask(ANA, for_="Portal", place="")
    assert pushes.pending(ANA) == (newer,)
    assert pushes.state(push.id) is PushState.SUPERSEDED
    assert answered(pushes, push) is Outcome.OVER


def test_an_answer_that_has_come_already_is_not_superseded(pushes, push):
    answered(pushes, push)
    pushes.ask(ANA, for_="Portal", place="")
    assert pushes.redeem(push.id, ANA)


def test_the_fourth_within_ten_minutes_is_not_sent_and_another_account_is_not_concerned(pushes, push, clock):
    pushes.ask(ANA, for_="Portal", place="")
    clock.advance(minutes=1, seconds=1)
    last = pushes.ask(ANA, for_="Portal", place="")
    assert pushes.ask(ANA, for_="Portal", place="") is None
    assert pushes.pending(ANA) == (last,)
    assert pushes.minutes_to_wait(ANA) == 9
    assert pushes.minutes_to_wait(BOR) == 0
    assert pushes.ask(BOR, for_="Portal", place="") is not None
    clock.advance(minutes=8, seconds=59)
    assert pushes.ask(ANA, for_="Portal", place="") is not None


def test_cancelling_ends_only_what_still_waits(pushes, push):
    answered(pushes, push)
    pushes.cancel(push.id)
    pushes.cancel("nothing")
    assert pushes.state(push.id) is PushState.APPROVED
    newer = pushes.ask(ANA, for_="Portal", place="")
    pushes.cancel(newer.id)
    assert pushes.state(newer.id) is PushState.SUPERSEDED


def test_neither_number_nor_address_shows_where_a_notification_is_printed(push):
    assert ANA not in repr(push)
    assert f"'{push.number}'" not in repr(push)
    assert push.id not in repr(push)


def test_what_is_frequent_waits_until_its_oldest_is_out_of_the_window(clock):
    often = Frequency(clock, allowed=2, window=timedelta(minutes=10))
    often.count("a")
    clock.advance(minutes=4)
    often.count("a")
    assert (often.seconds_to_wait("a"), often.seconds_to_wait("b")) == (360, 0)
    clock.advance(minutes=6)
    assert often.seconds_to_wait("a") == 0
    often.count("a")
    assert often.seconds_to_wait("a") == 240
    often.forget("a")
    assert often.seconds_to_wait("a") == 0
