"""The ports and servers of modes, with sockets of this machine."""

import socket
from pathlib import Path

import pytest
from tests.support.waiting import free_port

from proxy_policies.doctor.finding import Finding, Level
from proxy_policies.doctor.modes import look_at_modes


def looked(*modes: str, port: int | None = 0) -> list[Finding]:
    return list(look_at_modes(modes, "127.0.0.1", port, Path("/nonexistent")))


def servers(*modes: str) -> list[Finding]:
    return [found for found in looked(*modes) if found.subject == "upstream"]


def test_a_server_that_accepts_connections_and_one_that_does_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        open_mode = f"reverse:http://127.0.0.1:{server.getsockname()[1]}"
        closed_mode = f"upstream:http://127.0.0.1:{free_port()}"
        found, lacking = servers(open_mode, closed_mode)
    assert (found.level, found.text) == (Level.OK, f"{open_mode} accepts connections")
    assert (lacking.level, lacking.text.rpartition(": ")[2]) == (Level.FAIL, "connection refused")
    assert lacking.text.startswith(f"{closed_mode}: 127.0.0.1:")


@pytest.mark.parametrize(
    "mode", ["reverse:nosuch.invalid", "reverse:dns://nosuch.invalid", "reverse:udp://nosuch.invalid:53"]
)
def test_a_name_that_does_not_resolve(mode: str) -> None:
    (found,) = servers(mode)
    assert found.level is Level.FAIL
    assert "nosuch.invalid:" in found.text


@pytest.mark.parametrize("mode", ["regular", "socks5", "bogus", "reverse:", "reverse:tcp://ssh.office.internal:22"])
def test_a_mode_without_a_server_to_connect_to(mode: str) -> None:
    assert not servers(mode)


def test_each_mode_has_a_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        levels = [found.level for found in looked("regular@0", f"socks5@{port}", "regular", "wireguard", port=port)]
        (by_default,) = looked(port=port)
    assert levels == [Level.OK, Level.FAIL, Level.FAIL]
    assert by_default.text == f"127.0.0.1:{port}: Address already in use"
