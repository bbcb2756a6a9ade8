"""The servers of modes, with sockets of this machine."""

import socket

import pytest
from tests.support.waiting import free_port

from proxy_policies.doctor.finding import Level
from proxy_policies.doctor.upstreams import look_at_upstreams


def test_a_server_that_accepts_connections_and_one_that_does_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        open_mode = f"reverse:http://127.0.0.1:{server.getsockname()[1]}@8081"
        closed_mode = f"upstream:http://127.0.0.1:{free_port()}"
        found, lacking = look_at_upstreams([open_mode, closed_mode])
    assert (found.level, found.text) == (Level.OK, f"{open_mode} accepts connections")
    assert (lacking.level, lacking.text.rpartition(": ")[2]) == (Level.FAIL, "connection refused")
    assert lacking.text.startswith(f"{closed_mode}: 127.0.0.1:")


@pytest.mark.parametrize(
    "mode", ["reverse:nosuch.invalid", "reverse:dns://nosuch.invalid", "reverse:udp://nosuch.invalid:53"]
)
def test_a_name_that_does_not_resolve(mode: str) -> None:
    (found,) = look_at_upstreams([mode])
    assert found.level is Level.FAIL
    assert "nosuch.invalid:" in found.text


@pytest.mark.parametrize(
    "mode", ["regular", "socks5", "bogus", "reverse:", "reverse:tcp://ssh.office.internal:22", "transparent"]
)
def test_what_is_not_looked_at(mode: str) -> None:
    assert not list(look_at_upstreams([mode]))
