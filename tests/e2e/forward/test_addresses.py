"""Names with several addresses: one that does not answer costs a moment, not the connection (RFC 8305)."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.mitmdump import Mitmdump
from tests.support.networks import drop, knowing, own_network
from tests.support.origin import Origin

HOSTS = "::1 dual.example.test\n127.0.0.1 dual.example.test\n"


@pytest.fixture(autouse=True)
def network() -> Iterator[None]:
    """Give each test a network of its own."""
    with own_network():
        yield


@pytest.mark.parametrize("silent", [True, False], ids=["silent", "refused"])
@pytest.mark.parametrize("tunnel", [(), ("-p",)], ids=["request", "CONNECT"])
def test_the_other_address_is_tried(
    network: None,
    mitmdump: Callable[..., Mitmdump],
    origin: Callable[..., Origin],
    curl: Any,
    tmp_path: Path,
    silent: bool,
    tunnel: tuple[str, ...],
) -> None:
    server, hosts = origin(), tmp_path / "hosts"
    hosts.write_text(HOSTS)
    if silent:
        drop("::1", server.port)
    proxy = mitmdump("--set", "connect_timeout=5s", around=knowing(hosts))
    result = curl("-x", proxy.url, *tunnel, f"http://dual.example.test:{server.port}/")
    assert (result.status, result.body) == (200, b"hello from the origin\n"), result.stderr


def test_when_none_answers_the_reason_is_told(
    network: None, mitmdump: Callable[..., Mitmdump], free_port: Callable[[], int], curl: Any, tmp_path: Path
) -> None:
    hosts, port = tmp_path / "hosts", free_port()
    hosts.write_text(HOSTS)
    proxy = mitmdump("--set", "connect_timeout=5s", around=knowing(hosts))
    result = curl("-x", proxy.url, "-p", f"http://dual.example.test:{port}/")
    assert result.heads[0].startswith("HTTP/1.1 502 ")
    proxy.wait_log(f"dual.example.test:{port}: connection refused")
