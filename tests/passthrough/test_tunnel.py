"""What is said of an untouched tunnel."""

import time

import pytest
from mitmproxy import flow
from mitmproxy.test import tflow

from proxy_policies import trace
from proxy_policies.finished.flow_records import of_stream
from proxy_policies.flows.flow_state import state_of
from proxy_policies.passthrough.tunnel import Tunnel


@pytest.fixture
def tunnel() -> Tunnel:
    client, server = tflow.tclient_conn(), tflow.tserver_conn()
    client.peername, server.address = ("127.0.0.1", 5), ("example.test", 443)
    return Tunnel(client=client, server=server, why="not in inspect_hosts")


def test_lines(tunnel: Tunnel, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    tunnel.log_opening()
    tunnel.add_up(10)
    tunnel.add_down(7)
    tunnel.add_up(1)
    tunnel.opened = time.time() - 2.26
    tunnel.close(None)
    tunnel.opened, tunnel.error = time.time() + 60, "no connection"
    tunnel.close(None)
    opening, closing, failed = caplog.messages
    assert opening == "tunnel 127.0.0.1:5 → example.test:443 opened, not in inspect_hosts"
    assert closing.startswith("tunnel 127.0.0.1:5 → example.test:443 closed, 11 bytes up, 7 bytes down, ")
    assert failed.endswith("0.0 s: no connection")


def test_its_flow_has_no_content(tunnel: Tunnel) -> None:
    shown = tunnel.make_flow()
    assert state_of(shown).tunnel is tunnel
    tunnel.add_up(3)
    tunnel.error = "the client reset the connection"
    tunnel.close(shown)
    assert not shown.live
    assert shown.messages == []
    assert shown.error is not None
    assert shown.error.msg == "the client reset the connection"
    assert [note["verdict"] for note in trace.notes(shown)] == ["untouched", "closed"]
    assert (trace.notes(shown)[1]["bytes_up"], trace.notes(shown)[1]["why"]) == (3, "the client reset the connection")


def test_a_flow_that_is_made_at_the_end_is_as_old_as_the_tunnel(tunnel: Tunnel) -> None:
    tunnel.opened -= 60
    assert 60 <= of_stream(tunnel.make_flow()).seconds < 120


def test_an_error_that_an_addon_has_set_is_kept(tunnel: Tunnel, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    shown = tunnel.make_flow()
    shown.error = flow.Error("killed")
    tunnel.error = "the client reset the connection"
    tunnel.close(shown)
    assert shown.error.msg == "killed"
    assert caplog.messages[0].endswith(": killed")
