"""Creates spans with OpenTelemetry's SDK, and sends them with its exporter, which blocks: use it in a thread.

Needs the packages opentelemetry-sdk and opentelemetry-exporter-otlp-proto-http, which take a second to import.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable

import requests
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from proxy_policies.traces.spans import SpanData
from proxy_policies.version import VERSION

SERVICE = "proxy-policies"
"""The service's name, unless OTEL_SERVICE_NAME is set."""
TIMEOUT = 10.0
"""Seconds that sending may take with retries: the exporter's default."""

logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # we report lost spans ourselves, throttled


class _EndedSpans(SpanProcessor):
    """Collects the sampled spans that have ended."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        if span.context is not None and span.context.trace_flags.sampled:
            self.spans.append(span)


class CollectorConnection:
    """A connection to the collector at a URL."""

    def __init__(self, url: str) -> None:
        session = requests.Session()
        session.trust_env = False  # ignore HTTP_PROXY, which may be this proxy
        self._exporter = OTLPSpanExporter(endpoint=url, session=session, timeout=TIMEOUT)
        self._ended = _EndedSpans()
        names = {} if os.environ.get("OTEL_SERVICE_NAME") else {"service.name": SERVICE}
        resource = Resource.create({**names, "service.version": VERSION})
        provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        provider.add_span_processor(self._ended)
        self._tracer = provider.get_tracer(SERVICE, VERSION)
        self._parents = TraceContextTextMapPropagator()

    def send(self, spans: Iterable[SpanData]) -> int:
        """Send spans; return how many the collector did not accept."""
        for span in spans:
            self._create(span)
        sampled, self._ended.spans = self._ended.spans, []
        is_accepted = not sampled or self._exporter.export(sampled) is SpanExportResult.SUCCESS
        return 0 if is_accepted else len(sampled)

    def _create(self, span: SpanData) -> None:
        parent = self._parents.extract({"traceparent": span.parent}, Context()) if span.parent else Context()
        made = self._tracer.start_span(span.name, parent, trace.SpanKind.SERVER, start_time=span.started)
        if made.is_recording():
            made.set_attributes(span.attributes())
            if error := span.error():
                made.set_status(trace.StatusCode.ERROR, error)
            made.end(span.ended)

    def close(self) -> None:
        """Close the connection."""
        self._exporter.shutdown()  # type: ignore[no-untyped-call]
