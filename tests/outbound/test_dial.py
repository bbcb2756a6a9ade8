"""The one way out: routes, and the timeout."""

import asyncio
import select
import socket
from typing import Any

import pytest

from proxy_policies.byte_streams.socket_options import reset_on_close
from proxy_policies.outbound import dial, tcp_connect


async def test_a_failure_names_target_and_reason(unused_tcp_port: int) -> None:
    with pytest.raises(OSError, match=f"^cannot connect to 127.0.0.1:{unused_tcp_port}: connection refused$"):
        await dial.open("127.0.0.1", unused_tcp_port, timeout=5)


async def test_a_connection_that_is_reset_at_once_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has no peer's address any more, which mitmproxy asserts: its client would wait for ever."""

    async def connect(host: str, port: int, **how: Any) -> socket.socket:
        with socket.create_server((host, 0)) as listener:
            sock = socket.create_connection(listener.getsockname())
            peer, _ = listener.accept()
        reset_on_close(peer)
        peer.close()
        select.select([sock], [], [])
        return sock

    monkeypatch.setattr(tcp_connect, "connect", connect)
    with pytest.raises(OSError, match=r"^cannot connect to 127.0.0.1:9: connection reset$"):
        await dial.open("127.0.0.1", 9, timeout=5)


async def test_text_from_a_peer_is_escaped() -> None:
    with pytest.raises(OSError, match=r"^cannot connect to \[fe80::1%x\\x1b\[2J\]:9: "):
        await dial.open("fe80::1%x\x1b[2J", 9, timeout=5)


@pytest.mark.parametrize("host", ["a" * 70 + ".example", "..", ""])
async def test_an_impossible_name_is_an_os_error(host: str) -> None:
    with pytest.raises(OSError, match=r"^cannot connect to "):
        await dial.open(host, 1, timeout=5)


async def test_silence_ends_in_time() -> None:
    def silent(host: str, port: int) -> Any:
        return asyncio.Event().wait()

    dial.add_route(silent)
    try:
        with pytest.raises(OSError, match=r"^cannot connect to \[::1\]:9: no answer within 0.05 s$"):
            await dial.open("::1", 9, timeout=0.05)
    finally:
        dial.remove_route(silent)
    dial.remove_route(silent)


async def test_the_first_route_that_knows_the_way_is_taken() -> None:
    asked: list[str] = []

    def route(name: str, streams: Any) -> dial.Route:
        def ask(host: str, port: int) -> Any:
            asked.append(name)
            return asyncio.sleep(0, streams) if streams else None

        return ask

    routes = [route("one", None), route("two", ("reader", "writer")), route("three", ("no", "no"))]
    for one in routes:
        dial.add_route(one)
    try:
        streams: Any = await dial.open("x.internal", 80)
        assert streams == ("reader", "writer")
        assert asked == ["one", "two"]
    finally:
        for one in routes:
            dial.remove_route(one)


@pytest.mark.parametrize("text", ["0", "0s", "soon", "-1"])
def test_a_timeout_is_above_zero(text: str) -> None:
    with pytest.raises(ValueError, match="write a duration"):
        dial.parse_timeout(text)
    assert dial.parse_timeout("500ms") == 0.5
