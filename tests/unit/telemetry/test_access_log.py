from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from authproxy.telemetry.access_log import AccessLog

FIELDS = {
    "request_id": "0123abcd",
    "portal": "acq",
    "method": "GET",
    "path": "/orders",
    "status": 200,
    "decision": "allowed",
    "reason": None,
    "rule": "default",
    "level": 20,
    "session": "s" * 24,
    "client": "203.0.113.7",
    "bytes_in": 0,
    "bytes_out": 1024,
    "total": 0.00125,
    "deciding": 0.00001,
    "upstream": 0.001,
}
EMPTY = {
    **FIELDS,
    "portal": None,
    "rule": None,
    "level": None,
    "session": None,
    "reason": "no_session",
    "decision": "refused",
    "status": 401,
}


KEY = "authproxy_" + "0f" * 32


class Kept:
    def __init__(self, *times: datetime) -> None:
        self.batches: list[str] = []
        self.asked_for: list[object] = []
        given = iter(times)
        self.log = AccessLog(
            self.batches.append,
            clock=lambda: next(given, datetime(2026, 3, 2, 13, 5, 0, 7_999, tzinfo=UTC)),
            later=self.asked_for.append,
        )

    def only_line(self) -> dict:
        self.log.flush()
        [batch] = self.batches
        assert batch.count("\n") == 1
        assert batch.isascii()
        return json.loads(batch)


def test_a_line_has_the_request_the_decision_and_the_times():
    kept = Kept()
    kept.log.write(**FIELDS)

    assert kept.only_line() == {
        "at": "2026-03-02T13:05:00.007+00:00",
        "event": "request.answered",
        "request_id": "0123abcd",
        "portal": "acq",
        "method": "GET",
        "path": "/orders",
        "status": 200,
        "decision": "allowed",
        "reason": None,
        "rule": "default",
        "level": 20,
        "session": "s" * 24,
        "client": "203.0.113.7",
        "bytes_in": 0,
        "bytes_out": 1024,
        "total_ms": 1.25,
        "decision_ms": 0.01,
        "upstream_ms": 1.0,
    }


def test_unknown_fields_are_null():
    kept = Kept()
    kept.log.write(**EMPTY)

    line = kept.only_line()
    assert [name for name, value in line.items() if value is None] == ["portal", "rule", "level", "session"]


@pytest.mark.parametrize(
    ("path", "written"),
    [
        ("/a?code=abc&state=def", "/a"),
        ("/" + "a" * 5000, "/" + "a" * 1023 + "…"),
        ("/eyJhbGciOiJub25lIn0.e30.", "/[removed]"),
        ("/1." + "a" * 22 + "." + "b" * 43, "/[removed]"),
        ("/okvir/meni;jsessionid=0A1B2C3D", "/okvir/meni[removed]"),
        ("/x;JSESSIONID=0A1B2C3D!-12;v=1/y", "/x[removed];v=1/y"),
        ("/(S(lit3py55t21z5v55vlm25s55))/a.aspx", "/[removed]/a.aspx"),
        ("/a;v=1/seznam(1)", "/a;v=1/seznam(1)"),
        ("/v1.2/a\r\n\x1b\u2028", "/v1.2/a\r\n\x1b\u2028"),
    ],
)
def test_a_path_contains_no_query_no_session_and_no_second_line(path, written):
    kept = Kept()
    kept.log.write(**{**FIELDS, "path": path})

    assert kept.only_line()["path"] == written


@pytest.mark.parametrize(
    "name", ["method", "request_id", "client", "portal", "rule", "session", "reason", "decision"]
)
def test_no_field_can_break_the_line(name):
    kept = Kept()
    kept.log.write(**{**FIELDS, name: '","status":200}\r\n\u2028'})

    assert kept.only_line()[name] == '","status":200}\r\n\u2028'


def test_times_are_right_across_seconds_days_and_a_clock_that_goes_back():
    start = datetime(2026, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)
    steps = [
        timedelta(),
        timedelta(days=1),
        timedelta(microseconds=500),
        timedelta(milliseconds=1),
        -timedelta(seconds=1),
        -timedelta(days=1),
    ]
    times = [start + step for step in steps]
    kept = Kept(*times)
    for _ in times:
        kept.log.write(**FIELDS)
    kept.log.flush()

    assert [json.loads(line)["at"] for line in kept.batches[0].splitlines()] == [
        time.isoformat(timespec="milliseconds") for time in times
    ]


def test_lines_wait_for_one_flush_and_are_handed_over_together():
    kept = Kept()
    kept.log.write(**FIELDS)
    kept.log.write(**FIELDS)
    assert (len(kept.asked_for), kept.batches) == (1, [])

    kept.asked_for[0]()
    kept.log.flush()
    assert [batch.count("\n") for batch in kept.batches] == [2]

    kept.log.write(**FIELDS)
    assert len(kept.asked_for) == 2


def test_a_burst_does_not_wait_for_the_timer():
    kept = Kept()
    for _ in range(1000):
        kept.log.write(**FIELDS)

    assert sum(batch.count("\n") for batch in kept.batches) == 1000


def test_only_the_line_of_a_program_says_which_program_it_was():
    kept = Kept()
    kept.log.write(**FIELDS | {"session": None}, machine='batch"1')
    assert kept.only_line()["machine"] == 'batch"1'
    plain = Kept()
    plain.log.write(**FIELDS)
    assert "machine" not in plain.only_line()


def test_an_api_key_in_a_path_is_removed():
    kept = Kept()
    kept.log.write(**FIELDS | {"path": f"/uvoz/{KEY}"})
    assert KEY not in kept.only_line()["path"]
