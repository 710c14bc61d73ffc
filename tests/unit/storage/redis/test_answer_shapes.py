"""Which answers a command can have, and how a failure is described."""

from __future__ import annotations

import socket
import ssl

import pytest
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    InvalidResponse,
    NoPermissionError,
    OutOfMemoryError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError

from authproxy.storage.redis import answer_shapes, errors
from authproxy.storage.redis.answer_shapes import Script

FITTING = [
    (("HMGET", "key", "a", "b"), [b"1", None]),
    (("GET", "key"), None),
    (("GET", "key"), b"value"),
    (("SET", "key", 1, "NX"), None),
    (("DEL", "key"), 1),
    (("SCAN", 0), [b"17", [b"key"]]),
    (("HGETALL", "key"), [b"field", b"value"]),
    (("LRANGE", "key", 0, -1), []),
    (("TIME",), [b"1767225600", b"17"]),
    (("EVAL", "return 1", 0), [1, None, [b"x"]]),
    (("EVAL", Script("return 1", answer_shapes.whole), 0), 1),
    (("EVAL", Script("return 1", answer_shapes.moment), 0), 1_767_225_600_000),
    (("ECHO", "word"), "whatever a command that nobody uses may answer"),
]
CORRUPTED = [
    (("HMGET", "key", "a", "b"), [b"1"]),
    (("HMGET", "key", "a", "b"), b"1"),
    (("HMGET", "key", "a"), [1]),
    (("HMGET", "key", "a"), None),
    (("GET", "key"), 1),
    (("GET", "key"), [b"x"]),
    (("DEL", "key"), b"OK"),
    (("DEL", "key"), None),
    (("SCAN", 0), [b"17"]),
    (("SCAN", 0), [b"x", []]),
    (("SCAN", 0), [b"1", [None]]),
    (("HGETALL", "key"), [b"field"]),
    (("ZRANGE", "key", 0, -1), [None]),
    (("TIME",), [b"1767225600"]),
    (("TIME",), [b"noon", b"17"]),
    (("TIME",), b"1767225600"),
    (("EVAL", "return 1", 0), 1.5),
    (("EVAL", Script("return 1", answer_shapes.whole), 0), b"1"),
    (("EVAL", Script("return 1", answer_shapes.moment), 0), -1),
    (("EVAL", Script("return 1", answer_shapes.moment), 0), 10**18),
    (("EVAL", Script("return 1", answer_shapes.fields(2)), 0), [b"1"]),
]


@pytest.mark.parametrize(("command", "answer"), FITTING)
def test_an_answer_fits_its_command(command, answer):
    assert answer_shapes.fits(command, answer)


@pytest.mark.parametrize(("command", "answer"), CORRUPTED)
def test_an_answer_to_something_else_does_not_fit(command, answer):
    assert not answer_shapes.fits(command, answer)
    assert not answer_shapes.all_fit([("DEL", "key"), command], [1, answer])


@pytest.mark.parametrize(
    "command",
    [("GET", "key"), ("GET", b"key"), ("EVAL", "return 1", 2, "key", "other"), ("DEL", "key", "other")],
)
def test_the_first_key_of_a_command_is_known(command):
    assert answer_shapes.key_of(command) == b"key"


def test_a_refusal_fits_every_command():
    assert answer_shapes.all_fit([("DEL", "key"), ("GET", "key")], [ResponseError("ERR"), b"value"])


def refused(host):
    """As redis-py raises it: the error of the system is the cause of its own error."""
    raised = RedisConnectionError("Error 111 connecting to somewhere")
    raised.__context__ = host
    return raised


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (TimeoutError(), "does not answer within 0.8 s"),
        (
            refused(ConnectionRefusedError(111, "Connect call failed")),
            "cannot be reached: connection refused",
        ),
        (refused(socket.gaierror(-2, "Name or service not known")), "the name of its host is not known"),
        (refused(ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number")), "TLS fails"),
        (RedisConnectionError("Connection closed by server."), "connection closed by server"),
        (RedisConnectionError("max number of clients reached"), "takes no more connections"),
        (OutOfMemoryError("command not allowed", status_code="OOM"), "refuses writes: out of memory (OOM)"),
        (
            ResponseError("ERR Error running script: @user_script:2: -OOM command not allowed"),
            "refuses writes: out of memory (OOM)",
        ),
        (ResponseError("NOREPLICAS Not enough good replicas to write."), "refuses writes: too few replicas"),
        (
            ResponseError("MISCONF Redis is configured to save RDB snapshots"),
            "refuses writes: it cannot save its data",
        ),
        (BusyLoadingError("Redis is loading", status_code="LOADING"), "still loading"),
        (
            AuthenticationError("invalid username-password pair", status_code="WRONGPASS"),
            "user name or the password",
        ),
        (
            AuthenticationError("invalid username-password pair or user is disabled."),
            "user name or the password (WRONGPASS): look at `store.username`",
        ),
        (
            NoPermissionError(
                "User gateway has no permissions to run the 'client|id' command", status_code="NOPERM"
            ),
            "lacks a right (`client|id`)",
        ),
        (ResponseError("ERR value of secret is not an integer"), "refuses the command"),
        (InvalidResponse(), "cannot be understood"),
        (
            UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
            "cannot be understood (UnicodeDecodeError)",
        ),
    ],
)
def test_what_happened_is_said_in_words_that_repeat_no_argument(error, said):
    words = errors.description(error, deadline=0.8)
    assert said in words
    assert "secret" not in words
