"""The counters as Prometheus metric families, with conventional names and units, and labels with few values.

Needs the package prometheus-client.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder

from proxy_policies.counting.collector import Collector
from proxy_policies.counting.histogram import Histogram
from proxy_policies.fast_paths import COUNTED

PREFIX = "proxy_policies_"
Statistics = Mapping[str, Mapping[str, int]]
"""The counters of each policy, by its name and theirs."""

GAUGES = {
    ("cache", "responses"): ("cache_responses", "Stored responses."),
    ("cache", "bytes"): ("cache_bytes", "Bytes in the store."),
    ("cache", "limit"): ("cache_limit_bytes", "Bytes that the store is limited to."),
    ("fastlane", "clients"): ("clients", "Connected clients."),
    ("home", "works"): ("tunnel_works", "Connected works of the reverse tunnel."),
    ("home", "sessions"): ("tunnel_sessions", "Open sessions of the reverse tunnel."),
}
COUNTERS = {
    ("access_log", "lines"): ("access_log_lines", "Lines written to the access log."),
    ("access_log", "lost"): ("access_log_lost_lines", "Lines that could not be written to the access log."),
    ("traces", "spans"): ("trace_spans", "Spans that a collector accepted."),
    ("traces", "lost"): ("trace_lost_spans", "Spans that no collector accepted."),
}
"""Counters that policies keep themselves, with their names and helps here."""


class Snapshot:
    """A collector of families, as a registry needs it."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = list(families)

    def collect(self) -> Iterable[Metric]:
        """Return the families."""
        return self._families


def encode(families: Iterable[Metric], accept: str) -> tuple[bytes, str]:
    """Return the families in the format that a scraper accepts, and its media type."""
    registry = CollectorRegistry(auto_describe=False)
    ProcessCollector(registry=registry)
    registry.register(Snapshot(families))
    encoder, media_type = choose_encoder(accept)
    return encoder(registry), media_type


def families_of(
    collector: Collector, statistics: Statistics, open_tunnels: int, versions: tuple[str, str]
) -> Iterator[Metric]:
    """Return all families; `versions` are ours and mitmproxy's."""
    yield from _requests(collector)
    yield _counter(
        "response_saved_bytes",
        "Bytes saved by encoding responses, by coding.",
        "encoding",
        collector.saved,
    )
    yield _counter("tunnels", "Tunnels that have ended, by class of status.", "status", collector.tunnels)
    yield _counter("tunnel_bytes", "Bytes through tunnels that have ended.", "direction", collector.tunnel_bytes)
    yield _gauge("tunnels_open", "Open tunnels.", open_tunnels)
    yield _counter(
        "errors",
        "Requests and tunnels that failed, by reason.",
        "reason",
        {key.replace(" ", "_"): n for key, n in collector.errors.items()},
    )
    yield from _of_policies(statistics)
    build = GaugeMetricFamily(PREFIX + "build_info", "The versions in use.", labels=("version", "mitmproxy"))
    build.add_metric(versions, 1)
    yield build


def _requests(collector: Collector) -> Iterator[Metric]:
    labels = ("method", "status", "cache")
    requests = CounterMetricFamily(PREFIX + "requests", "Requests that have ended.", labels=labels)
    for key, count in sorted(collector.requests.items()):
        requests.add_metric(key, count)
    yield requests
    yield _counter("response_bytes", "Bytes of bodies sent to clients, by the cache's part.", "cache", collector.sent)
    yield _counter("request_bytes", "Bytes of bodies received from clients.", "", {"": collector.received})
    durations = HistogramMetricFamily(
        PREFIX + "request_duration_seconds", "Durations of requests, by the cache's part.", labels=("cache",)
    )
    for source, seconds in collector.seconds.items():
        _observed(durations, (source,), seconds)
    yield durations
    upstream = HistogramMetricFamily(
        PREFIX + "upstream_duration_seconds", "From the end of a request to the head of its origin's response."
    )
    _observed(upstream, (), collector.upstream_seconds)
    yield upstream


def _observed(family: HistogramMetricFamily, labels: tuple[str, ...], histogram: Histogram) -> None:
    family.add_metric(labels, buckets=list(histogram.cumulative()), sum_value=histogram.total)


def _counter(name: str, help: str, label: str, counts: Mapping[str, int]) -> Metric:
    """Return a counter with a label; without one if `label` is ""."""
    family = CounterMetricFamily(PREFIX + name, help, labels=(label,) if label else ())
    for value, count in sorted(counts.items()):
        family.add_metric((value,) if label else (), count)
    return family


def _gauge(name: str, help: str, value: int) -> Metric:
    return GaugeMetricFamily(PREFIX + name, help, value=value)


def _of_policies(statistics: Statistics) -> Iterator[Metric]:
    for (policy, count), (name, help) in GAUGES.items():
        if (value := statistics.get(policy, {}).get(count)) is not None:
            yield _gauge(name, help, value)
    for (policy, count), (name, help) in COUNTERS.items():
        if (value := statistics.get(policy, {}).get(count)) is not None:
            yield CounterMetricFamily(PREFIX + name, help, value=value)
    paths = {path.replace(" ", "_"): statistics.get("fastlane", {}).get(path, 0) for path in COUNTED}
    yield _counter("fast_path", "Uses of fast paths, and clients handed over to mitmproxy's layers.", "path", paths)
