"""Tunnels are reported, each once."""

from collections.abc import Iterator
from typing import Any

import pytest
from mitmproxy.test import taddons, tflow

from proxy_policies import trace
from proxy_policies.finished import reporting
from proxy_policies.finished.flow_records import of_stream
from proxy_policies.finished.reporting import Record
from proxy_policies.finished.tunnels import FinishedFlows


@pytest.fixture
def reports(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Record]]:
    """Subscribe, and give what is reported."""
    made: list[Any] = []
    monkeypatch.setattr(reporting, "report", made.append)
    end = reporting.subscribe(lambda items: None)
    yield made
    end()


def test_a_connect_is_reported_once(reports: list[Record]) -> None:
    policy, opened = FinishedFlows(), tflow.ttcpflow()
    connect = tflow.tflow(client_conn=opened.client_conn, resp=True)
    connect.metadata["proxyauth"] = ("ann", "")
    policy.http_connected(connect)
    policy.tcp_start(opened)
    policy.tcp_end(opened)
    policy.client_disconnected(opened.client_conn)
    (tunnel,) = reports
    assert (tunnel.is_tunnel, tunnel.user, tunnel.request.method) == (True, "ann", b"CONNECT")
    policy.http_connected(connect)
    policy.client_disconnected(opened.client_conn)
    assert (reports[1].is_tunnel, reports[1].sent) == (True, None)


def test_streams_are_those_that_are_open(reports: list[Record]) -> None:
    policy, first, second, forgotten = FinishedFlows(), *(tflow.tudpflow() for _ in range(3))
    second.timestamp_created += 1
    for stream in (second, first, forgotten):
        stream.live = True
        policy.udp_start(stream)
    forgotten.live = False  # it ended while there were no subscribers
    assert policy.streams == [first, second]
    policy.udp_end(first)
    assert policy.streams == [second]
    assert len(reports) == 1


@pytest.mark.parametrize("is_ending", [True, False])
async def test_what_is_open_is_reported_at_the_proxys_end(is_ending: bool, reports: list[Record]) -> None:
    policy, stream = FinishedFlows(), tflow.ttcpflow()
    stream.live = True
    with taddons.context() as context:
        policy.tcp_start(stream)
        if is_ending:
            context.master.should_exit.set()
        policy.done()
    if is_ending:
        assert [record.error for record in reports] == ["the proxy has ended"]
    else:
        assert reports == []
        assert stream in FinishedFlows().streams, "the script is loaded again"
    stream.live = False


def test_streams_and_their_bytes(reports: list[Record]) -> None:
    policy, stream = FinishedFlows(), tflow.ttcpflow()
    made = of_stream(stream)
    assert (made.received, made.sent) == tuple(
        sum(len(message.content) for message in stream.messages if message.from_client is up) for up in (True, False)
    )
    trace.note(stream, "reverse_tunnel", "ended", "", up=7, down=9, seconds=1)
    made = of_stream(stream)
    assert (made.received, made.sent) == (7, 9)
    policy.udp_end(tflow.tudpflow())
    policy.websocket_end(tflow.twebsocketflow())
    assert [(record.is_tunnel, record.status) for record in reports] == [(True, 200), (False, 101)]
