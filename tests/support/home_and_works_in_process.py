"""A home and a work in this process, over real sockets, with services."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from proxy_policies.addresses import Address
from proxy_policies.reverse_tunnel.home.server import HomeConfig, HomeServer
from proxy_policies.reverse_tunnel.options import ClientListener, CommandListener, HomeAddress
from proxy_policies.reverse_tunnel.protocol.services import Service
from proxy_policies.reverse_tunnel.work.agent import WorkAgent, WorkConfig
from tests.support.waiting import eventually, free_port

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
BEAT = 2.0  # seconds: no loaded machine pauses for three of them
QUICK_BEAT = 0.2  # where heartbeats are what is tested
_clients: list[asyncio.StreamWriter] = []


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send back what is received, and end when it ends."""
    with contextlib.suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
        writer.write_eof()


class Tunnel:
    """A home, any number of works, and services; every change is made by `apply`."""

    def __init__(self, beat: float) -> None:
        self.home, self.command_listener = HomeServer(), ("127.0.0.1", free_port())
        self.home_config = HomeConfig(CommandListener(self.command_listener), heartbeat=beat)
        self.works: list[WorkAgent] = []
        self.servers: list[asyncio.Server] = []

    async def serve(self, handler: Handler) -> Address:
        """Start a service; return its address."""

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await handler(reader, writer)
            finally:
                writer.close()

        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        self.servers.append(server)
        host, port = server.sockets[0].getsockname()
        return host, port

    async def start_home(self, **changes: Any) -> None:
        """Start or change home."""
        self.home_config = replace(self.home_config, **changes)
        await self.home.apply(self.home_config)

    async def client_listener(self, service: str, work: str = "", proxy: bool = False) -> Address:
        """Open a client listener at home; return its address."""
        client_listener = ClientListener(("127.0.0.1", free_port()), service, work, proxy)
        await self.start_home(
            client_listeners={**self.home_config.client_listeners, client_listener.address: client_listener}
        )
        return client_listener.address

    async def start_work(self, name: str = "office", wait: bool = True, **config: Any) -> WorkAgent:
        """Start a work; `services` are addresses by name."""
        services = {n: Service(n, a) if isinstance(a, tuple) else a for n, a in config.pop("services", {}).items()}
        home_name = config.pop("home_name", "")
        work = WorkAgent()
        self.works.append(work)
        before = {w for w in self.home.works if w.name == name}
        await work.apply(
            WorkConfig(
                HomeAddress(self.command_listener, home_name),
                name,
                services=services,
                heartbeat=self.home_config.heartbeat,
                **config,
            )
        )
        if wait:
            await eventually(lambda: {w for w in self.home.works if w.name == name} - before and work.home)
        return work

    async def close(self) -> None:
        """End everything."""
        for work in self.works:
            await work.close()
        await self.home.close()
        for server in self.servers:
            server.close()
        await asyncio.sleep(0.01)


async def connect(address: Address) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect as a client, as soon as the address listens; it is closed with the tunnel at the latest."""
    async with asyncio.timeout(100):
        while True:
            try:
                reader, writer = await asyncio.open_connection(*address, limit=1 << 20)
            except ConnectionRefusedError:
                await asyncio.sleep(0.01)
            else:
                _clients.append(writer)
                return reader, writer


def close_clients() -> None:
    """Close the connections that `connect` opened."""
    for writer in _clients:
        writer.close()
    _clients.clear()


async def ask(address: Address, data: bytes) -> bytes:
    """Send data to a service, half-close, and return everything received."""
    reader, writer = await connect(address)
    try:
        writer.write(data)
        writer.write_eof()
        async with asyncio.timeout(100):
            return await reader.read()
    finally:
        writer.close()


class Middle:
    """Relays bytes to home until it is frozen, which neither side is notified of."""

    def __init__(self, target: Address) -> None:
        self._target = target
        self._flowing = asyncio.Event()
        self._flowing.set()
        self.address: Address = ("", 0)
        self._server: asyncio.Server | None = None

    async def start(self) -> Middle:
        self._server = await asyncio.start_server(self._pass_on, "127.0.0.1", 0)
        self.address = self._server.sockets[0].getsockname()
        return self

    def freeze(self) -> None:
        self._flowing.clear()

    def close(self) -> None:
        assert self._server
        self._server.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to_home = await asyncio.open_connection(*self._target)
        await asyncio.gather(self._one_way(reader, to_home[1]), self._one_way(to_home[0], writer))

    async def _one_way(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.CancelledError):
            while data := await reader.read(1 << 16):
                await self._flowing.wait()
                writer.write(data)
                await writer.drain()
            writer.close()
