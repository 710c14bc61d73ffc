from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from authproxy.sandbox import one_time_code
from authproxy.sandbox.accounts import people
from authproxy.sandbox.identity_provider.front_end.confirmation import (
    SmsCode,
    accepted_step,
    modes,
    six_digits,
)

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
ACCOUNT = people(secrets.token_bytes).find("cvetka.zupan@example.si")


@pytest.mark.parametrize(
    ("level", "enrolled", "has_phone", "has_certificate", "offered"),
    [
        (10, True, True, True, ("smslogin", "otplogin")),
        (20, True, True, False, ("smslogin", "otplogin", "pushlogin")),
        (20, True, True, True, ("smslogin", "otplogin", "pushlogin", "certlogin")),
        (30, True, True, True, ("otplogin", "pushlogin", "certlogin")),
        (10, False, False, False, ("smslogin",)),
        (20, True, False, False, ("smslogin", "otplogin")),
        (30, True, False, False, ("otplogin",)),
        (30, False, False, True, ("certlogin",)),
        (30, False, False, False, ("smslogin",)),
    ],
)
def test_means_follow_level_and_enrolment_and_there_is_always_one(
    level, enrolled, has_phone, has_certificate, offered
):
    account = replace(ACCOUNT, level=level, totp_secret=ACCOUNT.totp_secret if enrolled else None)
    assert modes(account, has_phone=has_phone, has_certificate=has_certificate) == offered


@pytest.mark.parametrize(("age", "good"), [(0, True), (299, True), (300, False)])
def test_a_code_by_sms_lives_five_minutes(age, good):
    code = SmsCode(digits="012345", sent_at=NOW)
    assert code.is_answered_by("012 345", NOW + timedelta(seconds=age)) is good
    assert not code.is_answered_by("12345", NOW)
    assert not code.is_answered_by("０12345", NOW)
    assert not code.is_answered_by("\ud80012345", NOW)


@pytest.mark.parametrize(("age", "wait"), [(0, 60), (59, 1), (60, 0), (600, 0)])
def test_another_message_may_follow_after_a_minute(age, wait):
    assert SmsCode(digits="012345", sent_at=NOW).seconds_until_again(NOW + timedelta(seconds=age)) == wait


@pytest.mark.parametrize("steps", [-1, 0, 1])
def test_a_onepass_code_is_good_one_step_around_and_never_twice(steps):
    secret, now_step = ACCOUNT.totp_secret, one_time_code.step(NOW)
    typed = one_time_code.code(secret, now_step + steps)
    assert accepted_step(secret, typed, last_step=-1, now=NOW) == now_step + steps
    assert accepted_step(secret, typed, last_step=now_step + steps, now=NOW) is None


@pytest.mark.parametrize("steps", [-2, 2])
def test_a_onepass_code_from_further_away_is_refused(steps):
    secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
    assert (
        accepted_step(
            secret, one_time_code.code(secret, one_time_code.step(NOW) + steps), last_step=-1, now=NOW
        )
        is None
    )


def test_codes_have_six_digits_always():
    assert six_digits(bytes(8)) == "000000"
    assert six_digits((1_000_042).to_bytes(8)) == "000042"
