"""Unauthenticated peers are refused, and do not disturb authenticated ones."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.support.home_and_works_in_process import BEAT, Tunnel, ask, connect, echo
from tests.support.waiting import eventually

from proxy_policies.reverse_tunnel import certificates, identity
from proxy_policies.reverse_tunnel.home import handshakes, server
from proxy_policies.reverse_tunnel.limits import MAX_UNAUTHENTICATED
from proxy_policies.reverse_tunnel.protocol.command_protocol import OpenRequest, new_token
from proxy_policies.reverse_tunnel.protocol.frames import FrameKind, Parser, frame, frame_header
from proxy_policies.reverse_tunnel.protocol.messages import (
    Claim,
    Hello,
    Message,
    Offer,
    Prove,
    Reason,
    Refusal,
    Refuse,
    decode,
    encode,
)

pytestmark = pytest.mark.timeout(60)

SECRET = "a secret of some length"
HELLO = Hello("office", "ab" * 32, BEAT)


def plain(reader: asyncio.StreamReader) -> Any:
    """Read messages as they come."""

    async def read() -> Message:
        parser = Parser()
        while True:
            data = await reader.readexactly(1)
            for kind, payload in parser.feed(data):
                if kind != FrameKind.PING:
                    return decode(kind, payload)

    return read()


async def lead(tunnel: Tunnel, *messages: Message) -> Message:
    """Send messages to home as an unauthenticated peer, and return its last response."""
    reader, writer = await connect(tunnel.command_listener)
    try:
        for message in messages:
            writer.write(encode(message))
            answer = await plain(reader)
        return answer  # type: ignore[no-any-return]
    finally:
        writer.close()


GARBAGE: dict[str, bytes] = {
    "http": b"GET / HTTP/1.1\r\nHost: home\r\n\r\n",
    "tls to a plain home": bytes.fromhex("160301020001"),
    "zeros": bytes(100),
    "a long announcement": frame_header(16, (1 << 24) - 1),
    "no json": frame(16, b"hello"),
    "data first": frame(FrameKind.DATA, b"hello"),
    "another message": encode(Offer(())),
    "another protocol": encode(Hello("office", "ab" * 32, 1.0, protocol="frp")),
    "a flood of frames": encode(HELLO) * 500,
    "pings only": frame(FrameKind.PING) * 1000,
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
async def test_garbage_is_closed_fast_and_affects_no_other_peer(
    tunnel: Tunnel, folders: dict[str, Path], garbage: bytes, tls: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handshakes, "HANDSHAKE_TIMEOUT", 0.5)
    if tls:
        await tunnel.start_home(credentials=identity.load("home", str(folders["paris"]), ""))
    await tunnel.start_home()
    client_listener = await tunnel.client_listener("echo")
    credentials = identity.load("work", str(folders["office"]), "") if tls else identity.NO_CREDENTIALS
    await tunnel.start_work(services={"echo": await tunnel.serve(echo)}, credentials=credentials)
    client, client_writer = await connect(client_listener)
    client_writer.write(b"a")
    assert await client.readexactly(1) == b"a"
    reader, writer = await connect(tunnel.command_listener)
    writer.write(garbage)
    async with asyncio.timeout(100):
        with contextlib.suppress(ConnectionError):
            await reader.read()
    writer.close()
    client_writer.write(b"b")
    assert await client.readexactly(1) == b"b"
    client_writer.close()
    await eventually(lambda: not len(tunnel.home._handshakes.limiter))


async def test_a_slow_sender_has_little_time(tunnel: Tunnel, monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte now and then does not make it longer."""
    monkeypatch.setattr(handshakes, "HANDSHAKE_TIMEOUT", 0.3)
    await tunnel.start_home()
    reader, writer = await connect(tunnel.command_listener)
    with contextlib.suppress(ConnectionError):
        for byte in encode(HELLO):
            writer.write(bytes((byte,)))
            await writer.drain()
            if await _ended(reader, 0.05):
                break
    assert reader.at_eof() or reader.exception()  # it was closed with unread data
    writer.close()


async def _ended(reader: asyncio.StreamReader, within: float) -> bool:
    try:
        async with asyncio.timeout(within):
            return not await reader.read(1)
    except TimeoutError:
        return False


async def test_a_flood_of_unauthenticated_peers_is_bounded_and_affects_no_other_peer(tunnel: Tunnel) -> None:
    await tunnel.start_home()
    client_listener = await tunnel.client_listener("echo")
    await tunnel.start_work(services={"echo": await tunnel.serve(echo)})
    flood = []
    for _ in range(400):
        sock = socket.socket()
        sock.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            sock.connect(tunnel.command_listener)
        flood.append(sock)
    for n in range(20):
        assert await ask(client_listener, b"%d" % n) == b"%d" % n
        assert len(tunnel.home._handshakes.limiter) <= MAX_UNAUTHENTICATED + tunnel.home.works.awaited
    for sock in flood:
        sock.close()
    await eventually(lambda: not tunnel.home._handshakes._unauthenticated)


