import asyncio

import pytest

from proxy_policies.outbound.own_listeners import reaches

LOOPBACK, ALL = ["127.0.0.1"], ["::", "0.0.0.0"]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0", "::ffff:127.0.0.1"])
@pytest.mark.parametrize("listening", [LOOPBACK, ALL])
def test_ways_to_a_listener(host: str, listening: list[str]) -> None:
    assert asyncio.run(reaches(host, 8080, listening))


@pytest.mark.parametrize("host", ["127.0.0.2", "::1"])
def test_a_listener_on_every_address(host: str) -> None:
    assert asyncio.run(reaches(host, 8080, ALL))
    assert not asyncio.run(reaches(host, 8080, LOOPBACK))


@pytest.mark.parametrize(
    ("host", "port"),
    [("192.0.2.1", 8080), ("2001:db8::1", 8080), ("no..name", 8080), ("x" * 300, 8080)],
)
def test_ways_elsewhere(host: str, port: int) -> None:
    assert not asyncio.run(reaches(host, port, ALL))
