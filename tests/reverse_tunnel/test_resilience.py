"""Peers that freeze, vanish, come back, or do not read."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import resource

import pytest
from tests.reverse_tunnel.conftest import BEAT, Middle, Tunnel, ask, connect, echo, eventually

from proxy_policies.reverse_tunnel.handshake import MISSES
from proxy_policies.reverse_tunnel.messages import Refusal
from proxy_policies.reverse_tunnel.session import Call

pytestmark = pytest.mark.timeout(60)

NOTICED = MISSES * BEAT + BEAT  # seconds within which a silent peer is given up, looks at the clock included
MIB = 1 << 20


@pytest.fixture
async def middle(tunnel: Tunnel) -> Middle:
    """Work reaches home by way of somebody who can stop passing bytes on."""
    started = await Middle(tunnel.trunk).start()
    await tunnel.start_home()
    tunnel.trunk = started.address
    return started


async def test_a_path_that_dies_silently_is_noticed_on_both_sides(tunnel: Tunnel, middle: Middle) -> None:
    entrance = await tunnel.entrance("echo")
    work = await tunnel.start_work(services={"echo": await tunnel.serve(echo)}, spares=2)
    idle_reader, idle_writer = await connect(entrance)
    idle_writer.write(b"x")
    assert await idle_reader.readexactly(1) == b"x"
    middle.freeze()
    began = asyncio.get_running_loop().time()
    with contextlib.suppress(ConnectionResetError):
        assert await idle_reader.read() == b""  # an idle data connection is given up as well
    await eventually(lambda: not list(tunnel.home.works) and not work.home and not list(tunnel.home.visits))
    assert asyncio.get_running_loop().time() - began < NOTICED + 2
    with pytest.raises(Refusal, match="no work connected"):
        await tunnel.home.open(Call("echo"))
    idle_writer.close()
    middle.close()


async def test_idle_connections_live_on_as_long_as_they_like(tunnel: Tunnel) -> None:
    await tunnel.start_home()
    entrance = await tunnel.entrance("echo")
    await tunnel.start_work(services={"echo": await tunnel.serve(echo)})
    reader, writer = await connect(entrance)
    await asyncio.sleep(2.5 * NOTICED)
    writer.write(b"still here")
    assert await reader.readexactly(10) == b"still here"
    writer.close()
    assert [w.name for w in tunnel.home.works] == ["office"]


async def test_a_reader_that_pauses_is_no_dead_peer_and_stops_the_sender(tunnel: Tunnel) -> None:
    """Back-pressure end to end: the service comes to a halt, memory stays flat, nobody is given up, nothing is lost."""
    sent = 0
    total = 96 * MIB

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        while sent < total:
            writer.write(bytes(MIB))
            await writer.drain()
            sent += MIB
        writer.write_eof()

    await tunnel.start_home()
    entrance = await tunnel.entrance("pour")
    await tunnel.start_work(services={"pour": await tunnel.serve(pour)})
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    reader, writer = await connect(entrance)
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    await asyncio.sleep(2.5 * NOTICED)
    stuck = sent
    await asyncio.sleep(NOTICED)
    assert 0 < stuck == sent < total / 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32 * 1024  # KiB
    writer.transport.resume_reading()  # type: ignore[attr-defined]
    got = 0
    while data := await reader.read(MIB):
        got += len(data)
    assert got == total
    writer.close()


async def test_a_slow_reader_gets_everything_after_the_service_has_gone(tunnel: Tunnel) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(bytes(3 * MIB))
        writer.write_eof()

    await tunnel.start_home()
    entrance = await tunnel.entrance("answer")
    await tunnel.start_work(services={"answer": await tunnel.serve(answer)})
    reader, writer = await connect(entrance)
    writer.write_eof()
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    await asyncio.sleep(4)  # longer than anybody waits for a last frame to go out
    writer.transport.resume_reading()  # type: ignore[attr-defined]
    assert len(await reader.read()) == 3 * MIB
    writer.close()


async def test_a_new_command_connection_replaces_the_old_and_sessions_live_on(
    tunnel: Tunnel, caplog: pytest.LogCaptureFixture
) -> None:
    await tunnel.start_home()
    entrance = await tunnel.entrance("echo")
    service = await tunnel.serve(echo)
    first = await tunnel.start_work(services={"echo": service})
    reader, writer = await connect(entrance)
    writer.write(b"a")
    assert await reader.readexactly(1) == b"a"
    with caplog.at_level(logging.INFO):
        await tunnel.start_work(services={"echo": service})
        await eventually(lambda: not first.home)
    assert "replaced" in first._trouble
    writer.write(b"b")
    assert await reader.readexactly(1) == b"b"
    assert await ask(entrance, b"c") == b"c"
    writer.close()
    assert "disconnected" not in caplog.text


async def test_home_starts_again_and_work_comes_back(tunnel: Tunnel, caplog: pytest.LogCaptureFixture) -> None:
    await tunnel.start_home()
    entrance = await tunnel.entrance("echo")
    work = await tunnel.start_work(services={"echo": await tunnel.serve(echo)})
    config = tunnel.home_config
    with caplog.at_level(logging.INFO):
        await tunnel.home.close()
        await eventually(lambda: not work.home)
        await asyncio.sleep(1)
        await tunnel.home.apply(config)
        await eventually(lambda: work.home)
    assert await ask(entrance, b"again") == b"again"
    warnings = [r.message for r in caplog.records if r.message.startswith("work: no connection")]
    assert len(warnings) <= 2  # the end, then "refused": once each, however often it tried


async def test_spares_save_a_round_trip_and_are_replaced(tunnel: Tunnel) -> None:
    await tunnel.start_home()
    entrance = await tunnel.entrance("echo")
    await tunnel.start_work(services={"echo": await tunnel.serve(echo)}, spares=2)
    (work,) = tunnel.home.works
    await eventually(lambda: len(work.spares) == 2)
    spares = list(work.spares)
    assert await ask(entrance, b"by a spare") == b"by a spare"
    await eventually(lambda: len(work.spares) == 2)
    assert spares[1] in work.spares
    assert spares[0] not in work.spares
    for spare in list(work.spares):
        spare.lower.abort()
    assert await ask(entrance, b"when they are cut") == b"when they are cut"
    await eventually(lambda: len(work.spares) == 2)
    assert not work.session.tickets


async def test_a_spare_cut_without_a_word_costs_one_more_try(tunnel: Tunnel) -> None:
    await tunnel.start_home()
    entrance = await tunnel.entrance("echo")
    work_end = await tunnel.start_work(services={"echo": await tunnel.serve(echo)}, spares=1)
    (work,) = tunnel.home.works
    await eventually(lambda: len(work.spares) == 1)
    await work_end._data.cancel()  # work drops its end; home may not know yet
    assert await ask(entrance, b"hello") == b"hello"
