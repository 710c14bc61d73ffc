from __future__ import annotations

import asyncio
import logging
import warnings

import pytest
from aiohttp import web

from authproxy.telemetry.logging import logger
from tests.support.log_lines import log_lines

HOSTILE = [
    "a\r\nb",
    "\x1b[31mred\x1b[0m",
    "a\u2028b\u2029c",
    "\x00",
    '"},{"event":"session.started"',
    "\ud800",
    "\u202e",
    "%s%n{0}",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_no_value_can_break_its_line(text):
    with log_lines() as log:
        logger("web").warning("portal.silent", path=text, inner={"k": [text]})

    assert log.getvalue().isascii()
    assert log.getvalue().count("\n") == 1
    [event] = log.lines()
    assert event["event"] == "portal.silent"
    assert event["inner"]["k"] == [event["path"]]


def test_an_event_has_its_time_logger_and_level():
    with log_lines() as log:
        logger("web").info("gateway.started", number=1)

    assert log.lines() == [
        {
            "event": "gateway.started",
            "number": 1,
            "level": "info",
            "logger": "web",
            "at": "2026-03-02T13:05:00.250+00:00",
        }
    ]


def test_a_million_characters_make_one_short_line():
    with log_lines() as log:
        logger("web").info("x.seen", text="a" * 1_000_000)

    assert len(log.getvalue()) < 10_000


def test_events_of_libraries_have_the_same_form():
    with log_lines() as log:
        logging.getLogger("aiohttp.server").error("broken %s with %s", "pipe", "Bearer abcdef123456")

    [event] = log.lines()
    assert event["event"] == "broken pipe with [removed]"
    assert event["logger"] == "aiohttp.server"


def test_warnings_of_libraries_are_events_too():
    with log_lines() as log, warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn("old fashion", DeprecationWarning, stacklevel=1)

    assert "old fashion" in log.lines()[0]["event"]


def test_an_exception_stands_on_its_events_line_without_its_secrets():
    with log_lines() as log:
        try:
            raise ValueError("token endpoint said code=abc123")
        except ValueError:
            logger("oidc").exception("provider.failed")

    [event] = log.lines()
    assert "ValueError: token endpoint said [removed]" in event["exception"]
    assert "abc123" not in log.getvalue()


def test_events_below_the_level_are_not_written():
    with log_lines("warning") as log:
        logger("web").info("quiet.event")
        logging.getLogger("aiohttp").info("quiet")
        logger("web").warning("loud.event")

    assert [event["event"] for event in log.lines()] == ["loud.event"]


async def test_a_request_that_aiohttp_cannot_read_is_logged_without_its_content():
    async def answer(_):
        return web.Response()

    with log_lines() as log:
        server = web.Server(answer, access_log=None)
        listening = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
        try:
            reader, writer = await asyncio.open_connection(*listening.sockets[0].getsockname()[:2])
            writer.write(b"GET / HTTP/1.1\r\nHost: h\r\nCookie: __Host-authproxy=secret-ticket\x00\r\n\r\n")
            assert (await reader.readline()).startswith(b"HTTP/1.0 400 ") or b" 400 " in await reader.read()
            writer.close()
            await writer.wait_closed()
        finally:
            listening.close()
            await server.shutdown()

    [event] = log.lines()
    assert (event["level"], event["logger"]) == ("warning", "aiohttp.server")
    assert "secret-ticket" not in log.getvalue()
    assert "Traceback" not in log.getvalue()
