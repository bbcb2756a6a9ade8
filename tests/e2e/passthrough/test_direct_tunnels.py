"""Tunnels set up without mitmproxy's machinery, and everything that sends them the slow way."""

from __future__ import annotations

import asyncio
import base64
import os
import re
import resource
import socket
import ssl
from pathlib import Path

import pytest
from tests.support.connect_tunnels import connect, receive_all, serving
from tests.support.fast_lane import PATIENT, Start, echo, exchange, many, script, tunnels
from tests.support.files import rewrite
from tests.support.mitmdump import ADDONS
from tests.support.waiting import free_port, wait_until

pytestmark = pytest.mark.timeout(100)


async def test_hundreds_of_tunnels(mitmdump: Start, tmp_path: Path) -> None:
    proxy = mitmdump(*script(tmp_path, PATIENT))
    await many(proxy.port, 200, 200_000)
    await asyncio.to_thread(wait_until, lambda: proxy.log().count("client disconnect") == 200)
    assert tunnels(proxy) == 200
    assert "rror" not in proxy.log()
    assert "kill connection" not in proxy.log()


async def test_it_is_logged_with_its_counts(mitmdump: Start) -> None:
    proxy = mitmdump()
    async with serving(echo) as port:
        await exchange(proxy.port, port)
    line = await asyncio.to_thread(proxy.wait_log, rf"tunnel 127.0.0.1:\d+ → 127.0.0.1:{port} closed, (.*)")
    assert line[1].startswith("5 bytes up, 5 bytes down")
    proxy.wait_log(re.escape(f"→ 127.0.0.1:{port} opened, not in inspect_hosts"))


HOOKS = [
    "http_connect",
    "http_connected",
    "next_layer",
    "server_connect",
    "server_connected",
    "server_disconnected",
    "tcp_start",
    "tcp_message",
    "tcp_end",
    "client_disconnected",
]


@pytest.mark.parametrize("hook", HOOKS)
async def test_another_addon_that_looks_on(mitmdump: Start, tmp_path: Path, hook: str) -> None:
    watcher = f"class Watcher:\n    def {hook}(self, data): pass\naddons = [Watcher()]\n"
    proxy = mitmdump(*script(tmp_path, watcher))
    async with serving(echo) as port:
        await exchange(proxy.port, port)
    assert tunnels(proxy) == 0


LOOKING = """
import logging

class Watcher:
    fast_paths = {"tunnels"}
    def HOOK(self, flow):
        verdicts = [note["verdict"] for note in flow.metadata["policy_trace"]]
        logging.info(f"seen: {flow.comment}; {verdicts}; {flow.live}; {flow.server_conn.address[1]}")

addons = [Watcher()]
"""


