"""The lock of the app: which browsers have entered the PIN, and how long one must wait after wrong PINs.

There is one phone and one PIN. A browser that has entered it stays unlocked until it is unused for ten
minutes.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from authproxy.sandbox.phone import pin as pins
from authproxy.sandbox.phone.memory import Memory

_IDLE = timedelta(minutes=10)
_WAIT = timedelta(minutes=5)


class Lock:
    def __init__(
        self, memory: Memory, clock: Callable[[], datetime], random_bytes: Callable[[int], bytes]
    ) -> None:
        self._memory = memory
        self._clock = clock
        self._random_bytes = random_bytes
        self._unlocked: dict[str, datetime] = {}

    @property
    def has_pin(self) -> bool:
        return self._memory.state.pin is not None

    def is_open_for(self, browser: str, *, is_used: bool) -> bool:
        """Whether this browser may see the phone. Use by a person prolongs this; a request of the page's
        script does not."""
        if not self.has_pin:
            return True
        now = self._clock()
        self._unlocked = {key: until for key, until in self._unlocked.items() if now < until}
        if browser not in self._unlocked:
            return False
        if is_used:
            self._unlocked[browser] = now + _IDLE
        return True

    def minutes_to_wait(self) -> int:
        """Whole minutes until a PIN is checked again; 0: now."""
        until = self._memory.state.wait_until
        return max(0, math.ceil((until - self._clock()).total_seconds() / 60)) if until is not None else 0

    @property
    def tries_left(self) -> int:
        return pins.TRIES - self._memory.state.wrong_pins % pins.TRIES

    async def is_right(self, typed: str) -> bool:
        """Checks the PIN, except during a wait. The fifth wrong PIN begins one."""
        state = self._memory.state
        if state.pin is None or self.minutes_to_wait():
            return False
        # Counted before the slow hash, so that simultaneous guesses count too, and stored, so that a restart
        # forgets none.
        wrong = state.wrong_pins + 1
        self._memory.save(
            replace(state, wrong_pins=wrong, wait_until=None if wrong % pins.TRIES else self._clock() + _WAIT)
        )
        is_right = await asyncio.to_thread(pins.fits, typed, state.pin)
        if is_right:
            self._memory.save(replace(self._memory.state, wrong_pins=0, wait_until=None))
        return is_right

    async def change(self, pin: str) -> None:
        """Sets a new PIN; every browser must enter it."""
        hashed_pin = await asyncio.to_thread(pins.hashed, pin, self._random_bytes(16))
        self._memory.save(replace(self._memory.state, pin=hashed_pin, wrong_pins=0, wait_until=None))
        self._unlocked.clear()

    def unlock(self) -> str:
        """The cookie value of a newly unlocked browser."""
        browser = self._random_bytes(32).hex()
        self._unlocked[browser] = self._clock() + _IDLE
        return browser

    def lock(self) -> None:
        """Every browser must enter the PIN."""
        self._unlocked.clear()
