"""The supervisor's arguments, and the port that its workers share."""

import errno
import socket

import pytest

from proxy_policies.workers.supervisor import fixed_port, main, reserve_port

IP_VERSIONS = {4: socket.AF_INET, 6: socket.AF_INET6}


@pytest.mark.parametrize("arguments", [[], ["none"], ["0"], ["-p", "1"]], ids=str)
def test_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert capsys.readouterr().out.startswith("usage")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["-p", "0"], ["-p", "77"]),
        (["--listen-port", "0"], ["--listen-port", "77"]),
        (["--listen-port=0"], ["--listen-port=77"]),
        (["--set", "listen_port=0"], ["--set", "listen_port=77"]),
        (["-p", "8080", "-n", "0"], ["-p", "8080", "-n", "0"]),
    ],
    ids=str,
)
def test_a_port_that_is_free_is_chosen_once(arguments: list[str], expected: list[str]) -> None:
    assert fixed_port(arguments, 77) == expected


@pytest.mark.parametrize(("version", "address"), [(4, "127.0.0.1"), (4, "127.0.0.2"), (4, ""), (6, "::1"), (6, "")])
def test_the_port_is_reserved_on_every_address(version: int, address: str) -> None:
    if version == 6 and not socket.has_dualstack_ipv6():
        pytest.skip("no IPv6 here")
    with reserve_port() as held:
        where = (address, held.getsockname()[1])
        with socket.socket(IP_VERSIONS[version]) as other, pytest.raises(OSError, match=str(errno.EADDRINUSE)):
            other.bind(where)
        with socket.socket(IP_VERSIONS[version]) as worker:
            worker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            worker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as asyncio does
            if version == 6:
                worker.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            worker.bind(where)
            worker.listen()
