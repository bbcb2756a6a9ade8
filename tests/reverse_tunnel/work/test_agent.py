"""Which service a client reaches, the error if there is none, and changes while everything runs."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
from dataclasses import replace
from typing import Any

import pytest
from tests.support.home_and_works_in_process import Handler, Tunnel, ask, connect, echo
from tests.support.waiting import eventually, free_port

from proxy_policies.proxy_protocol.header import SIGNATURE
from proxy_policies.reverse_tunnel.limits import SessionLimits
from proxy_policies.reverse_tunnel.options import ClientListener, parse_allow
from proxy_policies.reverse_tunnel.protocol.command_protocol import OpenRequest
from proxy_policies.reverse_tunnel.protocol.messages import Reason, Refusal
from proxy_policies.reverse_tunnel.protocol.services import Service
from proxy_policies.reverse_tunnel.transport import connections
from proxy_policies.reverse_tunnel.transport.framed import Framed
from proxy_policies.reverse_tunnel.work.agent import WorkAgent, WorkConfig

pytestmark = pytest.mark.timeout(60)

RATE = 1_000_000  # bytes a second
BITE = 10_000  # bytes


def saying(text: bytes) -> Handler:
    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.write(text)

    return say


async def refusal(tunnel: Tunnel, service: str, work: str = "") -> Refusal:
    with pytest.raises(Refusal) as refused:
        await tunnel.home.open(OpenRequest(service), work)
    return refused.value


async def test_many_services_and_many_works(tunnel: Tunnel) -> None:
    await tunnel.start_home()
    a, b, c = [await tunnel.serve(saying(text)) for text in (b"a", b"b", b"c")]
    await tunnel.start_work("office", services={"wiki": a, "mail": b})
    await tunnel.start_work("lab", services={"wiki": c, "data": c})
    cases = {
        ("wiki", "office"): b"a",
        ("wiki", "lab"): b"c",
        ("mail", ""): b"b",
        ("data", ""): b"c",
        ("wiki", ""): b"a",
    }
    for (service, work), answer in cases.items():
        assert await ask(await tunnel.client_listener(service, work), b"") == answer


async def test_errors_are_told_apart(tunnel: Tunnel, caplog: pytest.LogCaptureFixture) -> None:
    await tunnel.start_home()
    assert str(await refusal(tunnel, "wiki")) == "no work connected: none offers wiki"
    assert str(await refusal(tunnel, "wiki", "office")) == "no work connected: no work office is connected"
    closed = free_port()
    await tunnel.start_work(services={"wiki": ("127.0.0.1", closed)})
    assert str(await refusal(tunnel, "mail", "office")) == "service unknown: work office offers no mail"
    assert str(await refusal(tunnel, "mail")) == "service unknown: no work offers mail"
    refused = await refusal(tunnel, "wiki")
    assert refused.reason is Reason.REFUSED
    assert f"127.0.0.1:{closed}" in refused.text
    client_listener = await tunnel.client_listener("wiki")
    with caplog.at_level(logging.INFO), pytest.raises(ConnectionResetError):
        await ask(client_listener, b"")
    lines = [r.message for r in caplog.records if "home: refused" in r.message]
    assert len(lines) == 1
    assert "to wiki: service refused" in lines[0]


async def test_a_service_that_does_not_answer(tunnel: Tunnel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its queue of unaccepted connections is full, so that the kernel lets a connect wait."""
    monkeypatch.setattr(connections, "CONNECT_TIMEOUT", 0.5)
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        fill = [socket.socket() for _ in range(4)]
        for sock in fill:
            sock.setblocking(False)
            sock.connect_ex(listener.getsockname())
        await tunnel.start_home()
        await tunnel.start_work(services={"deaf": listener.getsockname()})
        refused = await refusal(tunnel, "deaf")
        for sock in fill:
            sock.close()
    assert refused.reason is Reason.TIMEOUT
    assert "does not answer" in refused.text