async def test_unauthenticated_peers_at_works_address_do_not_lock_it_out(
    tunnel: Tunnel, folders: dict[str, Path]
) -> None:
    """All behind one NAT or balancer: 40 idle connections, opened again as they are closed, without and with TLS."""
    await tunnel.start_home()
    for tls in (False, True):
        if tls:
            await tunnel.start_home(credentials=load("home", folders["paris"]))
        hammering = [asyncio.create_task(_hammer(tunnel)) for _ in range(40)]
        await asyncio.sleep(0.5)
        credentials = load("work", folders["office"]) if tls else identity.NO_CREDENTIALS
        work = await tunnel.start_work(wait=False, services={"echo": await tunnel.serve(echo)}, credentials=credentials)
        await eventually(lambda: work.home, 15)  # noqa: B023
        await work.close()
        for task in hammering:
            task.cancel()
        await asyncio.gather(*hammering, return_exceptions=True)


async def _hammer(tunnel: Tunnel) -> None:
    while True:
        reader, writer = await connect(tunnel.command_listener)
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()
        await asyncio.sleep(0.2)


async def test_evicted_unauthenticated_peers_are_not_logged_one_by_one(
    tunnel: Tunnel, folders: dict[str, Path], caplog: pytest.LogCaptureFixture
) -> None:
    await tunnel.start_home(credentials=load("home", folders["paris"]))
    flood = []
    for _ in range(200):
        flood.append((await connect(tunnel.command_listener))[1])
    for writer in flood:
        writer.transport.abort()
    await eventually(lambda: not len(tunnel.home._handshakes.limiter))
    await asyncio.sleep(0.1)
    assert len([record for record in caplog.records if record.levelno >= logging.WARNING]) <= 3
    assert "Traceback" not in caplog.text


async def test_guesses_at_the_secret_take_time_and_few_lines(tunnel: Tunnel, caplog: pytest.LogCaptureFixture) -> None:
    await tunnel.start_home(credentials=identity.load("home", "secret", SECRET))
    context = identity.load("work", "secret", "another secret altogether").context

    async def guess() -> None:
        reader, writer = await asyncio.open_connection(*tunnel.command_listener, ssl=context, server_hostname="")
        for message in (HELLO, Prove("00" * 32)):
            writer.write(encode(message))
            await plain(reader)
        writer.close()

    loop = asyncio.get_running_loop()
    began = loop.time()
    for _ in range(8):
        await guess()
    assert loop.time() - began > 3
    lines = [record.getMessage() for record in caplog.records if "wrong secret" in record.getMessage()]
    assert len(lines) == 1
    right = await tunnel.start_work(credentials=identity.load("work", "secret", SECRET))
    assert right.home


async def test_what_a_peer_says_is_escaped_in_the_log(tunnel: Tunnel, caplog: pytest.LogCaptureFixture) -> None:
    forged = "x\x1b[2Jy\nhome: work office connected from 192.0.2.7\x9b\u202e"
    await tunnel.start_home()
    client_listener = await tunnel.client_listener("ssh")
    async with FakeWork(tunnel) as office:
        for answer in (encode(Refuse(Reason.REFUSED, forged)), frame(FrameKind.RST, forged.encode())):
            asking = asyncio.create_task(ask(client_listener, b""))
            begin = await plain(office)
            _, writer = await connect(tunnel.command_listener)
            writer.write(encode(Claim("office", begin.token)) + answer)
            with pytest.raises(ConnectionResetError):
                await asking
            writer.close()
    assert "\\x1b[2Jy\\x0ahome" in caplog.text
    assert not {"\x1b", "\x9b", "\u202e"} & set(caplog.text)
    assert not [line for line in caplog.text.splitlines() if line.startswith("home: work office connected")]


async def test_versions_are_negotiated(tunnel: Tunnel) -> None:
    await tunnel.start_home()
    answer = await lead(tunnel, Hello("office", "ab" * 32, BEAT, version=2))
    assert answer == Refuse(Reason.VERSION, "work speaks version 2, this side speaks 1")


async def test_a_data_connection_needs_a_token_that_is_waited_for(tunnel: Tunnel) -> None:
    await tunnel.start_home()
    await tunnel.start_work(services={"echo": await tunnel.serve(echo)})
    for work in ("office", "nobody"):
        answer = await lead(tunnel, Claim(work, new_token()))
        assert isinstance(answer, Refuse)
        assert answer.reason is Reason.STALE


