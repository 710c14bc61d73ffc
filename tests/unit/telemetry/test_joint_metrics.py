"""The metrics of several workers as those of one gateway."""

from __future__ import annotations

import pytest

from authproxy.telemetry.joint_metrics import JointMetrics
from authproxy.telemetry.metrics import Metrics

FIRST, SECOND = "worker 1", "worker 2"


def said(*, requests=0, seconds=(), open_now=0, days_left=90, oldest=0):
    metrics = Metrics(version="1.2.3")
    metrics.requests["acq", "allowed", ""] = requests
    for each in seconds:
        metrics.request_seconds["acq"].observe(each)
    metrics.connections[()] = open_now
    metrics.certificate_days_left[("server",)] = days_left
    metrics.revocation_age[("list",)] = oldest
    return metrics.exposition("")[0].decode()


def lines(joint, *, serving=0, deaths=0):
    text, media_type = joint.exposition("", serving=serving, deaths=deaths)
    assert media_type.startswith("text/plain")
    return dict(line.rsplit(" ", 1) for line in text.decode().splitlines() if not line.startswith("#"))


@pytest.fixture
def joint():
    return JointMetrics()


def test_counters_and_gauges_are_added_up_and_what_all_know_is_said_once(joint):
    joint.hear(FIRST, said(requests=3, open_now=5, days_left=20, oldest=7))
    joint.hear(SECOND, said(requests=4, open_now=6, days_left=30, oldest=9))
    found = lines(joint, serving=2, deaths=3)
    assert float(found['authproxy_requests_total{decision="allowed",portal="acq",reason=""}']) == 7
    assert float(found["authproxy_connections"]) == 11
    assert float(found['authproxy_certificate_days_left{section="server"}']) == 20
    assert float(found['authproxy_revocation_age_seconds{source="list"}']) == 9
    assert float(found['authproxy_build_info{version="1.2.3"}']) == 1
    assert (float(found["authproxy_workers"]), float(found["authproxy_worker_deaths_total"])) == (2, 3)


def test_generations_of_one_process_are_no_workers(joint):
    joint.hear(FIRST, said(requests=3))
    joint.end(FIRST)
    joint.hear(SECOND, said(requests=4))
    found = lines(joint, serving=None)
    assert float(found['authproxy_requests_total{decision="allowed",portal="acq",reason=""}']) == 7
    assert not any(name.startswith("authproxy_worker") for name in found)


def test_histograms_are_added_up_by_bucket(joint):
    joint.hear(FIRST, said(seconds=(0.001, 100)))
    joint.hear(SECOND, said(seconds=(0.001,)))
    found = lines(joint)
    assert float(found['authproxy_request_seconds_count{portal="acq"}']) == 3
    assert float(found['authproxy_request_seconds_bucket{le="+Inf",portal="acq"}']) == 3
    assert float(found['authproxy_request_seconds_sum{portal="acq"}']) == pytest.approx(100.002)


def test_what_is_heard_again_takes_the_place_of_what_was_said_before(joint):
    joint.hear(FIRST, said(requests=3))
    joint.hear(FIRST, said(requests=5))
    assert float(lines(joint)['authproxy_requests_total{decision="allowed",portal="acq",reason=""}']) == 5


def test_no_counter_falls_when_a_worker_ends_and_its_gauges_go_with_it(joint):
    joint.hear(FIRST, said(requests=3, open_now=5, seconds=(1,)))
    joint.hear(SECOND, said(requests=4, open_now=6, seconds=(1,)))
    joint.end(FIRST)
    joint.hear(FIRST, said(requests=1, open_now=1))
    joint.end(FIRST)
    found = lines(joint)
    assert float(found['authproxy_requests_total{decision="allowed",portal="acq",reason=""}']) == 8
    assert float(found['authproxy_request_seconds_count{portal="acq"}']) == 2
    assert float(found["authproxy_connections"]) == 6
    joint.end(FIRST)  # which has said nothing since
    assert lines(joint) == found


def test_the_format_is_the_one_that_monitoring_asks_for(joint):
    joint.hear(FIRST, said(requests=3))
    text, media_type = joint.exposition("application/openmetrics-text; version=1.0.0", serving=1, deaths=0)
    assert media_type.startswith("application/openmetrics-text")
    assert text.endswith(b"# EOF\n")


def test_a_text_that_is_no_metrics_changes_nothing(joint):
    joint.hear(FIRST, said(requests=3))
    before = lines(joint)
    with pytest.raises(ValueError, match=r"."):
        joint.hear(FIRST, "<html>{")
    assert lines(joint) == before
