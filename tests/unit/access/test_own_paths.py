from __future__ import annotations

import pytest

from authproxy.access.own_paths import is_own_path, needs_no_portal
from authproxy.access.target import RequestTarget


def at(path: str) -> RequestTarget:
    return RequestTarget("GET", "acq.example", path, None)


@pytest.mark.parametrize(
    ("path", "is_ours"),
    [
        ("/.authproxy/login", True),
        ("/.AUTHPROXY/login", True),
        ("/.authproxy", True),
        ("/.authproxy;x/login", True),
        ("/;x/.authproxy/login", True),
        ("/%2F.authproxy/login", True),
        ("/%252eauthproxy/login", True),
        ("/.%2561uthproxy/login", True),
        ("/22%25DDV.authproxy", False),
        ("/page/.authproxy/login", False),
        ("/authproxy/login", False),
        ("/", False),
    ],
)
def test_every_spelling_of_our_prefix_is_ours(path, is_ours):
    assert is_own_path(at(path)) is is_ours


@pytest.mark.parametrize(
    ("path", "is_needless"),
    [
        ("/.authproxy/jwks.json", True),
        ("/.authproxy/static/style.css", True),
        ("/.authproxy/login", False),
        ("/.authproxy/static", False),
    ],
)
def test_keys_and_style_sheets_are_answered_on_any_host(path, is_needless):
    assert needs_no_portal(path) is is_needless


def test_an_encoded_backslash_alone_is_read_as_a_slash_too():
    assert "/admin/x" in at("/admin%5Cx").readings()
