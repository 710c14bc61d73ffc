from __future__ import annotations

import pytest

from authproxy.edge.rules.preflight import is_preflight
from authproxy.edge.rules.request_head import parse

ASKS = ((b"Origin", b"https://other.example"), (b"Access-Control-Request-Method", b"PUT"))


def head(*fields: tuple[bytes, bytes]):
    return parse(b"OPTIONS", b"/", "1.1", [(b"Host", b"acq.example"), *fields])


def test_a_browser_that_asks_for_a_script_sends_a_preflight():
    assert is_preflight(head(*ASKS), "OPTIONS")


@pytest.mark.parametrize(
    ("fields", "method"),
    [
        (ASKS, "GET"),
        (ASKS[:1], "OPTIONS"),
        (ASKS[1:], "OPTIONS"),
        ((*ASKS, ASKS[0]), "OPTIONS"),
        ((*ASKS, (b"Cookie", b"a=b")), "OPTIONS"),
        ((*ASKS, (b"Content-Length", b"1")), "OPTIONS"),
        ((*ASKS, (b"Upgrade", b"websocket")), "OPTIONS"),
        ((*ASKS, (b"Authorization", b"Basic YTpi")), "OPTIONS"),
        ((*ASKS, (b"Proxy-Authorization", b"Basic YTpi")), "OPTIONS"),
    ],
)
def test_a_request_with_credentials_or_more_than_the_question_is_judged_like_every_other(fields, method):
    assert not is_preflight(head(*fields), method)