class FakeWork:
    """A connected work in plain mode that offers ssh, with a foreign implementation."""

    def __init__(self, tunnel: Tunnel, name: str = "office") -> None:
        self._tunnel, self._name = tunnel, name

    async def __aenter__(self) -> asyncio.StreamReader:
        reader, self.writer = await connect(self._tunnel.command_listener)
        self.writer.write(encode(Hello(self._name, "ab" * 32, 30)))
        await plain(reader)
        self.writer.write(encode(Prove("")))
        await plain(reader)
        self.writer.write(encode(Offer(("ssh",))))
        await eventually(lambda: [w for w in self._tunnel.home.works if w.name == self._name])
        return reader

    async def __aexit__(self, *exc: object) -> None:
        self.writer.close()


async def test_a_token_is_for_one_connection_of_one_work(tunnel: Tunnel) -> None:
    await tunnel.start_home()
    async with FakeWork(tunnel) as office, FakeWork(tunnel, "lab"):
        opening = asyncio.create_task(tunnel.home.open(OpenRequest("ssh"), "office"))
        begin = await plain(office)
        other = await lead(tunnel, Claim("lab", begin.token))
        assert isinstance(other, Refuse)
        assert not opening.done()
        _, writer = await connect(tunnel.command_listener)
        writer.write(encode(Claim("office", begin.token)) + frame(26, b"{}"))
        data = await opening
        replay = await lead(tunnel, Claim("office", begin.token))
        assert isinstance(replay, Refuse)
        assert replay.reason is Reason.STALE
        data.abort()
        writer.close()


async def test_a_work_that_never_opens_its_data_connection(tunnel: Tunnel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "OPEN_TIMEOUT", 0.2)
    await tunnel.start_home()
    async with FakeWork(tunnel) as office:
        with pytest.raises(Refusal, match="timed out: ssh did not answer within"):
            await tunnel.home.open(OpenRequest("ssh"), "office")
        begin = await plain(office)
        late = await lead(tunnel, Claim("office", begin.token))
        assert isinstance(late, Refuse)


def load(kind: str, folder: Path) -> Any:
    return identity.load(kind, str(folder), "")


def posing(kind: str, folder: Path) -> identity.Credentials:
    """Load a certificate for another role, as an attacker who has stolen it might."""
    honest = identity.load("work" if kind == "home" else "home", str(folder), "")
    context = identity._context(kind)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(folder / certificates.CA)
    context.load_cert_chain(folder / certificates.CERT, folder / certificates.KEY)
    return replace(honest, context=context)


async def trouble(tunnel: Tunnel, credentials: Any, name: str = "office", **config: Any) -> str:
    """Start a work that does not get in; returns what it says in its log."""
    work = await tunnel.start_work(name, wait=False, credentials=credentials, **config)
    text: str = await eventually(lambda: work.failure)
    assert not list(tunnel.home.works)
    await work.close()
    return text


async def test_certificates_of_another_authority(tunnel: Tunnel, folders: dict[str, Path], tmp_path: Path) -> None:
    await tunnel.start_home(credentials=load("home", folders["paris"]))
    foreign = certificates.make("work", "office", tmp_path / "office")
    assert "its certificate is invalid" in await trouble(tunnel, load("work", foreign))
    (foreign / "ca.pem").write_bytes((folders["office"] / "ca.pem").read_bytes())
    assert "does home accept this identity?" in await trouble(tunnel, load("work", foreign))


async def test_a_work_is_no_home_and_a_home_no_work(tunnel: Tunnel, folders: dict[str, Path]) -> None:
    await tunnel.start_home(credentials=load("home", folders["paris"]))
    assert "does home accept this identity?" in await trouble(tunnel, posing("work", folders["paris"]))
    await tunnel.start_home(credentials=posing("home", folders["lab"]))
    assert "unsuitable certificate purpose" in await trouble(tunnel, load("work", folders["office"]))


async def test_a_certificate_s_name_cannot_be_talked_away(tunnel: Tunnel, folders: dict[str, Path]) -> None:
    await tunnel.start_home(credentials=load("home", folders["paris"]))
    assert "certificate says office, not boss" in await trouble(tunnel, load("work", folders["office"]), "boss")


