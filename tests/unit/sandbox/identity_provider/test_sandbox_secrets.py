"""Passwords, PUK codes, codes that were sent, and consents: the small pure things that the front end stands
on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from authproxy.sandbox.accounts import PASSWORD, PASSWORD_HASH, PUK, PUK_HASH
from authproxy.sandbox.identity_provider.front_end import puk
from authproxy.sandbox.identity_provider.front_end.sent_code import MAIL_LIVES_FOR, SentCode
from authproxy.sandbox.identity_provider.openid.consents import Consents
from authproxy.sandbox.identity_provider.secret_hash import fits, hashed

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)


def test_a_secret_fits_its_own_hash_and_no_other():
    kept = hashed("čaroben gozd", b"0123456789abcdef")
    assert fits("čaroben gozd", kept)
    assert fits("c\u030caroben gozd", kept)
    assert not fits("caroben gozd", kept)
    assert hashed("čaroben gozd", b"another salt, 16") != kept
    assert "gozd" not in kept


@pytest.mark.parametrize("typed", ["", "\0", "anything"])
def test_nothing_fits_nobody(typed):
    assert not fits(typed, None)


def test_the_published_secrets_are_the_ones_that_were_hashed():
    assert fits(PASSWORD, PASSWORD_HASH)
    assert fits(PUK, PUK_HASH)


def test_a_puk_code_has_twelve_digits_and_is_understood_as_it_is_shown():
    assert puk.new(bytes(8)) == "000000000000"
    assert puk.grouped(puk.new((10**12 + 42).to_bytes(8))) == "0000 0000 0042"
    assert puk.meant(" 0000-0000\N{NO-BREAK SPACE}0042 ") == "000000000042"


@pytest.mark.parametrize(("age", "good"), [(0, True), (599, True), (600, False)])
def test_a_code_by_mail_lives_ten_minutes(age, good):
    code = SentCode(digits="012345", sent_at=NOW, lives_for=MAIL_LIVES_FOR)
    at = NOW + timedelta(seconds=age)
    assert (code.is_answered_by("012 345", at), code.has_expired(at)) == (good, not good)
    assert not code.is_answered_by("12345", NOW)
    assert "012345" not in repr(code)


@pytest.mark.parametrize("typed", ["", "None", "000000"])
def test_nothing_answers_a_message_that_bore_no_code(typed):
    assert not SentCode(digits=None, sent_at=NOW, lives_for=MAIL_LIVES_FOR).is_answered_by(typed, NOW)


@pytest.mark.parametrize(("age", "wait"), [(0, 60), (59, 1), (60, 0), (600, 0)])
def test_another_message_may_follow_after_a_minute(age, wait):
    code = SentCode(digits="012345", sent_at=NOW, lives_for=MAIL_LIVES_FOR)
    assert code.seconds_until_again(NOW + timedelta(seconds=age)) == wait


def test_consents_grow_are_listed_and_can_be_taken_back():
    consents = Consents()
    assert consents.cover("ana", "rp", ())
    assert not consents.cover("ana", "rp", ("openid",))
    consents.give("ana", "rp", ("openid",))
    consents.give("ana", "rp", ("email",))
    consents.give("bor", "rp", ("openid",))
    assert consents.cover("ana", "rp", ("openid", "email"))
    assert not consents.cover("ana", "other", ("openid",))
    assert consents.of("ana") == {"rp": frozenset({"openid", "email"})}
    restored = Consents()
    restored.restore(consents.snapshot())
    restored.withdraw("ana", "rp")
    restored.withdraw("ana", "rp")
    assert (restored.of("ana"), restored.of("bor")) == ({}, {"rp": frozenset({"openid"})})


@pytest.mark.parametrize("damaged", [3, [3], [{}], [{"email": "ana", "client_id": "rp"}]])
def test_consents_that_were_not_written_by_us_are_an_error(damaged):
    with pytest.raises((TypeError, LookupError)):
        Consents().restore(damaged)
