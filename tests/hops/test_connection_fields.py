"""Fields that are for one connection only."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.fields import TOKEN, Fields
from proxy_policies.hops.connection_fields import END_TO_END, HOP_BY_HOP, request_for_next_hop, response_for_next_hop

type Lines = list[tuple[str, str]]


@dataclass
class Request:
    id: str
    before: Lines
    after: Lines = field(default_factory=list)
    to_proxy: bool = False
    version: str = "HTTP/1.1"


REQUESTS = [
    Request("nothing to do", [("Host", "x"), ("Accept", "*/*")], [("Host", "x"), ("Accept", "*/*")]),
    Request("keep-alive", [("Connection", "keep-alive"), ("Keep-Alive", "timeout=5"), ("A", "b")], [("A", "b")]),
    Request("curl to a proxy", [("Proxy-Connection", "Keep-Alive"), ("A", "b")], [("A", "b")]),
    Request("named fields", [("connection", "X-A, x-b"), ("x-a", "1"), ("X-B", "2"), ("X-C", "3")], [("X-C", "3")]),
    Request("several Connection lines", [("Connection", "X-A"), ("CONNECTION", "X-B"), ("X-A", "1"), ("X-B", "2")]),
    Request(
        "framing must not be named",
        [("Connection", "Host, Content-Length, Transfer-Encoding"), ("Host", "x"), ("Content-Length", "1")],
        [("Host", "x"), ("Content-Length", "1")],
    ),
    Request("transfer-encoding stays", [("Transfer-Encoding", "chunked")], [("Transfer-Encoding", "chunked")]),
    Request("credentials for the proxy", [("Proxy-Authorization", "Basic eDp5")]),
    Request(
        "credentials for the next proxy",
        [("Proxy-Authorization", "Basic eDp5")],
        [("Proxy-Authorization", "Basic eDp5")],
        to_proxy=True,
    ),
    Request("credentials for the origin", [("Authorization", "Basic eDp5")], [("Authorization", "Basic eDp5")]),
    Request(
        "websocket",
        [("Connection", "keep-alive, Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")],
        [("Sec-WebSocket-Version", "13"), ("Upgrade", "websocket"), ("Connection", "Upgrade")],
    ),
    Request("upgrade not asked for rightly", [("Upgrade", "websocket")]),
    Request("upgrade over HTTP/1.0", [("Connection", "Upgrade"), ("Upgrade", "websocket")], version="HTTP/1.0"),
    Request("h2c", [("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c"), ("HTTP2-Settings", "AA")]),
    Request("TLS upgrade", [("Connection", "Upgrade"), ("Upgrade", "TLS/1.2, HTTP/1.1")]),
    Request("trailers", [("Connection", "TE"), ("TE", "Trailers, gzip")], [("TE", "trailers"), ("Connection", "TE")]),
    Request("trailers over HTTP/2", [("te", "trailers")], [("TE", "trailers")], version="HTTP/2.0"),
    Request("transfer codings", [("Connection", "TE"), ("TE", "gzip, deflate;q=0.5")]),
]


@pytest.mark.parametrize("case", REQUESTS, ids=lambda case: case.id)
def test_request(case: Request) -> None:
    passed = request_for_next_hop(Fields.of(*case.before), to_proxy=case.to_proxy, http_version=case.version)
    assert list(passed) == case.after


@dataclass
class Response:
    id: str
    before: Lines
    after: Lines = field(default_factory=list)
    status: int = 200
    from_proxy: bool = False


RESPONSES = [
    Response("close", [("Connection", "close"), ("A", "b")], [("A", "b")]),
    Response("named fields", [("Connection", "X-A"), ("X-A", "1"), ("A", "b")], [("A", "b")]),
    Response(
        "what a cache must see",
        [("Connection", "Cache-Control"), ("Cache-Control", "no-store")],
        [("Cache-Control", "no-store")],
    ),
    Response(
        "websocket",
        [("Upgrade", "websocket"), ("Connection", "upgrade"), ("Sec-WebSocket-Accept", "x")],
        [("Sec-WebSocket-Accept", "x"), ("Connection", "Upgrade"), ("Upgrade", "websocket")],
        101,
    ),
    Response(
        "what a response is understood by",
        [
            ("Vary", "A"),
            ("Expires", "0"),
            ("Content-Encoding", "br"),
            ("Connection", "vary, expires, content-encoding"),
        ],
        [("Vary", "A"), ("Expires", "0"), ("Content-Encoding", "br")],
    ),
    Response("offer of h2c", [("Upgrade", "h2,h2c"), ("Connection", "Upgrade")]),
    Response("upgrade required", [("Upgrade", "a")], [("Connection", "Upgrade"), ("Upgrade", "a")], 426),
    Response("an origin's challenge for us", [("Proxy-Authenticate", "Basic"), ("A", "b")], [("A", "b")], 407),
    Response(
        "the next proxy's challenge", [("Proxy-Authenticate", "Basic")], [("Proxy-Authenticate", "Basic")], 407, True
    ),
]


@pytest.mark.parametrize("case", RESPONSES, ids=lambda case: case.id)
def test_response(case: Response) -> None:
    passed = response_for_next_hop(Fields.of(*case.before), case.status, from_proxy=case.from_proxy)
    assert list(passed) == case.after


names = st.from_regex(TOKEN, fullmatch=True) | st.sampled_from([*HOP_BY_HOP, *END_TO_END])
lines = st.lists(st.tuples(names, st.text("ab, ", max_size=4)), max_size=6)


@given(lines, st.lists(names, max_size=4))
def test_nothing_that_connection_names_goes_on(before: Lines, listed: list[str]) -> None:
    fields = Fields.of(*before, ("Connection", ", ".join(listed)))
    gone = {name.lower() for name in listed} - END_TO_END | set(HOP_BY_HOP)
    kept = [(name, value) for name, value in fields if name.lower() not in gone]
    assert set(response_for_next_hop(fields, 200, from_proxy=True)) <= set(kept)
    assert not gone & {name.lower() for name, _ in response_for_next_hop(fields, 200, from_proxy=False)}


@given(lines, st.sampled_from(["HTTP/1.0", "HTTP/1.1", "HTTP/2.0"]))
def test_a_second_pass_changes_nothing(before: Lines, version: str) -> None:
    once = request_for_next_hop(Fields.of(*before), to_proxy=False, http_version=version)
    assert request_for_next_hop(once, to_proxy=False, http_version=version) == once