async def test_a_home_is_none_but_itself(tunnel: Tunnel, folders: dict[str, Path]) -> None:
    """Lyon's certificate is a home's, of the same authority; works that want paris do not even greet it."""
    office, lyon = load("work", folders["office"]), load("home", folders["lyon"])
    await tunnel.start_home(credentials=replace(lyon, name="paris"))
    assert "certificate says lyon, not paris" in await trouble(tunnel, office)
    said = await trouble(tunnel, office, home_name="paris")
    assert "certificate says lyon, work_home says paris" in said
    await tunnel.start_home(credentials=load("home", folders["paris"]))
    work = await tunnel.start_work(credentials=office, home_name="paris")
    assert work.home == "paris"


async def test_no_client_certificate_and_no_old_tls(tunnel: Tunnel, folders: dict[str, Path]) -> None:
    await tunnel.start_home(credentials=load("home", folders["paris"]))
    context = ssl.create_default_context(cafile=str(folders["office"] / "ca.pem"))
    context.check_hostname = False
    reader, writer = await asyncio.open_connection(*tunnel.command_listener, ssl=context)
    writer.write(encode(HELLO))
    with pytest.raises((ConnectionError, ssl.SSLError, asyncio.IncompleteReadError)):
        await plain(reader)
    context.load_cert_chain(folders["office"] / "cert.pem", folders["office"] / "key.pem")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises((ConnectionError, ssl.SSLError)):
        await asyncio.open_connection(*tunnel.command_listener, ssl=context)


async def test_a_data_connection_shows_its_work_s_certificate(tunnel: Tunnel, folders: dict[str, Path]) -> None:
    """Lab knows office's token, and is let in to home; it still is not office."""
    await tunnel.start_home(credentials=load("home", folders["paris"]))
    await tunnel.start_work(services={"echo": await tunnel.serve(echo)}, credentials=load("work", folders["office"]))
    context = load("work", folders["lab"]).context
    reader, writer = await asyncio.open_connection(*tunnel.command_listener, ssl=context, server_hostname="")
    writer.write(encode(Claim("office", new_token())))
    answer = await plain(reader)
    assert isinstance(answer, Refuse)
    assert answer.reason is Reason.NOT_ALLOWED
    writer.close()


async def test_the_wrong_secret(tunnel: Tunnel) -> None:
    await tunnel.start_home(credentials=identity.load("home", "secret", SECRET))
    assert "wrong secret" in await trouble(tunnel, identity.load("work", "secret", "another secret altogether"))


async def test_a_man_in_the_middle_without_the_secret(tunnel: Tunnel) -> None:
    """He ends TLS on both sides and passes every byte on: the proofs cover a certificate that is not his."""
    await tunnel.start_home(credentials=identity.load("home", "secret", SECRET))
    real = tunnel.command_listener
    his = identity.load("home", "secret", "he has one of his own").context

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        context = identity.load("work", "secret", SECRET).context
        up = await asyncio.open_connection(*real, ssl=context, server_hostname="")
        with contextlib.suppress(OSError):
            await asyncio.gather(_copy(reader, up[1]), _copy(up[0], writer))

    server = await asyncio.start_server(pass_on, "127.0.0.1", 0, ssl=his)
    tunnel.command_listener = server.sockets[0].getsockname()
    assert "wrong secret" in await trouble(tunnel, identity.load("work", "secret", SECRET))
    server.close()
    tunnel.command_listener = real


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 16):
        writer.write(data)
    writer.close()


async def test_modes_do_not_mix(tunnel: Tunnel, folders: dict[str, Path]) -> None:
    await tunnel.start_home(credentials=load("home", folders["paris"]))
    for credentials in (identity.load("work", "secret", SECRET), identity.NO_CREDENTIALS):
        assert await trouble(tunnel, credentials)
    await tunnel.start_home(credentials=identity.load("home", "secret", SECRET))
    for credentials in (load("work", folders["office"]), identity.NO_CREDENTIALS):
        assert await trouble(tunnel, credentials)
    await tunnel.start_home(credentials=identity.NO_CREDENTIALS)
    for credentials in (load("work", folders["office"]), identity.load("work", "secret", SECRET)):
        assert await trouble(tunnel, credentials)


async def test_who_says_something_is_not_closed_for_those_who_do_not(tunnel: Tunnel, folders: dict[str, Path]) -> None:
    """A distant work among unauthenticated peers from its own address: TLS takes it two round trips."""
    await tunnel.start_home(credentials=load("home", folders["paris"]))
    reader, writer = await connect(tunnel.command_listener)
    writer.write(b"\x16\x03\x01\x02\x00\x01")
    await eventually(lambda: any(peer.stage for peer in tunnel.home._handshakes.limiter._peers.values()))
    for _ in range(MAX_UNAUTHENTICATED + 30):
        await connect(tunnel.command_listener)
    await eventually(lambda: len(tunnel.home._handshakes.limiter) == MAX_UNAUTHENTICATED)
    assert not await _ended(reader, 0.05)
