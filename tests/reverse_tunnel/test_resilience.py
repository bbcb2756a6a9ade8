"""Peers that freeze, vanish, reconnect, or do not read."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import resource
from typing import Any

import pytest
from tests.support.home_and_works_in_process import QUICK_BEAT, Middle, Tunnel, ask, connect, echo
from tests.support.waiting import eventually

from proxy_policies.reverse_tunnel import limits
from proxy_policies.reverse_tunnel.home import server
from proxy_policies.reverse_tunnel.home.connected_works import ConnectedWork
from proxy_policies.reverse_tunnel.limits import MAX_LINES_PER_MINUTE
from proxy_policies.reverse_tunnel.protocol.command_protocol import OpenRequest
from proxy_policies.reverse_tunnel.protocol.frames import FrameKind, Parser
from proxy_policies.reverse_tunnel.protocol.handshake import MAX_MISSED_HEARTBEATS
from proxy_policies.reverse_tunnel.protocol.messages import (
    Begin,
    Claim,
    Hello,
    Offer,
    Prove,
    Reason,
    Refusal,
    Refuse,
    decode,
    encode,
)
from proxy_policies.reverse_tunnel.transport import connections
from proxy_policies.reverse_tunnel.work import agent

pytestmark = pytest.mark.timeout(60)

NOTICED = (MAX_MISSED_HEARTBEATS + 1) * QUICK_BEAT  # seconds within which a silent peer is given up
MIB = 1 << 20


@pytest.fixture
def beat() -> float:
    return QUICK_BEAT


@pytest.fixture
async def middle(tunnel: Tunnel) -> Middle:
    """Work reaches home through a relay that can stop passing bytes on."""
    started = await Middle(tunnel.command_listener).start()
    await tunnel.start_home()
    tunnel.command_listener = started.address
    return started


async def test_a_path_that_dies_silently_is_noticed_on_both_sides(
    tunnel: Tunnel, middle: Middle, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    client_listener = await tunnel.client_listener("echo")
    work = await tunnel.start_work(services={"echo": await tunnel.serve(echo)}, spares=2)
    idle_reader, idle_writer = await connect(client_listener)
    idle_writer.write(b"x")
    assert await idle_reader.readexactly(1) == b"x"
    middle.freeze()
    with contextlib.suppress(ConnectionResetError):
        assert await idle_reader.read() == b""  # an idle data connection is given up as well
    await eventually(lambda: not list(tunnel.home.works) and not work.home and not list(tunnel.home.sessions))
    silent = f"silent for {MAX_MISSED_HEARTBEATS * QUICK_BEAT:g} s"
    assert {line.split(":")[0] for line in caplog.messages if silent in line} == {"home", "work"}
    with pytest.raises(Refusal, match="no work connected"):
        await tunnel.home.open(OpenRequest("echo"))
    idle_writer.close()
    middle.close()


async def test_idle_connections_live_on_as_long_as_they_like(tunnel: Tunnel) -> None:
    await tunnel.start_home()
    client_listener = await tunnel.client_listener("echo")
    await tunnel.start_work(services={"echo": await tunnel.serve(echo)})
    reader, writer = await connect(client_listener)
    await asyncio.sleep(2.5 * NOTICED)
    writer.write(b"still here")
    assert await reader.readexactly(10) == b"still here"
    writer.close()
    assert [w.name for w in tunnel.home.works] == ["office"]


async def test_a_reader_that_pauses_is_no_dead_peer_and_stops_the_sender(tunnel: Tunnel) -> None:
    """Back-pressure end to end: the service pauses, memory stays flat, no session is ended, nothing is lost."""
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
    client_listener = await tunnel.client_listener("pour")
    await tunnel.start_work(services={"pour": await tunnel.serve(pour)})
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    reader, writer = await connect(client_listener)
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
    client_listener = await tunnel.client_listener("answer")
    await tunnel.start_work(services={"answer": await tunnel.serve(answer)})
    reader, writer = await connect(client_listener)
    writer.write_eof()
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    await asyncio.sleep(4)  # longer than FLUSH_TIMEOUT, for the last frame
    writer.transport.resume_reading()  # type: ignore[attr-defined]
    assert len(await reader.read()) == 3 * MIB
    writer.close()


async def test_a_new_command_connection_replaces_the_old_and_sessions_live_on(
    tunnel: Tunnel, caplog: pytest.LogCaptureFixture
) -> None:
    await tunnel.start_home()
    client_listener = await tunnel.client_listener("echo")
    service = await tunnel.serve(echo)
    first = await tunnel.start_work(services={"echo": service})
    reader, writer = await connect(client_listener)
    writer.write(b"a")
    assert await reader.readexactly(1) == b"a"
    with caplog.at_level(logging.INFO):
        await tunnel.start_work(services={"echo": service})
        await eventually(lambda: not first.home)
    assert "replaced" in first.failure
    writer.write(b"b")
    assert await reader.readexactly(1) == b"b"
    assert await ask(client_listener, b"c") == b"c"
    writer.close()
    assert "disconnected" not in caplog.text


async def test_home_starts_again_and_work_comes_back(tunnel: Tunnel, caplog: pytest.LogCaptureFixture) -> None:
    await tunnel.start_home()
    client_listener = await tunnel.client_listener("echo")
    work = await tunnel.start_work(services={"echo": await tunnel.serve(echo)})
    config = tunnel.home_config
    with caplog.at_level(logging.INFO):
        await tunnel.home.close()
        await eventually(lambda: not work.home)
        await asyncio.sleep(1)
        await tunnel.home.apply(config)
        await eventually(lambda: work.home)
    assert await ask(client_listener, b"again") == b"again"
    warnings = [r.message for r in caplog.records if r.message.startswith("work: no connection")]
    assert len(warnings) <= 2  # the end, then "refused": once each, however often it tried


async def test_spares_save_a_round_trip_and_are_replaced(tunnel: Tunnel) -> None:
    await tunnel.start_home()
    client_listener = await tunnel.client_listener("echo")
    await tunnel.start_work(services={"echo": await tunnel.serve(echo)}, spares=2)
    (work,) = tunnel.home.works
    await eventually(lambda: len(work.spares) == 2)
    spares = list(work.spares)
    assert await ask(client_listener, b"by a spare") == b"by a spare"
    await eventually(lambda: len(work.spares) == 2)
    assert spares[1] in work.spares
    assert spares[0] not in work.spares
    for spare in list(work.spares):
        spare.lower.abort()
    assert await ask(client_listener, b"when they are cut") == b"when they are cut"
    await eventually(lambda: len(work.spares) == 2)
    assert not work.protocol.pending


async def test_a_spare_cut_without_a_word_costs_one_more_try(tunnel: Tunnel) -> None:
    await tunnel.start_home()
    client_listener = await tunnel.client_listener("echo")
    cut_off = await tunnel.start_work(services={"echo": await tunnel.serve(echo)}, spares=1)
    (work,) = tunnel.home.works
    await eventually(lambda: len(work.spares) == 1)
    await cut_off._data.cancel()  # work drops its end; home may not know yet
    assert await ask(client_listener, b"hello") == b"hello"


async def test_two_machines_of_one_name_do_not_take_the_place_from_each_other(
    tunnel: Tunnel, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The later has it until it leaves; home's log names both."""
    monkeypatch.setattr(limits, "LAST_RETRY", 0.3)
    await tunnel.start_home()
    service = await tunnel.serve(echo)
    first = await tunnel.start_work(services={"echo": service})
    second = await tunnel.start_work(services={"echo": service})
    await eventually(lambda: not first.home)
    await asyncio.sleep(2)
    assert (first.home, second.home) == ("", "home")
    lines = [record.getMessage() for record in caplog.records if "two machines are work office" in record.getMessage()]
    assert len([line for line in lines if line.startswith("home: ")]) == 1
    assert "127.0.0.1 and 127.0.0.1; give each a name of its own" in lines[0]
    await second.close()
    await eventually(lambda: first.home)


