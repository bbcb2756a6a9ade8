"""What a span says: OpenTelemetry's words, few names, and nothing that a client can break."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.finished.reporting import Record
from proxy_policies.flows.request_summary import RequestSummary
from proxy_policies.traces.spans import span_of, url_of

PARENT = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def plain(text: str) -> str:
    return text


def a_request(target: bytes = b"http://a.example:81/x?y=1", **values: Any) -> Record:
    request = RequestSummary(b"GET", target, b"HTTP/1.1", b"a.example:81", user_agent=b"Browser/1", traceparent=PARENT)
    made = Record(request, ("192.0.2.1", 5555), 1_700_000_000.25, 0.5, 200, 1234, 7)
    for name, value in values.items():
        setattr(made, name, value)
    return made


def test_a_request() -> None:
    span = span_of(a_request(cache="uri-miss", upstream=("10.0.0.1", 80)).item, plain)
    assert (span.name, span.parent, span.error()) == ("GET", PARENT.decode(), "")
    assert (span.started, span.ended) == (1_700_000_000_250_000_000, 1_700_000_000_750_000_000)
    assert span.attributes() == {
        "http.request.method": "GET",
        "url.full": "http://a.example:81/x?y=1",
        "server.address": "a.example",
        "server.port": 81,
        "client.address": "192.0.2.1",
        "client.port": 5555,
        "http.request.body.size": 7,
        "http.response.body.size": 1234,
        "http.response.status_code": 200,
        "network.protocol.version": "1.1",
        "user_agent.original": "Browser/1",
        "proxy_policies.cache": "uri-miss",
        "proxy_policies.upstream.address": "10.0.0.1",
        "proxy_policies.upstream.port": 80,
    }


def test_a_hit_that_was_learned_is_its_own_clients_and_takes_no_time() -> None:
    span = span_of((a_request(cache="hit").repeated(), ("::1", 9), 1_700_000_001.5), plain)
    assert span.started == span.ended == 1_700_000_001_500_000_000
    assert (span.attributes()["client.address"], span.attributes()["client.port"]) == ("::1", 9)


@pytest.mark.parametrize(
    ("target", "is_tls", "url"),
    [
        (b"/a?b=c", False, "http://a.example:81/a?b=c"),
        (b"/a?b=http://x/", True, "https://a.example:81/a?b=http://x/"),
        (b"*", False, "http://a.example:81"),
        (b"https://b.example/", False, "https://b.example/"),
    ],
)
def test_urls(target: bytes, is_tls: bool, url: str) -> None:
    assert url_of(a_request(target, is_tls=is_tls)) == url


def test_a_port_that_is_not_named_is_the_schemes() -> None:
    span = span_of(a_request(b"https://[2001:db8::1]/").item, plain)
    assert (span.attributes()["server.address"], span.attributes()["server.port"]) == ("2001:db8::1", 443)


@pytest.mark.parametrize(
    ("values", "kind", "said"),
    [
        ({"status": 502, "error": "refused"}, "502", "refused"),
        ({"status": 503}, "503", "503"),
        ({"status": 404}, None, ""),
        ({"status": 499, "error": "left"}, "client_left", "left"),
        ({"status": 200, "error": "broken off"}, "origin", "broken off"),
        ({"status": 200, "error": "reset", "is_tunnel": True}, "tunnel", "reset"),
    ],
)
def test_what_goes_wrong(values: dict[str, Any], kind: str | None, said: str) -> None:
    span = span_of(a_request(**values).item, plain)
    assert (span.attributes().get("error.type"), span.error()) == (kind, said)
    assert ("http.response.status_code" in span.attributes()) is (values["status"] != 499)


def test_a_tunnel() -> None:
    span = span_of(Record(RequestSummary(b"CONNECT", b"[::1]:443"), None, 5, 2, 200, 1, 2, is_tunnel=True).item, plain)
    assert span.name == "CONNECT"
    assert (span.attributes()["server.address"], span.attributes()["server.port"]) == ("::1", 443)
    assert "url.full" not in span.attributes()


def test_an_unknown_method_is_not_part_of_the_name() -> None:
    request = RequestSummary(b"BREW", b"/", b"HTTP/2.0", b"pot")
    span = span_of(Record(request, None, 0, -1, 200).item, plain)
    assert (span.name, span.attributes()["http.request.method"]) == ("HTTP", "_OTHER")
    assert span.attributes()["http.request.method_original"] == "BREW"
    assert span.attributes()["network.protocol.version"] == "2"
    assert span.ended == span.started


octets = st.binary(max_size=40) | st.sampled_from([b"http://[::1", b"http://a:b:c/", b"//[x]:99999", b"a:99999"])


@given(octets, octets, octets, octets, st.booleans(), st.integers(-5, 999))
def test_whatever_a_client_says_is_a_span_without_its_secrets(
    method: bytes, target: bytes, host: bytes, agent: bytes, is_tunnel: bool, status: int
) -> None:
    request = RequestSummary(method, target, b"HTTP/1.1", host, user_agent=agent, traceparent=agent)
    span = span_of(Record(request, None, 0, 0, status, is_tunnel=is_tunnel, error="x").item, lambda text: "masked")
    assert span.name in ("GET", "HTTP", "CONNECT")
    texts = {name: value for name, value in span.attributes().items() if isinstance(value, str)}
    assert {name for name, value in texts.items() if value != "masked"} <= {"http.request.method", "error.type"}
