from __future__ import annotations

import re

import pytest

from authproxy.identity.machine_client import KEY_PREFIX, key_id_of, key_text

TEXT = key_text(bytes(range(32)))


def test_a_key_has_a_prefix_that_scanners_find_and_256_bits():
    assert re.fullmatch(r"authproxy_[0-9a-f]{64}", TEXT)
    assert KEY_PREFIX + bytes(range(32)).hex() == TEXT


@pytest.mark.parametrize("size", [0, 31, 33])
def test_fewer_or_more_random_bytes_make_no_key(size):
    with pytest.raises(ValueError, match="32 random bytes"):
        key_text(bytes(size))


def test_the_public_name_is_part_of_a_hash_and_shows_nothing_of_the_key():
    name = key_id_of(TEXT)
    assert name is not None
    assert re.fullmatch(r"[0-9a-f]{32}", name)
    assert name not in TEXT
    assert key_id_of(key_text(bytes(32))) != name


@pytest.mark.parametrize(
    "text",
    [
        "",
        TEXT[:-1],
        TEXT + "0",
        TEXT + "\n",
        TEXT.upper(),
        TEXT.replace("authproxy_", "authproxy-"),
        TEXT[:-1] + "g",
        TEXT[:-1] + "١",
        "a.b.c",
    ],
)
def test_anything_else_is_no_key(text):
    assert key_id_of(text) is None
