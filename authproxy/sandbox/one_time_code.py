"""PURE: the six-digit code that provider and phone compute from a shared secret (RFC 6238, with SHA-1 and
steps of 30 seconds)."""

from __future__ import annotations

from datetime import datetime

import pyotp

STEP_SECONDS = 30
DIGITS = 6


def step(now: datetime) -> int:
    """The number of the time step that contains `now`."""
    return int(now.timestamp()) // STEP_SECONDS


def code(secret: str, time_step: int) -> str:
    return str(pyotp.TOTP(secret).generate_otp(time_step))


def seconds_left(now: datetime) -> int:
    """Whole seconds until the next code, 1 to 30."""
    return STEP_SECONDS - int(now.timestamp()) % STEP_SECONDS
