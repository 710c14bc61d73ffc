from __future__ import annotations

import base64

import pytest

from authproxy.sandbox.web_pages.http_basic import credentials


def basic(text, scheme="Basic"):
    return f"{scheme} {base64.b64encode(text.encode()).decode()}"


def test_user_and_password_are_read_whatever_their_letters():
    assert credentials(basic("ana:č:š ž")) == ("ana", "č:š ž")
    assert credentials(basic("ana:", "bAsIc")) == ("ana", "")


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "Basic",
        "Basic !",
        "Basic YW5h",
        "Basic /w==",
        "Bearer YTpi",
        basic("a:b")[5:],
        "Basic YTpi x",
    ],
)
def test_what_cannot_be_read_names_nobody(value):
    assert credentials(value) is None
