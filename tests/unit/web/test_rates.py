from __future__ import annotations

from datetime import timedelta

import pytest

from authproxy.web import rates
from authproxy.web.rates import Rates
from tests.support.session_builders import NOW

SECOND = timedelta(seconds=1)
ADDRESS = "203.0.113.7"


def asked(limited, times, *, client=ADDRESS, now=NOW, kind="sign_ins"):
    """How many of so many requests are answered."""
    answered = 0
    for _ in range(times):
        if limited.wait(kind, client, now) is None:
            limited.count(kind, client, now)
            answered += 1
    return answered


def test_a_minutes_worth_may_come_at_once_and_then_one_after_another():
    limited = Rates({"sign_ins": 60})
    assert asked(limited, 100) == 60
    assert limited.wait("sign_ins", ADDRESS, NOW) == 1
    assert [asked(limited, 5, now=NOW + number * SECOND) for number in range(1, 5)] == [1, 1, 1, 1]
    assert asked(limited, 100, now=NOW + timedelta(minutes=5)) == 60


def test_the_time_to_wait_is_long_enough():
    limited = Rates({"codes": 4})
    assert asked(limited, 9, kind="codes") == 4
    wait = limited.wait("codes", ADDRESS, NOW)
    assert wait == 15
    assert asked(limited, 2, kind="codes", now=NOW + wait * SECOND) == 1


def test_an_office_of_five_hundred_people_signs_in_within_one_minute():
    limited = Rates({"sign_ins": 600})
    assert (
        sum(asked(limited, 1, now=NOW + number * timedelta(milliseconds=100)) for number in range(500)) == 500
    )


@pytest.mark.parametrize(
    ("one", "other", "is_the_same"),
    [
        ("203.0.113.7", "203.0.113.8", False),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:203.0.113.7", "203.0.113.7", True),
    ],
)
def test_addresses_are_counted_each_by_itself_and_of_ipv6_by_its_first_64_bits(one, other, is_the_same):
    limited = Rates({"sign_ins": 1})
    assert asked(limited, 1, client=one) == 1
    assert asked(limited, 1, client=other) == (0 if is_the_same else 1)


def test_kinds_are_counted_each_by_itself():
    limited = Rates({"sign_ins": 1, "callbacks": 1})
    assert [asked(limited, 2, kind=kind) for kind in ("sign_ins", "callbacks")] == [1, 1]


@pytest.mark.parametrize(
    ("most", "client"),
    [({}, ADDRESS), ({"sign_ins": 0}, ADDRESS), ({"sign_ins": 1}, "local"), ({"sign_ins": 1}, "")],
)
def test_without_a_limit_or_without_an_address_nothing_is_counted(most, client):
    limited = Rates(most)
    assert asked(limited, 50, client=client) == 50
    assert limited._free_at == {}


def test_a_clock_that_is_set_back_shuts_nobody_out():
    limited = Rates({"sign_ins": 2})
    asked(limited, 2)
    assert asked(limited, 3, now=NOW - timedelta(hours=1)) == 2


def test_any_number_of_addresses_takes_bounded_room_and_the_latest_are_remembered():
    limited = Rates({"sign_ins": 1})
    for number in range(rates._MOST_ADDRESSES + 50):
        asked(limited, 1, client=f"10.{number >> 16}.{(number >> 8) & 255}.{number & 255}")
    assert len(limited._free_at["sign_ins"]) == rates._MOST_ADDRESSES
    assert asked(limited, 1, client=f"10.0.{(rates._MOST_ADDRESSES >> 8) & 255}.1") == 0
