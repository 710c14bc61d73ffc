from __future__ import annotations

import pytest

from authproxy.sandbox.phone.pin import fits, hashed, is_guessed_first, is_pin


@pytest.mark.parametrize(
    ("text", "fine"),
    [
        ("2580", True),
        ("258013", True),
        ("258", False),
        ("2580134", False),
        ("25a0", False),
        ("２580", False),
        ("", False),
        (" 2580", False),
    ],
)
def test_a_pin_has_four_to_six_plain_digits(text, fine):
    assert is_pin(text) is fine


@pytest.mark.parametrize(
    ("pin", "weak"),
    [
        ("0000", True),
        ("555555", True),
        ("1234", True),
        ("67890", True),
        ("9876", True),
        ("3210", True),
        ("2580", False),
        ("1357", False),
    ],
)
def test_what_a_finder_tries_first_is_known(pin, weak):
    assert is_guessed_first(pin) is weak


def test_a_kept_pin_fits_itself_only_and_does_not_show():
    kept = hashed("2580", bytes(range(16)))
    assert fits("2580", kept)
    assert not fits("2581", kept)
    assert not fits("\ud800", kept)
    assert "2580" not in kept
    assert hashed("2580", bytes(16)) != kept
