"""OpenTelemetry's own exporter, and a collector that decodes what it sends."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from tests.support.otlp_receiver import Receiver, values

from proxy_policies.traces.otlp import CollectorConnection
from proxy_policies.traces.spans import SpanData

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def a_span(parent: str = "", error: str = "") -> SpanData:
    return SpanData("GET", parent, 10**9, 3 * 10**9, lambda: {"http.request.method": "GET"}, lambda: error)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


def test_spans_are_what_was_said(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    collector = CollectorConnection(receiver.url + "/v1/traces")
    parents = ["", f"00-{TRACE}-{SPAN}-01", f"00-{TRACE}-{SPAN}-00", "nonsense", "00-" + "0" * 32 + f"-{SPAN}-01"]
    assert collector.send([a_span(parent) for parent in parents] + [a_span(error="refused")]) == 0
    collector.close()
    first, child, *roots, wrong = receiver.spans
    assert (first.name, first.kind, first.start_time_unix_nano, first.end_time_unix_nano) == (
        "GET",
        2,
        10**9,
        3 * 10**9,
    )
    assert values(first.attributes) == {"http.request.method": "GET"}
    assert (child.trace_id.hex(), child.parent_span_id.hex()) == (TRACE, SPAN)
    assert len(roots) == 2, "the client has said that one is not to be traced"
    assert not any(root.parent_span_id for root in (first, *roots))
    assert len({span.trace_id for span in receiver.spans}) == 5
    assert (wrong.status.code, wrong.status.message) == (2, "refused")
    assert receiver.resources[0]["service.name"] == "proxy-policies"
    assert receiver.paths == ["/v1/traces"]


def test_what_is_not_taken_is_counted(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "our-proxy")
    receiver.status = 400
    collector = CollectorConnection(receiver.url + "/v1/traces")
    assert collector.send([a_span(), a_span()]) == 2
    receiver.status = 200
    assert collector.send([a_span()]) == 0
    assert receiver.resources[0]["service.name"] == "our-proxy"
    collector.close()


def test_of_what_is_not_sampled_nothing_is_made(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0")
    collector = CollectorConnection(receiver.url + "/v1/traces")
    never: Any = None
    assert collector.send([replace(a_span(), attributes=never, error=never)] * 3) == 0
    collector.close()
    assert receiver.paths == []
