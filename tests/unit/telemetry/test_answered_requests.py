"""Which answered requests appear in the audit trail."""

import json
from dataclasses import dataclass

import pytest

from authproxy.identity.session import Session
from authproxy.telemetry.audit import Audit
from authproxy.telemetry.metrics import Metrics
from authproxy.telemetry.requests import RequestRecorder
from tests.support.log_lines import NOW
from tests.support.pages import SESSION


@dataclass
class Request:
    decision: str
    reason: str | None
    session: Session | None = SESSION
    request_id: str = "r-1"
    portal: str = "acq"
    client: str = "192.0.2.7"
    dialect: str | None = None
    status: int = 403
    seconds: float = 0.01
    upstream_seconds: float = 0.0

    def counted(self):
        return self.portal, self.decision, self.reason or ""


def heard(request):
    lines = []
    records = RequestRecorder(
        access_log=None,
        metrics=Metrics(version="1"),
        audit=Audit(lines.append, clock=lambda: NOW, person_key=b"k" * 32),
    )
    records(request)
    return [json.loads(line) for line in lines]


def test_refusals_of_signed_in_people_are_in_the_audit_trail():
    [event] = heard(Request("denied", "level_too_low"))
    told = {name: event[name] for name in ("event", "reason", "portal", "session", "request_id", "client")}
    assert told == {
        "event": "access.denied",
        "reason": "level_too_low",
        "portal": "acq",
        "session": SESSION.session_id,
        "request_id": "r-1",
        "client": "192.0.2.7",
    }
    assert event["person"]


@pytest.mark.parametrize(
    "request_",
    [
        Request("denied", "unknown_host", session=None),
        Request("allowed", None, status=200),
        Request("step_up", "step_up_required"),
    ],
)
def test_other_answers_are_not_in_the_audit_trail(request_):
    assert heard(request_) == []


def test_an_ambiguous_request_is_recorded_whoever_sends_it():
    assert [event["event"] for event in heard(Request("denied", "target_ambiguous"))] == ["request.refused"]
