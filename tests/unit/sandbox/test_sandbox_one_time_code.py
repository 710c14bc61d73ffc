from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest

from authproxy.sandbox.one_time_code import code, seconds_left, step

SECRET = base64.b32encode(b"12345678901234567890").decode()


@pytest.mark.parametrize(
    ("seconds", "expected"), [(59, "287082"), (1111111109, "081804"), (2000000000, "279037")]
)
def test_the_vectors_of_rfc_6238_come_out(seconds, expected):
    assert code(SECRET, step(datetime.fromtimestamp(seconds, UTC))) == expected


@pytest.mark.parametrize(("seconds", "left"), [(0, 30), (1, 29), (29, 1), (30, 30)])
def test_a_code_has_one_to_thirty_seconds_left(seconds, left):
    assert seconds_left(datetime.fromtimestamp(seconds, UTC)) == left
