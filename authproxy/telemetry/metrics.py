"""Metrics. Requests only increment plain integers; Prometheus objects are built when metrics are collected.

Names follow `authproxy_<noun>_<unit|total>`. Labels are portal ids, reason codes and other closed sets, never
values that a client sends.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from authproxy.telemetry.durations import BOUNDS, Durations, Tally

FAIL_OPEN: Final = ("certificate", "session_certificate", "session_account", "tunnel")
"""What goes on although it could not be checked: a sign-in or proof with a certificate whose revocation is
unknown (`revocation: alarm`); a session that rests on such a certificate; a session whose account the
provider did not confirm; a WebSocket or a long transfer while the store was away. The series exist from the
start, so that an alarm sees the first increment."""


class Series(dict[tuple[str, ...], int]):
    """A metric: `series["acq", "allowed", ""] += 1`, or `series[()] += 1` if it has no labels."""

    def __init__(
        self, kind: Literal["counter", "gauge"], name: str, documentation: str, *labels: str
    ) -> None:
        super().__init__({} if labels else {(): 0})
        self._family = CounterMetricFamily if kind == "counter" else GaugeMetricFamily
        self.name = name
        self._documentation = documentation
        self._labels = labels
        self._tallies: dict[tuple[str, ...], Tally] = {}

    def __missing__(self, labels: tuple[str, ...]) -> int:
        return 0

    def tally(self, *labels: str) -> Tally:
        """What is counted there counts here, too. Keep it for frequent use."""
        return self._tallies.setdefault(labels, Tally())

    def collected(self) -> Metric:
        family = self._family(self.name, self._documentation, labels=self._labels)
        tallies = {labels: tally.count for labels, tally in self._tallies.items() if tally.count}
        for labels in {**self, **tallies}:
            family.add_metric(labels, self[labels] + tallies.get(labels, 0))
        return family


class Histogram(dict[str, Durations]):
    """Durations per portal: `histogram["acq"].observe(seconds)`. Keep the inner object for frequent use."""

    def __init__(self, name: str, documentation: str) -> None:
        super().__init__()
        self.name = name
        self._documentation = documentation

    def __missing__(self, portal: str) -> Durations:
        durations = self[portal] = Durations()
        return durations

    def collected(self) -> Metric:
        family = HistogramMetricFamily(self.name, self._documentation, labels=["portal"])
        for portal, durations in self.items():
            reached = 0
            buckets: list[tuple[str, float]] = []
            for bound, count in zip((*map(str, BOUNDS), "+Inf"), durations.counts, strict=True):
                reached += count
                buckets.append((bound, reached))
            family.add_metric([portal], buckets, durations.total)
        return family


class Metrics(Collector):
    """All metrics of the gateway."""

    def __init__(self, *, version: str) -> None:
        self.requests = Series(
            "counter",
            "authproxy_requests",
            "Requests by decision and reason (empty: none).",
            "portal",
            "decision",
            "reason",
        )
        self.request_seconds = Histogram(
            "authproxy_request_seconds", "From the first byte of a request to the last of its answer."
        )
        self.upstream_seconds = Histogram(
            "authproxy_upstream_seconds", "From a request sent to a portal to the head of its answer."
        )
        self.subrequests = Series(
            "counter", "authproxy_subrequests", "Auth subrequests by dialect and answer.", "dialect", "answer"
        )
        self.sessions_started = Series(
            "counter", "authproxy_sessions_started", "Sign-ins that succeeded.", "portal", "method"
        )
        self.sign_ins_refused = Series(
            "counter", "authproxy_sign_ins_refused", "Sign-ins that signed nobody in.", "reason"
        )
        self.step_ups = Series(
            "counter", "authproxy_step_ups", "Fresh proofs by method and outcome.", "method", "outcome"
        )
        self.sms_sent = Series(
            "counter",
            "authproxy_sms_sent",
            "Text messages handed to gateways by outcome.",
            "gateway",
            "outcome",
        )
        self.onepass_asked = Series(
            "counter", "authproxy_onepass_questions", "Questions to the OnePass service.", "outcome"
        )
        self.sms_reported = Series(
            "counter",
            "authproxy_sms_reported",
            "What gateways have told of text messages that they took.",
            "gateway",
            "report",
        )
        self.back_channel_logouts = Series(
            "counter", "authproxy_back_channel_logouts", "Logout tokens of the provider by answer.", "answer"
        )
        self.machine_requests = Series(
            "counter",
            "authproxy_machine_requests",
            "Requests that showed a program's credential: token, key, or empty if it was not accepted.",
            "portal",
            "credential",
            "reason",
        )
        self.requests_limited = Series(
            "counter",
            "authproxy_requests_limited",
            "Requests refused because their address sent too many of a kind.",
            "kind",
        )
        self.store_errors = Series(
            "counter", "authproxy_store_errors", "Questions that the session store did not answer."
        )
        self.name_questions = Series(
            "counter",
            "authproxy_name_questions",
            "Questions for the addresses of a name, by outcome: answered, failed.",
            "outcome",
        )
        self.names_stale = Series(
            "counter",
            "authproxy_names_stale",
            "Connections to an address whose time to live was over, for want of a newer one.",
        )
        self.near_cache_lookups = Series(
            "counter", "authproxy_near_cache_lookups", "Lookups in the near cache of sessions.", "result"
        )
        self.audit_lost = Series("counter", "authproxy_audit_lost", "Audit events that could not be written.")
        self.fail_open = Series(
            "counter",
            "authproxy_fail_open",
            "What went on although nobody could be asked whether it may.",
            "what",
        )
        for what in FAIL_OPEN:
            self.fail_open[(what,)] = 0
        self.store_unreadable = Series(
            "counter",
            "authproxy_store_unreadable",
            "Records of the store that no key opens, or that are none.",
            "record",
        )
        self.log_lines_lost = Series(
            "counter",
            "authproxy_log_lines_lost",
            "Lines that standard output did not take, by what they were.",
            "stream",
        )
        self.revocation_sources = Series(
            "gauge",
            "authproxy_revocation_sources",
            "Revocation lists and responders by state.",
            "source",
            "state",
        )
        self.revocation_age = Series(
            "gauge",
            "authproxy_revocation_age_seconds",
            "Age of the oldest revocation list or answer in use.",
            "source",
        )
        self.certificate_days_left = Series(
            "gauge",
            "authproxy_certificate_days_left",
            "Whole days until the certificate expires that the section's listener shows to browsers; below "
            "0: it has expired.",
            "section",
        )
        self.connections = Series("gauge", "authproxy_connections", "Open client connections.")
        self.tunnels = Series("gauge", "authproxy_tunnels", "Open upgraded connections (WebSocket).")
        self.connections_refused = Series(
            "counter",
            "authproxy_connections_refused",
            "Client connections closed at once, by cause: limit, descriptors.",
            "cause",
        )
        self.background_restarts = Series(
            "counter",
            "authproxy_background_restarts",
            "Permanent tasks that had died and were started again.",
            "task",
        )
        self.upstream_connections = Series(
            "gauge",
            "authproxy_upstream_connections",
            "Connections to portals (empty: to our own pages) in use, idle or long in use, and requests "
            "that wait for one. The route is empty for those of the whole portal.",
            "portal",
            "state",
            "route",
        )
        self.upstream_unasked = Series(
            "counter",
            "authproxy_upstream_unasked",
            "Bytes from portals that belong to no answer.",
            "portal",
            "route",
        )
        self._build = Series("gauge", "authproxy_build_info", "The running version; always 1.", "version")
        self._build[(version,)] = 1
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def collect(self) -> Iterable[Metric]:
        return [
            member.collected() for member in vars(self).values() if isinstance(member, Series | Histogram)
        ]

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """All metrics as text and its media type, in the format that the `Accept` value asks for."""
        encode, media_type = choose_encoder(accept)
        return encode(self._registry), media_type
