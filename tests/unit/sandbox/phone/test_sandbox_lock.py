from __future__ import annotations

import asyncio
import secrets
from datetime import UTC, datetime

from authproxy.sandbox.phone.lock import Lock
from authproxy.sandbox.phone.memory import Memory, PhoneState
from authproxy.sandbox.phone.pin import hashed


def lock():
    memory = Memory(PhoneState(pin=hashed("2580", bytes(16))), None)
    return Lock(memory, lambda: datetime(2026, 11, 22, 10, tzinfo=UTC), secrets.token_bytes)


async def test_of_guesses_that_come_all_at_once_only_five_are_looked_at():
    locked = lock()
    assert not any(
        await asyncio.gather(
            *(locked.is_right(guess) for guess in ("4100", "4101", "4102", "4103", "4104", "2580"))
        )
    )
    assert locked.minutes_to_wait() == 5


async def test_the_right_one_forgets_the_wrong_ones_before():
    locked = lock()
    assert [await locked.is_right(guess) for guess in ("4100", "4101", "2580")] == [False, False, True]
    assert locked.tries_left == 5


async def test_a_browser_is_known_by_the_value_it_was_given_and_no_other():
    locked = lock()
    value = locked.unlock()
    assert locked.is_open_for(value, is_used=True)
    assert not locked.is_open_for("", is_used=True)
    assert not locked.is_open_for(value[:-1], is_used=True)


async def test_a_new_pin_locks_every_browser():
    locked = lock()
    value = locked.unlock()
    await locked.change("1357")
    assert not locked.is_open_for(value, is_used=True)
    assert await locked.is_right("1357")
