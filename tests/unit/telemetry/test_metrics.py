from __future__ import annotations

import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

import authproxy.telemetry
from authproxy.telemetry.metrics import Histogram, Metrics, Series

README = Path(authproxy.telemetry.__file__).parent / "README.md"


def samples(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    text, _media_type = metrics.exposition("text/plain")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def test_metrics_show_what_was_counted():
    metrics = Metrics(version="1.2.3")
    metrics.requests["acq", "allowed", ""] += 2
    metrics.store_errors[()] += 1
    metrics.connections[()] += 3
    metrics.connections[()] -= 1

    shown = samples(metrics)
    assert (
        shown["authproxy_requests_total", (("decision", "allowed"), ("portal", "acq"), ("reason", ""))] == 2
    )
    assert shown["authproxy_store_errors_total", ()] == 1
    assert shown["authproxy_connections", ()] == 2
    assert shown["authproxy_build_info", (("version", "1.2.3"),)] == 1


def test_series_for_alarms_exist_before_their_first_event():
    shown = samples(Metrics(version="x"))
    assert [
        shown["authproxy_fail_open_total", (("what", what),)]
        for what in ("certificate", "session_certificate", "tunnel")
    ] == [0, 0, 0]


COUNTED = [
    name
    for name, member in vars(Metrics(version="x")).items()
    if isinstance(member, Series | Histogram) and not name.startswith("_")
]


@pytest.mark.parametrize("name", COUNTED)
def test_every_metric_is_counted_somewhere(name):
    package = Path(authproxy.__file__).parent
    written = re.compile(rf"metrics\.{name}(\[|\.clear)")
    homes = [
        path
        for path in package.rglob("*.py")
        if path.name != "metrics.py" and written.search(path.read_text())
    ]
    assert homes, f"{name} is defined and counted nowhere"


def test_reading_a_counter_does_not_make_it_appear():
    metrics = Metrics(version="x")
    assert metrics.requests["acq", "allowed", ""] == 0
    assert not metrics.requests


def test_a_tally_counts_with_its_metric_and_appears_with_its_first_event():
    metrics = Metrics(version="x")
    metrics.requests["acq", "allowed", ""] += 2
    metrics.requests.tally("acq", "allowed", "").count += 3
    assert metrics.requests.tally("acq", "allowed", "").count == 3
    metrics.requests.tally("b2b", "allowed", "").count += 1
    metrics.requests.tally("pos", "allowed", "")
    shown = {
        dict(labels)["portal"]: value
        for (name, labels), value in samples(metrics).items()
        if name == "authproxy_requests_total"
    }
    assert shown == {"acq": 5, "b2b": 1}


def test_durations_fall_into_cumulative_buckets():
    metrics = Metrics(version="x")
    spans = metrics.request_seconds["acq"]
    for seconds in (0.001, 0.0011, 0.3, 99.0):
        spans.observe(seconds)

    shown = samples(metrics)
    by_bound = {
        labels[0][1]: value
        for (name, labels), value in shown.items()
        if name == "authproxy_request_seconds_bucket"
    }
    assert (by_bound["0.001"], by_bound["0.0025"], by_bound["0.5"], by_bound["30.0"], by_bound["+Inf"]) == (
        1,
        2,
        3,
        3,
        4,
    )
    assert shown["authproxy_request_seconds_count", (("portal", "acq"),)] == 4
    assert abs(shown["authproxy_request_seconds_sum", (("portal", "acq"),)] - 99.3021) < 1e-9
    assert metrics.request_seconds["acq"] is spans


def test_the_format_is_the_one_that_was_asked_for():
    text, media_type = Metrics(version="x").exposition("application/openmetrics-text; version=1.0.0")
    assert media_type.startswith("application/openmetrics-text")
    assert text.endswith(b"# EOF\n")


def test_two_instances_count_separately():
    one, other = Metrics(version="x"), Metrics(version="x")
    one.store_errors[()] += 1
    assert samples(other)["authproxy_store_errors_total", ()] == 0


def test_the_readme_lists_every_metric():
    text, _media_type = Metrics(version="x").exposition("text/plain")
    ours = set(re.findall(r"^# TYPE (authproxy_\w+)", text.decode(), re.MULTILINE))

    assert set(re.findall(r"^\| `(authproxy_\w+)", README.read_text(encoding="utf-8"), re.MULTILINE)) == ours
