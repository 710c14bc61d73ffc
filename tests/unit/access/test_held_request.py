from __future__ import annotations

import secrets

import pytest

from authproxy.access.held_request import NAME_SIZE, HeldRequest, is_name


def test_what_the_gateway_makes_up_is_a_name():
    made = secrets.token_urlsafe(32)
    assert is_name(made)
    assert len(made) == NAME_SIZE


@pytest.mark.parametrize(
    "text", ["", "a" * 42, "a" * 44, "a" * 42 + "/", "a" * 42 + "=", "č" * 43, "a" * 43 + "\n"]
)
def test_what_it_cannot_make_up_is_none(text):
    assert not is_name(text)


def test_what_was_typed_stands_in_no_log():
    form = HeldRequest(
        target="/pay?secret",
        content_type="text/plain",
        fields=(("Referer", "https://acq.example/?secret"),),
        body=b"amount=1",
    )
    assert "amount" not in repr(form)
    assert "secret" not in repr(form)