async def test_services_change_live(tunnel: Tunnel, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    await tunnel.start_home()
    client_listener = await tunnel.client_listener("wiki")
    wiki, mail = Service("wiki", await tunnel.serve(echo)), Service("mail", await tunnel.serve(echo))
    work = await tunnel.start_work(services={"wiki": wiki})
    reader, writer = await connect(client_listener)
    writer.write(b"before")
    assert await reader.readexactly(6) == b"before"
    await work.apply(_with(work, services={"mail": mail}))
    await eventually(lambda: [w.protocol.services for w in tunnel.home.works] == [("mail",)])
    assert (await refusal(tunnel, "wiki")).reason is Reason.UNKNOWN
    assert {"work: now offers mail", "home: work office now offers mail"} <= set(caplog.messages)
    writer.write(b"after")
    assert await reader.readexactly(5) == b"after"
    writer.close()


def _with(work: WorkAgent, **changes: Any) -> WorkConfig:
    return replace(work.config, **changes)


async def test_what_a_work_may_offer(tunnel: Tunnel, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    await tunnel.start_home(allowance=parse_allow(["office=wiki"]))
    target = await tunnel.serve(saying(b"x"))
    await tunnel.start_work(services={"wiki": target, "mail": target})
    assert await ask(await tunnel.client_listener("wiki"), b"") == b"x"
    assert "may not offer mail" in str(await refusal(tunnel, "mail", "office"))
    assert "work office may not offer mail" in str(await refusal(tunnel, "mail"))
    garage = await tunnel.start_work("garage", wait=False, services={"wiki": target})
    await eventually(lambda: "home_allow does not list work garage" in garage.failure)
    await tunnel.start_home(allowance=parse_allow(["office=mail", "garage=*"]))
    assert "may not offer wiki" in str(await refusal(tunnel, "wiki", "office"))
    assert "home: work office now offers mail (not allowed: wiki)" in caplog.messages
    assert await ask(await tunnel.client_listener("mail"), b"") == b"x"
    await eventually(lambda: garage.home)
    await tunnel.start_home(allowance=parse_allow(["garage=*"]))
    await eventually(lambda: [w.name for w in tunnel.home.works] == ["garage"])


async def test_entrances_come_and_go(tunnel: Tunnel) -> None:
    await tunnel.start_home()
    client_listener = await tunnel.client_listener("echo")
    await tunnel.start_work(services={"echo": await tunnel.serve(echo)})
    reader, writer = await connect(client_listener)
    await tunnel.start_home(client_listeners={})
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(*client_listener)
    writer.write(b"alive")
    assert await reader.readexactly(5) == b"alive"
    writer.close()


async def test_a_client_listener_on_a_used_port_opens_when_it_is_free(
    tunnel: Tunnel, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = other.getsockname()
        await tunnel.start_home(client_listeners={address: ClientListener(address, "echo")})
        await eventually(lambda: "cannot listen" in caplog.text)
    await tunnel.start_work(services={"echo": await tunnel.serve(echo)})
    assert await ask(address, b"x") == b"x"


@pytest.mark.parametrize(("failures", "answer"), [(5, b"x"), (6, None)])
async def test_a_data_connection_that_home_closes_is_dialled_again(
    tunnel: Tunnel, monkeypatch: pytest.MonkeyPatch, failures: int, answer: bytes | None
) -> None:
    """As it does in a flood, where each has a chance; there is an end to it."""
    await tunnel.start_home()
    address = await tunnel.client_listener("echo")
    await tunnel.start_work(services={"echo": await tunnel.serve(echo)}, spares=0)
    dial, failing = connections.dial_framed, iter(range(failures))

    async def dial_in_a_flood(*arguments: Any) -> Framed:
        if next(failing, None) is not None:
            raise ConnectionResetError("closed for another")
        return await dial(*arguments)

    monkeypatch.setattr(connections, "dial_framed", dial_in_a_flood)
    if answer is None:
        with pytest.raises(ConnectionResetError):
            await ask(address, b"x")
    else:
        assert await ask(address, b"x") == answer


async def test_the_service_sees_the_client_s_address(tunnel: Tunnel) -> None:
    await tunnel.start_home()
    client_listener = await tunnel.client_listener("echo")
    address = await tunnel.serve(echo)
    await tunnel.start_work(services={"echo": Service("echo", address, proxy=True)}, spares=1)
    for _ in range(3):  # by a spare data connection, and without
        reader, writer = await connect(client_listener)
        host, port = writer.get_extra_info("sockname")
        writer.write(b"hello")
        writer.write_eof()
        seen = await reader.read()
        head = (
            socket.inet_aton(host) + socket.inet_aton("127.0.0.1") + port.to_bytes(2) + client_listener[1].to_bytes(2)
        )
        assert seen == SIGNATURE + b"\x21\x11\x00\x0c" + head + b"hello"
        writer.close()


async def test_limits_on_sessions(tunnel: Tunnel, caplog: pytest.LogCaptureFixture) -> None:
    await tunnel.start_home(limits=SessionLimits(service=1))
    client_listener = await tunnel.client_listener("echo")
    await tunnel.start_work(services={"echo": await tunnel.serve(echo)})
    reader, writer = await connect(client_listener)
    writer.write(b"1")
    assert await reader.readexactly(1) == b"1"
    with pytest.raises(ConnectionResetError):
        await ask(client_listener, b"")
    assert "limit reached: echo has 1 sessions" in caplog.text
    writer.close()
    await eventually(lambda: not list(tunnel.home.sessions))
    assert await ask(client_listener, b"2") == b"2"


async def test_a_limit_on_bytes_per_second(tunnel: Tunnel) -> None:
    await tunnel.start_home(limits=SessionLimits(rate=RATE))
    client_listener = await tunnel.client_listener("echo")
    await tunnel.start_work(services={"echo": await tunnel.serve(echo)})
    loop = asyncio.get_running_loop()
    began = loop.time()
    data = bytes(3 * RATE // 2)  # three seconds' worth there and back; one is the first burst, less than one the last
    assert await ask(client_listener, data) == data
    assert loop.time() - began > 1


async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await reader.read(1 << 16):
        pass
    writer.write(b"thanks")


@pytest.mark.parametrize(("handler", "size"), [(echo, 3 * RATE // 2), (swallow, 3 * RATE)], ids=["both ways", "up"])
async def test_the_limit_holds_for_this_process_too(tunnel: Tunnel, handler: Handler, size: int) -> None:
    await tunnel.start_home(limits=SessionLimits(rate=RATE))
    await tunnel.start_work(services={"it": await tunnel.serve(handler)})
    reader, writer = await tunnel.home.connect("it", "office")
    loop = asyncio.get_running_loop()
    began, read = loop.time(), asyncio.ensure_future(reader.read())
    for _ in range(size // BITE):
        writer.write(bytes(BITE))
        await writer.drain()
    writer.write_eof()
    assert await read == (bytes(size) if handler is echo else b"thanks")
    assert loop.time() - began > 1
    writer.close()
    await eventually(lambda: not list(tunnel.home.sessions))


async def test_a_paced_stream_may_be_closed_while_it_rests(tunnel: Tunnel) -> None:
    await tunnel.start_home(limits=SessionLimits(rate=RATE))
    await tunnel.start_work(services={"echo": await tunnel.serve(echo)})
    reader, writer = await tunnel.home.connect("echo", "office")
    writer.write(bytes(2 * RATE))
    assert await reader.read(1)
    writer.transport.abort()
    with pytest.raises(ConnectionError):
        await writer.drain()
    await eventually(lambda: not list(tunnel.home.sessions))


async def test_closing_a_session_from_home(tunnel: Tunnel) -> None:
    await tunnel.start_home()
    client_listener = await tunnel.client_listener("echo")
    await tunnel.start_work(services={"echo": await tunnel.serve(echo)})
    reader, writer = await connect(client_listener)
    await eventually(lambda: list(tunnel.home.sessions))
    assert tunnel.home.sessions.close("nothing") == 0
    assert tunnel.home.sessions.close("echo") == 1
    with contextlib.suppress(ConnectionResetError):
        assert await reader.read() == b""
    writer.close()
    await eventually(lambda: not list(tunnel.home.sessions))


async def test_a_stream_pair_for_this_process(tunnel: Tunnel) -> None:
    """What the forward proxy gets for SERVICE.WORK.internal."""
    await tunnel.start_home()
    await tunnel.start_work(services={"echo": await tunnel.serve(echo)})
    reader, writer = await tunnel.home.connect("echo", "office")
    assert writer.get_extra_info("peername")[0] == "127.0.0.1"
    data = bytes(range(256)) * 20_000
    writer.write(data)
    writer.write_eof()
    assert await reader.read() == data
    assert len(list(tunnel.home.sessions)) == 1
    writer.close()
    await eventually(lambda: not list(tunnel.home.sessions))
    with pytest.raises(Refusal):
        await tunnel.home.connect("mail", "office")
    assert not list(tunnel.home.sessions)


async def test_a_stream_that_is_lost_before_it_is_handed_over_counts_no_more(
    tunnel: Tunnel, monkeypatch: pytest.MonkeyPatch
) -> None:
    await tunnel.start_home(limits=SessionLimits(service=1))
    await tunnel.start_work(services={"echo": await tunnel.serve(echo)})
    opened = tunnel.home.open

    async def open_and_lose(call: OpenRequest, work: str = "") -> Framed:
        data = await opened(call, work)
        data.abort()
        await asyncio.sleep(0.05)
        return data

    monkeypatch.setattr(tunnel.home, "open", open_and_lose)
    for _ in range(3):
        reader, _writer = await tunnel.home.connect("echo", "office")
        with pytest.raises(ConnectionResetError):
            await reader.read()
    assert not list(tunnel.home.sessions)


async def test_a_service_that_goes_on_for_ever_is_told_that_its_client_has_left(tunnel: Tunnel) -> None:
    """It reads no end of file; but what it sends is refused, as over TCP."""
    over: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                writer.write(b"an event\n")
                await writer.drain()
                await asyncio.sleep(0.01)
        except OSError as error:
            over.set_result(type(error).__name__)

    await tunnel.start_home()
    await tunnel.start_work(services={"events": await tunnel.serve(stream)})
    reader, writer = await tunnel.home.connect("events", "office")
    assert await reader.readline() == b"an event\n"
    writer.close()
    async with asyncio.timeout(100):
        assert await over in ("ConnectionResetError", "BrokenPipeError")
    await eventually(lambda: not list(tunnel.home.sessions))


async def test_a_work_that_may_offer_nothing_is_never_said_to_be_connected(
    tunnel: Tunnel, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await tunnel.start_home()
    office = await tunnel.start_work()
    caplog.clear()
    await tunnel.start_home(allowance=parse_allow(["lab=*"]))
    await eventually(lambda: "home_allow does not list work office" in office.failure)
    await asyncio.sleep(1)
    lines = [record.getMessage() for record in caplog.records]
    assert "home: work office disconnected: rejected by home_allow" in lines
    assert [line for line in lines if "work: connected" in line] == []


async def test_a_client_that_is_gone_at_once_is_nothing_to_log(
    tunnel: Tunnel, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """macOS says EINVAL of whatever is asked of a socket that was reset."""

    async def accept_bare(sock: socket.socket) -> Any:
        raise OSError(errno.EINVAL, "Invalid argument")

    await tunnel.start_home()
    client_listener = await tunnel.client_listener("echo")
    monkeypatch.setattr(connections, "accept_bare", accept_bare)
    reader, _ = await connect(client_listener)
    async with asyncio.timeout(100):
        assert await reader.read() == b""
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
    assert not list(tunnel.home.sessions)


@pytest.mark.parametrize("spares", [0, 2])
async def test_a_session_that_is_being_opened_is_finished_as_well(
    spares: int, tunnel: Tunnel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A work that is told to stop ends once it serves no session: a slow service's client would be cut off."""
    is_dialled, may_connect = asyncio.Event(), asyncio.Event()
    genuine = connections.dial_bare

    async def dial(address: Any) -> Any:
        is_dialled.set()
        await may_connect.wait()
        return await genuine(address)

    monkeypatch.setattr(connections, "dial_bare", dial)
    await tunnel.start_home()
    address = await tunnel.client_listener("it")
    work = await tunnel.start_work(services={"it": await tunnel.serve(echo)}, spares=spares)
    await eventually(lambda: [len(one.spares) for one in tunnel.home.works] == [spares])
    client = asyncio.create_task(ask(address, b"hello"))
    await is_dialled.wait()
    await work.leave()
    assert work.sessions
    may_connect.set()
    assert await client == b"hello"
    await eventually(lambda: not work.sessions)
