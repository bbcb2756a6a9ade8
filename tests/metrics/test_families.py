"""What Prometheus reads: by its own parser, and by promtool where that is here (Debian: in the package prometheus)."""

import json
import re
import shutil
import subprocess
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from proxy_policies.counting.collector import Collector
from proxy_policies.finished.reporting import Record
from proxy_policies.flows.request_summary import RequestSummary
from proxy_policies.metrics import families
from proxy_policies.metrics.families import encode, families_of

GRAFANA = Path(families.__file__).with_name("grafana.json")
STATISTICS = {
    "cache": {"responses": 3, "bytes": 4000, "limit": 5000},
    "fastlane": {"hits": 1, "tunnels": 2, "exchanges": 3, "handed over": 4, "clients": 5},
    "home": {"works": 1, "sessions": 2},
    "access_log": {"lines": 8, "lost": 1},
    "traces": {"spans": 7, "lost": 2},
    "explain": {"flows": 1},
}


def page() -> str:
    collector = Collector()
    get = Record(
        RequestSummary(b"GET", b"/", b"HTTP/1.1"), None, 0, 0.2, 200, 100, 7, cache="hit", encoding="br", plain=300
    )
    get.upstream_seconds = 0.1
    tunnel = Record(RequestSummary(b"CONNECT"), None, 0, 1, 502, 1, 1, is_tunnel=True, error="x")
    collector.take([get.item, tunnel.item])
    text, media_type = encode(families_of(collector, STATISTICS, 6, ("1.0", "12.3.1")), "text/plain")
    assert media_type.startswith("text/plain")
    return text.decode()


def samples() -> dict[str, float]:
    found = {}
    for family in text_string_to_metric_families(page()):
        assert family.documentation
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}"] = sample.value
    return found


def test_the_numbers() -> None:
    found = samples()
    assert found["proxy_policies_requests_total{cache=hit,method=GET,status=2xx}"] == 1
    assert found["proxy_policies_request_duration_seconds_bucket{cache=hit,le=0.1}"] == 0
    assert found["proxy_policies_request_duration_seconds_bucket{cache=hit,le=0.25}"] == 1
    assert found["proxy_policies_request_duration_seconds_count{cache=miss}"] == 0
    assert found["proxy_policies_response_saved_bytes_total{encoding=br}"] == 200
    assert found["proxy_policies_tunnels_open{}"] == 6
    assert found["proxy_policies_cache_bytes{}"] == 4000
    assert found["proxy_policies_access_log_lost_lines_total{}"] == 1
    assert found["proxy_policies_trace_spans_total{}"] == 7
    assert found["proxy_policies_trace_lost_spans_total{}"] == 2
    assert found["proxy_policies_fast_path_total{path=handed_over}"] == 4
    assert found["proxy_policies_build_info{mitmproxy=12.3.1,version=1.0}"] == 1
    assert found["process_cpu_seconds_total{}"] > 0


def test_nothing_has_happened_yet_and_openmetrics() -> None:
    text, media_type = encode(families_of(Collector(), {}, 0, ("", "")), "application/openmetrics-text; version=1.0.0")
    assert media_type.startswith("application/openmetrics-text")
    assert text.endswith(b"# EOF\n")


def test_names_and_units_are_conventional() -> None:
    if promtool := shutil.which("promtool"):
        checked = subprocess.run([promtool, "check", "metrics"], input=page(), capture_output=True, text=True)
        assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")
    for family in text_string_to_metric_families(page()):
        assert re.fullmatch(r"(proxy_policies|process)_[a-z_]+", family.name)
        assert not family.name.endswith(("_total", "_count", "_sum", "_milliseconds", "_kilobytes"))


def test_every_metric_of_the_dashboard_exists() -> None:
    dashboard = json.loads(GRAFANA.read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    expressions += [variable["query"] for variable in dashboard["templating"]["list"]]
    named = {name for text in expressions for name in re.findall(r"\b(?:proxy_policies|process)_\w+", text)}
    there = {name.partition("{")[0] for name in samples()}
    assert len(named) > 10
    assert named <= there
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)