async def test_a_home_that_starts_again_has_its_works_back_soon(
    tunnel: Tunnel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long it has been away: a second at most between two tries."""
    waited: list[float] = []

    def retry_delay(failures: int, chance: float, gone: float) -> float:
        waited.append(limits.retry_delay(failures, chance, gone))
        return waited[-1]

    monkeypatch.setattr(agent, "retry_delay", retry_delay)
    await tunnel.start_home()
    work = await tunnel.start_work()
    for _ in range(2):
        await tunnel.home.close()
        await eventually(lambda: not work.home)
        waited.clear()
        await eventually(lambda: len(waited) > 4)  # of which the last were longer, were they to double
        await tunnel.home.apply(tunnel.home_config)
        await eventually(lambda: work.home)
        assert max(waited) <= limits.RETRY_RESTART


async def test_nothing_ends_the_way_back_home(tunnel: Tunnel, monkeypatch: pytest.MonkeyPatch) -> None:
    errors = iter(
        [UnicodeError("label"), RuntimeError(), ValueError("x"), KeyError("x"), ExceptionGroup("", [OSError()])]
    )
    genuine = connections.dial_framed

    async def dial_framed(*arguments: Any) -> Any:
        if error := next(errors, None):
            raise error
        return await genuine(*arguments)

    monkeypatch.setattr(connections, "dial_framed", dial_framed)
    await tunnel.start_home()
    work = await tunnel.start_work(wait=False)
    await eventually(lambda: work.home, 20)


async def test_a_home_that_refuses_all_is_not_flooded_by_retries(
    tunnel: Tunnel, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """However often it says welcome first: neither it nor the log."""
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(limits, "RESTART", 1.0)
    came: list[float] = []

    async def listen(work: ConnectedWork) -> None:
        came.append(asyncio.get_running_loop().time())
        await asyncio.sleep(0.01)
        raise ConnectionResetError("no more of you")

    monkeypatch.setattr(ConnectedWork, "listen", listen)
    await tunnel.start_home()
    await tunnel.start_work(wait=False)
    await asyncio.sleep(8)
    gaps = [after - before for before, after in itertools.pairwise(came)]
    assert max(gaps) > 1
    assert len(came) < 12
    lines = [record.getMessage() for record in caplog.records if "onnect" in record.getMessage()]
    assert len(lines) <= 4 * MAX_LINES_PER_MINUTE


class BadWork:
    """A work that offers ssh, and treats each request for a data connection in the same bad way."""

    def __init__(self, tunnel: Tunnel, name: str, way: str) -> None:
        self._tunnel, self._name, self._way = tunnel, name, way
        self.asked = 0

    async def __aenter__(self) -> BadWork:
        command = await connect(self._tunnel.command_listener)
        self._command = command
        hello = Hello(self._name, "ab" * 32, 30)
        for message in (hello, Prove(""), Offer(("ssh",))):
            command[1].write(encode(message))
        await eventually(lambda: [w for w in self._tunnel.home.works if w.name == self._name])
        self._serving = asyncio.create_task(self._serve(command[0]))
        return self

    async def _serve(self, reader: asyncio.StreamReader) -> None:
        parser = Parser()
        while data := await reader.read(1 << 16):
            for kind, payload in parser.feed(data):
                if kind > FrameKind.CLOSE_ACK and isinstance(begin := decode(kind, payload), Begin):
                    self.asked += 1
                    await self._answer(begin)

    async def _answer(self, begin: Begin) -> None:
        if self._way == "silent":
            return
        _, writer = await connect(self._tunnel.command_listener)
        refusal = encode(Refuse(Reason.REFUSED, "no")) if self._way == "refuses" else b""
        writer.write(encode(Claim(self._name, begin.token)) + refusal)
        await writer.drain()
        writer.close()

    async def __aexit__(self, *exc: object) -> None:
        self._serving.cancel()
        self._command[1].close()


@pytest.mark.parametrize("way", ["refuses", "closes", "silent"])
async def test_another_work_s_turn(tunnel: Tunnel, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    """Of two works with a service the next is tried, and clients are sent there first from then on."""
    monkeypatch.setattr(server, "FAIL_OVER_TIMEOUT", 1.0)
    await tunnel.start_home()
    client_listener = await tunnel.client_listener("ssh")
    async with BadWork(tunnel, "bad", way) as bad:
        await tunnel.start_work("good", services={"ssh": await tunnel.serve(echo)}, spares=0)
        for _ in range(3):
            assert await ask(client_listener, b"hello") == b"hello"
        assert 1 <= bad.asked <= 3


async def test_one_client_makes_few_requests(tunnel: Tunnel) -> None:
    """Of a work whose data connections end without a word."""
    await tunnel.start_home()
    async with BadWork(tunnel, "bad", "closes") as bad:
        with pytest.raises(Refusal, match="opens data connections that end at once"):
            await tunnel.home.open(OpenRequest("ssh"))
        assert bad.asked == 3
