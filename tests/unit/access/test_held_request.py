from __future__ import annotations

import secrets

import pytest

from authproxy.access.held_request import NAME_SIZE, HeldRequest, is_name


def test_names_that_the_gateway_generates_are_valid_names_of_held_requests():
    made = secrets.token_urlsafe(32)
    assert is_name(made)
    assert len(made) == NAME_SIZE


@pytest.mark.parametrize(
    "text", ["", "a" * 42, "a" * 44, "a" * 42 + "/", "a" * 42 + "=", "č" * 43, "a" * 43 + "\n"]
)
def test_other_texts_are_not_names_of_held_requests(text):
    assert not is_name(text)


def test_the_repr_of_a_held_request_has_no_content_of_the_form():
    form = HeldRequest(
        target="/pay?secret",
        content_type="text/plain",
        fields=(("Referer", "https://acq.example/?secret"),),
        body=b"amount=1",
    )
    assert "amount" not in repr(form)
    assert "secret" not in repr(form)
