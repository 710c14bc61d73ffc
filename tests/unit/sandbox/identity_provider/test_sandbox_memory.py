"""What is remembered for a while, and how wrong answers are counted."""

from __future__ import annotations

from datetime import timedelta

from authproxy.sandbox.accounts import people
from authproxy.sandbox.identity_provider.expiring import ExpiringEntries
from authproxy.sandbox.identity_provider.openid.claims import released
from authproxy.sandbox.identity_provider.wrong_answers import WrongAnswers


def test_an_entry_is_taken_once(clock):
    entries = ExpiringEntries(clock, timedelta(minutes=5))
    entries.put("a", 1)
    assert "a" in entries
    assert (entries.take("a"), entries.take("a")) == (1, None)


def test_an_entry_is_gone_when_its_time_is_over_and_lives_anew_when_put_again(clock):
    entries = ExpiringEntries(clock, timedelta(minutes=5))
    entries.put("a", 1)
    clock.advance(minutes=4)
    entries.put("a", 1)
    clock.advance(minutes=4)
    assert entries.get("a") == 1
    clock.advance(minutes=1)
    assert entries.get("a") is entries.take("a") is None
    assert "a" not in entries


def test_a_name_is_added_once_while_it_lives(clock):
    entries = ExpiringEntries(clock, timedelta(minutes=5))
    assert (entries.add("a", None), entries.add("a", None)) == (True, False)
    clock.advance(minutes=5)
    assert entries.add("a", None)


def test_the_oldest_gives_way_when_there_are_too_many(clock):
    entries = ExpiringEntries(clock, timedelta(minutes=5), capacity=2)
    for key in "abc":
        entries.put(key, key)
    assert [entries.get(key) for key in "abc"] == [None, "b", "c"]


def test_five_wrong_answers_in_a_row_cost_a_quarter_of_an_hour(clock):
    wrong = WrongAnswers(clock)
    for _ in range(4):
        wrong.count("ana")
    wrong.forget("ana")
    for _ in range(4):
        wrong.count("ana")
    assert wrong.minutes_to_wait("ana") == 0
    wrong.count("ana")
    assert wrong.minutes_to_wait("ana") == 15
    clock.advance(minutes=14, seconds=1)
    assert wrong.minutes_to_wait("ana") == 1
    assert wrong.minutes_to_wait("bor") == 0
    clock.advance(seconds=59)
    assert wrong.minutes_to_wait("ana") == 0


def test_claims_without_a_value_are_left_out_and_unknown_scopes_release_nothing():
    bor = people(bytes).find("bor.kranjc@example.si")
    assert released(bor, ("openid", "http://idp.rekono.si/openid/taxnumber", "offline_access")) == {
        "sub": bor.subject,
        "loa": 10,
    }
