"""Tunnels handed to the relay: every byte in order, half-close right, ends clean."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
from pathlib import Path

import pytest
from tests.support.connect_tunnels import connect, connect_socks, receive_all, serving
from tests.support.fast_lane import Start, many, script
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(100)

UNTOUCHED = ("--ignore-hosts", ".*")

RELAYED = """
import logging
from proxy_policies.relay import link
genuine = link.relay_one_way
async def carry(source, sink, tally):
    logging.info("relaying")
    await genuine(source, sink, tally)
link.relay_one_way = carry
"""

SLOW_HOOKS = """
import asyncio, random
class Slow:
    async def next_layer(self, layer):
        await asyncio.sleep(random.choice((0, 0, 0.005, 0.03)))
    async def server_connected(self, data):
        await asyncio.sleep(random.choice((0, 0.01)))
    async def http_connected(self, flow):
        await asyncio.sleep(random.choice((0, 0.01)))
addons = [Slow()]
"""


@pytest.mark.parametrize("strategy", ["eager", "lazy"])
async def test_hundreds_of_tunnels_both_ways_at_once(mitmdump: Start, tmp_path: Path, strategy: str) -> None:
    proxy = mitmdump(
        *UNTOUCHED, *script(tmp_path, RELAYED), "--set", f"connection_strategy={strategy}", script="fastlane.py"
    )
    await many(proxy.port, 200, 300_000)
    await asyncio.to_thread(wait_until, lambda: proxy.log().count("relaying") == 400, 10, "400 directions relayed")
    assert "rror" not in proxy.log()


async def test_tunnels_beside_inspected_hosts(mitmdump: Start, tmp_path: Path) -> None:
    proxy = mitmdump(*script(tmp_path, RELAYED), "--set", "inspect_hosts=other.test", script="policy.py")
    await many(proxy.port, 10, 300_000)
    await asyncio.to_thread(wait_until, lambda: proxy.log().count("relaying") == 20, 20, "20 directions relayed")


async def test_hooks_that_take_their_time_reorder_nothing(mitmdump: Start, tmp_path: Path) -> None:
    proxy = mitmdump(*UNTOUCHED, *script(tmp_path, SLOW_HOOKS), script="fastlane.py")
    await many(proxy.port, 200, 300_000)
    assert "rror" not in proxy.log()


@pytest.mark.deep
async def test_thousands_of_tunnels(mitmdump: Start, tmp_path: Path) -> None:
    proxy = mitmdump(*UNTOUCHED, *script(tmp_path, SLOW_HOOKS), script="fastlane.py")
    for _ in range(5):
        await many(proxy.port, 400, 1_000_000)


async def test_socks(mitmdump: Start, tmp_path: Path) -> None:
    proxy = mitmdump(*UNTOUCHED, *script(tmp_path, RELAYED), mode="socks5", script="fastlane.py")
    await many(proxy.port, 60, 300_000, open_tunnel=connect_socks)
    await asyncio.to_thread(wait_until, lambda: proxy.log().count("relaying") == 120, 10, "120 directions relayed")


@pytest.mark.parametrize("closes_first", ["client", "server"])
@pytest.mark.parametrize("pause", [0, 0.2])
async def test_half_close(mitmdump: Start, closes_first: str, pause: float) -> None:
    """A question ended by half-close gets its answer, however long that is, from either side."""
    proxy = mitmdump(*UNTOUCHED, script="fastlane.py")
    answer = b"answer" * 500_000

    async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(b"question")
        await asyncio.sleep(pause)
        writer.write_eof()
        return await receive_all(reader)

    async def reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        got = await receive_all(reader)
        await asyncio.sleep(pause)
        writer.write(answer)
        await writer.drain()
        writer.write_eof()
        return got

    roles = (ask, reply) if closes_first == "client" else (reply, ask)
    served: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.set_result(await roles[1](reader, writer))

    async with serving(serve) as port, asyncio.timeout(100):
        reader, writer = await connect(proxy.port, port)
        got = await roles[0](reader, writer)
        writer.close()
        results = {got, await served}
        assert results == {b"question", answer}


async def test_a_server_that_speaks_first(mitmdump: Start) -> None:
    proxy = mitmdump(*UNTOUCHED, script="fastlane.py")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for n in range(50):
            writer.write(b"%d?" % n)
            assert await reader.readexactly(3) == b"%02d!" % n

    async with serving(serve) as port, asyncio.timeout(100):
        reader, writer = await connect(proxy.port, port)
        for n in range(50):
            assert await reader.readuntil(b"?") == b"%d?" % n
            writer.write(b"%02d!" % n)
        assert await receive_all(reader) == b""
        writer.close()


async def test_bytes_that_come_with_the_connect(mitmdump: Start) -> None:
    proxy = mitmdump(*UNTOUCHED, script="fastlane.py")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(10))
        writer.write(await reader.readexactly(5))

    async with serving(serve) as port, asyncio.timeout(100):
        reader, writer = await connect(proxy.port, port, early=b"early bird")
        assert await reader.readexactly(10) == b"early bird"
        writer.write(b"later")
        assert await receive_all(reader) == b"later"
        writer.close()


async def test_a_client_that_breaks_off_frees_the_server(mitmdump: Start) -> None:
    proxy = mitmdump(*UNTOUCHED, script="fastlane.py")
    gone = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while True:
                writer.write(bytes(100_000))
                await writer.drain()
        gone.set()

    async with serving(serve) as port, asyncio.timeout(100):
        reader, writer = await connect(proxy.port, port)
        writer.write(b"go")
        await reader.readexactly(1_000_000)
        writer.transport.abort()
        await gone.wait()
    assert "rror" not in proxy.log()


@pytest.mark.parametrize("flowing", [True, False], ids=["flowing", "quiet"])
async def test_sigterm_ends_tunnels_cleanly(mitmdump: Start, flowing: bool) -> None:
    proxy = mitmdump(*UNTOUCHED, script="fastlane.py")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while flowing:
            writer.write(bytes(100_000))
            await writer.drain()
        writer.write(b"hello")
        await reader.read(-1)

    async with serving(serve) as port, asyncio.timeout(100):
        reader, writer = await connect(proxy.port, port)
        await reader.readexactly(5)
        assert await asyncio.to_thread(proxy.stop, signal.SIGTERM) == 0
        with contextlib.suppress(OSError):
            await receive_all(reader)
        writer.close()
    assert "rror" not in proxy.log()


async def test_a_silent_tunnel_ends_after_tcp_timeout(mitmdump: Start) -> None:
    proxy = mitmdump(*UNTOUCHED, "--set", "tcp_timeout=1", script="fastlane.py")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(4))
        await reader.read(-1)

    async with serving(serve) as port, asyncio.timeout(100):
        reader, writer = await connect(proxy.port, port, early=b"ping")  # or it might be silent before
        assert await receive_all(reader) == b"ping"
        writer.close()
    await asyncio.to_thread(proxy.wait_log, "inactivity")


async def test_off_is_stock(mitmdump: Start, tmp_path: Path) -> None:
    proxy = mitmdump(*UNTOUCHED, *script(tmp_path, RELAYED), "--set", "fast_lane=off", script="fastlane.py")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(100):
            writer.write(await reader.readexactly(1000))

    async with serving(serve) as port, asyncio.timeout(100):
        reader, writer = await connect(proxy.port, port)
        for n in range(100):
            writer.write(b"%d" % (n % 10) * 1000)
            assert await reader.readexactly(1000) == b"%d" % (n % 10) * 1000
        writer.close()
    assert "relaying" not in proxy.log()


async def test_a_proxy_behind_ours_is_left_to_mitmproxy(mitmdump: Start, tmp_path: Path) -> None:
    far = mitmdump(*UNTOUCHED, script="fastlane.py")
    near = mitmdump(*UNTOUCHED, *script(tmp_path, RELAYED), mode=f"upstream:{far.url}", script="fastlane.py")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100_000):
            writer.write(data)

    async with serving(serve) as port, asyncio.timeout(100):
        reader, writer = await connect(near.port, port)
        data = random.Random(0).randbytes(1_000_000)
        for start in range(0, len(data), 10_000):
            writer.write(data[start : start + 10_000])
            assert await reader.readexactly(10_000) == data[start : start + 10_000]
        writer.close()
    assert "relaying" not in near.log()
