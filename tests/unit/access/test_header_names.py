from __future__ import annotations

import pytest

from authproxy.access.header_names import PRESETS, HeaderNames, folded, folded_beginning


def test_the_names_that_are_used_are_those_that_are_not_empty():
    assert HeaderNames().used == (
        "X-Auth-Subject",
        "X-Auth-Name",
        "X-Auth-Email",
        "X-Auth-Tax-Number",
        "X-Auth-Method",
        "X-Auth-Level",
        "X-Auth-Roles",
        "X-Auth-Step-Up",
        "X-Auth-Assertion",
    )
    assert HeaderNames(name="", roles="Groups").used[1] == "X-Auth-Email"
    assert PRESETS["cloudflare"].used == ("Cf-Access-Authenticated-User-Email", "Cf-Access-Jwt-Assertion")


@pytest.mark.parametrize(
    ("beginning", "name", "begins"),
    [
        (b"SM_", b"SM-User", True),
        (b"sm-", b"HTTP_SM_USER", True),
        (b"SM_", b"SMART", False),
        (b"SM", b"SMART", True),
        (b"HTTP_SM_", b"sm.user", True),
        (b"-SM_", b"SM-User", True),
    ],
)
def test_a_beginning_is_compared_as_whole_names_are(beginning, name, begins):
    assert folded(name).startswith(folded_beginning(beginning)) is begins
