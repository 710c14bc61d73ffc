"""PURE: the metrics of several workers as those of one gateway.

Counters are added up, and go on when a worker has ended: otherwise monitoring would take their fall for a
restart, and would count everything again. Of most gauges the sum is right, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector, CollectorRegistry

_LARGEST: Final = frozenset(
    {"authproxy_build_info", "authproxy_revocation_sources", "authproxy_revocation_age_seconds"}
)
_SMALLEST: Final = frozenset(
    {"authproxy_certificate_days_left", "process_start_time_seconds", "process_max_fds"}
)
"""Gauges of which every worker knows the same thing, or a limit of its own."""
_Key = tuple[str, tuple[tuple[str, str], ...]]


@dataclass(slots=True)
class _Family:
    kind: str
    documentation: str
    values: dict[_Key, float] = field(default_factory=dict)


class JointMetrics:
    """What workers have said, by the name of the worker."""

    def __init__(self) -> None:
        self._said: dict[str, dict[str, _Family]] = {}
        self._ended: dict[str, _Family] = {}

    def hear(self, worker: str, text: str) -> None:
        """Takes the metrics of a worker, in Prometheus' text format, in place of those that it said before.
        Raises ValueError for another text."""
        self._said[worker] = {
            metric.name: _Family(
                metric.type,
                metric.documentation,
                {
                    (sample.name, tuple(sorted(sample.labels.items()))): sample.value
                    for sample in metric.samples
                },
            )
            for metric in text_string_to_metric_families(text)
        }

    def end(self, worker: str) -> None:
        """Keeps the counters of a worker that has ended, and nothing else of it."""
        counters = {
            name: family
            for name, family in self._said.pop(worker, {}).items()
            if family.kind in {"counter", "histogram"}
        }
        self._ended = _joined((self._ended, counters))

    def exposition(self, accept: str, *, serving: int | None = None, deaths: int = 0) -> tuple[bytes, str]:
        """Everything: the text and its media type, in the format that the `Accept` value asks for. With
        workers also how many of them serve, and how many have died."""
        metrics = [*_metrics(_joined((self._ended, *self._said.values())))]
        if serving is not None:
            metrics += [
                GaugeMetricFamily("authproxy_workers", "Workers that serve.", value=serving),
                CounterMetricFamily(
                    "authproxy_worker_deaths", "Workers that had died and were started again.", value=deaths
                ),
            ]
        encode, media_type = choose_encoder(accept)
        registry = CollectorRegistry()
        registry.register(_Collected(metrics))
        return encode(registry), media_type


class _Collected(Collector):
    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics


def _joined(sources: Iterable[dict[str, _Family]]) -> dict[str, _Family]:
    joined: dict[str, _Family] = {}
    for source in sources:
        for name, family in source.items():
            of_name = joined.setdefault(name, _Family(family.kind, family.documentation))
            add = _addition(name)
            for key, value in family.values.items():
                known = of_name.values.get(key)
                of_name.values[key] = value if known is None else add(known, value)
    return joined


def _addition(name: str) -> Callable[[float, float], float]:
    if name in _LARGEST:
        return max
    return min if name in _SMALLEST else lambda known, value: known + value


def _metrics(families: dict[str, _Family]) -> Iterable[Metric]:
    for name, family in families.items():
        metric = Metric(name, family.documentation, family.kind)
        for (sample, labels), value in family.values.items():
            metric.add_sample(sample, dict(labels), value)
        yield metric
