from __future__ import annotations

from datetime import timedelta

from authproxy.storage.expiring import Expiring
from tests.support.session_builders import NOW

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


def test_a_value_is_there_until_its_end():
    values = Expiring()
    values.put("key", "value", until=NOW + MINUTE, now=NOW)
    assert values.get("key", NOW + MINUTE - SECOND) == "value"
    assert values.get("key", NOW + MINUTE) is None
    assert values.get("another", NOW) is None


def test_a_value_may_be_put_again_with_another_end():
    values = Expiring()
    values.put("key", "value", until=NOW + SECOND, now=NOW)
    values.put("key", "newer", until=NOW + MINUTE, now=NOW)
    assert values.get("key", NOW + SECOND) == "newer"


def test_without_a_clock_a_value_is_there_until_it_is_removed():
    values = Expiring()
    values.put("key", "value", until=NOW, now=NOW)
    assert values.peek("key") == "value"
    assert values.peek("another") is None
    assert "key" in values
    assert values.all() == ["value"]
    values.discard("key")
    values.discard("another")
    assert "key" not in values


def test_values_that_are_over_take_no_room_for_longer_than_a_minute():
    values = Expiring()
    values.put("short", 1, until=NOW + SECOND, now=NOW)
    values.put("long", 2, until=NOW + 2 * MINUTE, now=NOW + 2 * SECOND)
    assert len(values) == 2
    values.put("longer", 3, until=NOW + 3 * MINUTE, now=NOW + MINUTE)
    assert values.all() == [2, 3]
