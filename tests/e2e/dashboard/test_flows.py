"""A tunnel can be closed whichever way it was opened, and the proxy goes on."""

import contextlib
import json
import re
import socket
from collections.abc import Callable
from typing import Any

import pytest
from tests.support.curl import curl
from tests.support.mitmdump import Mitmdump
from tests.support.origin import Origin
from tests.support.waiting import free_port, wait_until


def by_connect(proxy: int, target: int) -> socket.socket:
    tunnel = socket.create_connection(("127.0.0.1", proxy), timeout=60)
    tunnel.sendall(f"CONNECT 127.0.0.1:{target} HTTP/1.1\r\nHost: 127.0.0.1:{target}\r\n\r\n".encode())
    assert b" 200 " in tunnel.recv(1000)
    return tunnel


def by_socks(proxy: int, target: int) -> socket.socket:
    tunnel = socket.create_connection(("127.0.0.1", proxy), timeout=60)
    tunnel.sendall(b"\x05\x01\x00")
    assert tunnel.recv(2) == b"\x05\x00"
    tunnel.sendall(b"\x05\x01\x00\x01\x7f\x00\x00\x01" + target.to_bytes(2, "big"))
    assert tunnel.recv(10)[:2] == b"\x05\x00"
    tunnel.sendall(b"\x00")  # nothing that is opened
    return tunnel


def directly(proxy: int, target: int) -> socket.socket:
    tunnel = socket.create_connection(("127.0.0.1", proxy), timeout=60)
    tunnel.sendall(b"\x00")  # before that the protocol is unknown
    return tunnel


@pytest.mark.parametrize(
    ("mode", "fast_lane", "opened"),
    [
        ("regular", "on", by_connect),
        ("regular", "off", by_connect),
        ("socks5", "on", by_socks),
        ("reverse:tcp://127.0.0.1:{}", "on", directly),
    ],
)
def test_it_is_shown_and_closed(
    mitmdump: Callable[..., Mitmdump],
    origin: Callable[..., Origin],
    mode: str,
    fast_lane: str,
    opened: Callable[[int, int], socket.socket],
) -> None:
    target = origin().port
    options = (f"dashboard={free_port()}", f"fast_lane={fast_lane}")
    proxy = mitmdump("--mode", mode.format(target), *(part for option in options for part in ("--set", option)))
    found = proxy.wait_log(r"dashboard: (http://[^/]+)/\?token=(\w+)")
    url, entered = found[1], ("-H", f"Authorization: Bearer {found[2]}")

    def streams() -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = json.loads(curl(f"{url}/ask/tunnels", *entered).body)["result"]["streams"]
        return rows

    with opened(proxy.port, target) as tunnel:
        wait_until(streams)
        (row,) = streams()
        assert row["client"] == f"127.0.0.1:{tunnel.getsockname()[1]}"
        assert row["target"] == f"127.0.0.1:{target}"
        (token,) = re.findall(r'name="csrf-token" content="([^"]+)"', curl(f"{url}/", *entered).body.decode())
        answer = curl(
            f"{url}/ask/close", *entered, "-H", f"X-CSRF-Token: {token}", "--json", json.dumps({"stream": row["id"]})
        )
        assert json.loads(answer.body) == {"result": "closed"}
        with contextlib.suppress(ConnectionResetError):
            assert tunnel.recv(1) == b""
    wait_until(lambda: not streams())
    assert "Traceback" not in proxy.log()
