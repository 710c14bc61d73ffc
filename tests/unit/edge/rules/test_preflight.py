from __future__ import annotations

import pytest

from authproxy.access import target as request_target
from authproxy.access.routes import Portal, Requirement, Route
from authproxy.access.sender import Sender
from authproxy.edge.rules.preflight import is_passed, is_preflight
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


def portal(*routes: Route, passes_preflights: bool = True) -> Portal:
    return Portal(
        portal_id="acq",
        origin="https://acq.example",
        host="acq.example",
        routes=routes,
        passes_preflights=passes_preflights,
    )


ANYBODY = Route(name="acq/all", path="/", requirement=Requirement())
NO_WRITER = Route(name="acq/put", path="/", methods=("PUT",), requirement=Requirement(), access="deny")
OTHER_ROUTES = Route(name="acq/api", path="/api", requirement=Requirement())


@pytest.mark.parametrize(
    ("there", "passes"),
    [
        (portal(ANYBODY), True),
        (portal(ANYBODY, passes_preflights=False), False),
        (portal(NO_WRITER, ANYBODY), False),
        (portal(OTHER_ROUTES), False),
    ],
    ids=["a portal that answers them", "one that does not", "the request after it is denied", "no route"],
)
def test_a_preflight_passes_only_where_the_request_after_it_may_come(there, passes):
    target = request_target.parse(method="OPTIONS", target="/page", host="acq.example")
    assert is_passed(there, head(*ASKS), target, Sender()) is passes


def test_a_request_that_is_no_preflight_is_never_passed_like_one():
    target = request_target.parse(method="OPTIONS", target="/page", host="acq.example")
    assert not is_passed(portal(ANYBODY), head(), target, Sender())