@pytest.mark.parametrize(
    ("hook", "seen"),
    [
        ("tcp_start", "untouched · passthrough: untouched; ['untouched']; True"),
        ("tcp_end", "untouched · passthrough: closed; ['untouched', 'closed']; False"),
    ],
)
async def test_it_has_a_flow_where_an_addon_looks_at_it(mitmdump: Start, tmp_path: Path, hook: str, seen: str) -> None:
    proxy = mitmdump(*script(tmp_path, LOOKING.replace("HOOK", hook)))
    async with serving(echo) as port:
        await exchange(proxy.port, port)
    await asyncio.to_thread(proxy.wait_log, re.escape(f"seen: {seen}; {port}"))
    assert tunnels(proxy) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("--set", "fast_lane=off"),
        ("--set", "inspect_hosts=127.0.0.*"),
        ("--ignore-hosts", "nobody"),
        ("--set", "connection_strategy=lazy"),
        ("--set", "connect_addr=127.0.0.1"),
    ],
    ids=lambda arguments: arguments[1],
)
async def test_an_option_with_a_say(mitmdump: Start, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    proxy = mitmdump(*arguments)
    async with serving(echo) as port:
        await exchange(proxy.port, port)
    assert tunnels(proxy) == 0


async def test_proxyauth(mitmdump: Start, tmp_path: Path) -> None:
    proxy = mitmdump("--proxyauth", "me:secret")
    async with serving(echo) as port:
        with pytest.raises(AssertionError, match="407"):
            await exchange(proxy.port, port)
        credentials = base64.b64encode(b"me:secret").decode()
        await exchange(proxy.port, port, f"Proxy-Authorization: Basic {credentials}\r\n")
    assert tunnels(proxy) == 0


@pytest.mark.parametrize("when", ["before ours", "after ours"])
async def test_a_refusal_recorded_on_the_client(mitmdump: Start, tmp_path: Path, when: str) -> None:
    """As block_global does, which does not block loopback."""
    refuse = "class Refuse:\n    def client_connected(self, client): client.error = 'no'\naddons = [Refuse()]\n"
    if when == "before ours":
        proxy = mitmdump("-s", str(tmp_path / "extra.py"), *late_policy(tmp_path, refuse), script=None)
    else:
        proxy = mitmdump(*script(tmp_path, refuse))
    async with serving(echo) as port:
        with pytest.raises((OSError, EOFError)):
            await exchange(proxy.port, port)
    assert tunnels(proxy) == 0


def late_policy(folder: Path, text: str) -> tuple[str, ...]:
    """Load a script before policy.py."""
    script(folder, text)
    return "-s", str(ADDONS / "policy.py")


async def test_a_proxy_behind_ours(mitmdump: Start, tmp_path: Path) -> None:
    far = mitmdump()
    near = mitmdump(mode=f"upstream:{far.url}")
    async with serving(echo) as port:
        await exchange(near.port, port)
    assert tunnels(near) == 0


async def test_tls_to_the_proxy(mitmdump: Start, tmp_path: Path) -> None:
    proxy = mitmdump()
    context = ssl.create_default_context(cafile=str(proxy.ca))
    async with serving(echo) as port, asyncio.timeout(100):
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port, ssl=context)
        writer.write(f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
        writer.write(b"ping")
        assert await reader.readexactly(4) == b"ping"
        writer.close()
    assert tunnels(proxy) == 0


@pytest.mark.parametrize("name", ["box.internal", "no-such-host.invalid"])
async def test_a_name_that_is_not_dialled(mitmdump: Start, tmp_path: Path, name: str) -> None:
    proxy = mitmdump()
    async with asyncio.timeout(100):
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(f"CONNECT {name}:80 HTTP/1.1\r\nHost: {name}:80\r\n\r\n".encode())
        assert (await reader.readline()).startswith(b"HTTP/1.1 502")
        writer.close()
    assert tunnels(proxy) == 0


async def test_the_proxy_itself_is_no_target(mitmdump: Start, tmp_path: Path) -> None:
    proxy = mitmdump()
    with pytest.raises(AssertionError, match="502"):
        await exchange(proxy.port, proxy.port)
    assert tunnels(proxy) == 0


@pytest.mark.parametrize("size", [1, 7, 20])
async def test_a_connect_in_pieces(mitmdump: Start, size: int) -> None:
    proxy = mitmdump()
    async with serving(echo) as port, asyncio.timeout(100):
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        head = f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        for start in range(0, len(head), size):
            writer.write(head[start : start + size])
            await asyncio.sleep(0.002)
        assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
        writer.write(b"ping")
        assert await reader.readexactly(4) == b"ping"
        writer.close()


@pytest.mark.parametrize("data", [b"", b"\x00", b"GET / HTTP/1.1\r\n\r\n", b"CONNECT x"])
async def test_what_is_there_before_mitmproxy_reads(mitmdump: Start, data: bytes) -> None:
    """Closed at once, or nonsense: mitmproxy deals with it as ever."""
    proxy = mitmdump()
    for _ in range(5):
        _, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(data)
        writer.close()
    await asyncio.to_thread(wait_until, lambda: proxy.log().count("client disconnect") == 5)
    assert "Traceback" not in proxy.log()
    assert "crashed" not in proxy.log()


async def test_sigterm(mitmdump: Start, tmp_path: Path) -> None:
    proxy = mitmdump(*script(tmp_path, PATIENT))
    async with serving(echo) as port, asyncio.timeout(100):
        reader, writer = await connect(proxy.port, port)
        assert tunnels(proxy)
        writer.write(b"ping")
        assert await reader.readexactly(4) == b"ping"
        assert await asyncio.to_thread(proxy.stop) == 0
        with pytest.raises(ConnectionResetError):  # what is cut off is no end of file
            await receive_all(reader)
        writer.close()
    assert "rror" not in proxy.log()


async def test_an_idle_tunnel_ends(mitmdump: Start, tmp_path: Path) -> None:
    proxy = mitmdump("--set", "tcp_timeout=1", *script(tmp_path, PATIENT))
    async with serving(echo) as port, asyncio.timeout(100):
        reader, writer = await connect(proxy.port, port, early=b"ping")  # or it might idle before
        assert await receive_all(reader) == b"ping"
        writer.close()
    await asyncio.to_thread(wait_until, lambda: tunnels(proxy))


async def test_a_busy_tunnel_does_not_end(mitmdump: Start, tmp_path: Path) -> None:
    proxy = mitmdump("--set", "tcp_timeout=4", *script(tmp_path, PATIENT))
    async with serving(echo) as port, asyncio.timeout(100):
        reader, writer = await connect(proxy.port, port)
        for _ in range(12):
            await asyncio.sleep(0.4)
            writer.write(b"ping")
            assert await reader.readexactly(4) == b"ping"
        writer.close()
    await asyncio.to_thread(wait_until, lambda: tunnels(proxy))
    assert "inactivity" not in proxy.log()


async def test_one_that_says_nothing_for_a_while(mitmdump: Start, tmp_path: Path) -> None:
    proxy = mitmdump(*script(tmp_path, PATIENT))
    async with serving(echo) as port, asyncio.timeout(100):
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        await asyncio.to_thread(proxy.wait_log, "client connect")
        writer.write(f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
        writer.close()
    assert tunnels(proxy)


PROTECT = """
from mitmproxy import ctx
class Protect:
    def request(self, flow):
        ctx.options.update(proxyauth="me:secret")
addons = [Protect()]
"""


async def test_credentials_are_wanted_since_a_client_came_in(mitmdump: Start, tmp_path: Path) -> None:
    proxy = mitmdump(*script(tmp_path, PROTECT))
    async with serving(echo) as port, asyncio.timeout(100):
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        await asyncio.to_thread(switch, proxy.port, "none")
        writer.write(f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert (await reader.readline()).startswith(b"HTTP/1.1 407")
        writer.close()
    assert tunnels(proxy) == 0


SWITCH = """
import asyncio
from mitmproxy import ctx
class Switch:
    def request(self, flow):
        ctx.options.update(mode=[flow.request.headers["mode"]])
addons = [Switch()]
"""


async def test_a_proxy_that_begins_to_listen_later_and_one_that_stops(mitmdump: Start, tmp_path: Path) -> None:
    proxy = mitmdump(*script(tmp_path, SWITCH + PATIENT))
    later = free_port()
    async with serving(echo) as port:
        await asyncio.to_thread(switch, proxy.port, f"regular@{later}")
        await asyncio.to_thread(proxy.wait_log, f"listening at 127.0.0.1:{later}")
        await exchange(later, port)
        with pytest.raises(ConnectionRefusedError):
            await exchange(proxy.port, port)
        await asyncio.to_thread(switch, later, f"regular@{proxy.port}")
        await asyncio.to_thread(wait_until, lambda: proxy.log().count(f"listening at 127.0.0.1:{proxy.port}") == 2)
        await exchange(proxy.port, port)
    assert tunnels(proxy) == 2


def switch(port: int, mode: str) -> None:
    """Send a request that makes an addon set an option, to listen as `mode` says for one."""
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.sendall(
            f"GET http://127.0.0.1:9/ HTTP/1.1\r\nHost: x\r\nmode: {mode}\r\nConnection: close\r\n\r\n".encode()
        )
        while sock.recv(1000):
            pass


async def test_the_policies_are_loaded_again(mitmdump: Start, tmp_path: Path) -> None:
    """Their file was edited: the new ones take the old ones' place at the door."""
    policy = tmp_path / "mine.py"
    text = f"import sys\nsys.path.insert(0, {str(ADDONS)!r})\nfrom policy import addons\n"
    rewrite(policy, text)
    proxy = mitmdump("-s", str(policy), script=None)
    async with serving(echo) as port:
        await exchange(proxy.port, port)
        rewrite(policy, text + "# edited\n")
        await asyncio.to_thread(wait_until, lambda: proxy.log().count(f"Loading script {policy}") == 2)
        await exchange(proxy.port, port)
    await asyncio.to_thread(wait_until, lambda: proxy.log().count("tunnel 127.0.0.1") == 4)
    assert "rror" not in proxy.log()


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="only Linux lets a test limit another process")
@pytest.mark.parametrize("fast_lane", ["on", "off"])
async def test_no_room_for_a_connection(mitmdump: Start, fast_lane: str) -> None:
    """Said in one line for each port; those who wait are taken in when there is room again."""
    socks = free_port()
    proxy = mitmdump("--set", f"fast_lane={fast_lane}", "--mode", "regular", "--mode", f"socks5@{socks}")
    async with serving(echo) as port, asyncio.timeout(100):
        await exchange(proxy.port, port)
        await asyncio.to_thread(proxy.wait_log, "client disconnect")
        before = resource.prlimit(proxy.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(proxy.pid, resource.RLIMIT_NOFILE, (next_descriptor(proxy.pid), before[1]))
        waiting = [(await asyncio.open_connection("127.0.0.1", at))[1] for at in (proxy.port, socks)]
        said = "cannot accept connections: Too many open files"
        await asyncio.to_thread(wait_until, lambda: proxy.log().count(said) >= len(waiting))
        resource.prlimit(proxy.pid, resource.RLIMIT_NOFILE, before)
        await exchange(proxy.port, port)
        for writer in waiting:
            writer.close()
    assert "Traceback" not in proxy.log()


def next_descriptor(process: int) -> int:
    used = {int(name) for name in os.listdir(f"/proc/{process}/fd")}
    return min(set(range(len(used) + 1)) - used)
