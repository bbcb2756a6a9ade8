"""A client's connection from its acceptance on, which no mitmproxy layer has seen."""

from __future__ import annotations

import asyncio
import socket
import time
from typing import Any

from mitmproxy.connection import Client, ConnectionState
from mitmproxy.proxy.mode_specs import ReverseMode
from mitmproxy.proxy.server_hooks import ClientConnectedHook, ClientDisconnectedHook

from proxy_policies.addresses import Address
from proxy_policies.byte_streams.byte_stream import SocketStream
from proxy_policies.connection import handover
from proxy_policies.connection.client_connection import ClientConnection, ConnectionOwner
from proxy_policies.connection.responders import Responders
from proxy_policies.exchange.origin_connections import Destination
from proxy_policies.lazy_imports import lazy_imports
from proxy_policies.proxy_protocol.addon import HEADER_TIMEOUT, NO_HEADER, ProxyProtocol

with lazy_imports():
    from proxy_policies.proxy_protocol import header


class AcceptedClient(ClientConnection):
    """One client, from its acceptance until it leaves or is handed over."""

    stream: SocketStream

    def __init__(
        self,
        owner: ConnectionOwner,
        responders: Responders,
        instance: Any,
        sock: socket.socket,
        peername: tuple[Any, ...],
        protocol: ProxyProtocol | None = None,
    ) -> None:
        mode = instance.mode
        client = Client(
            peername=peername,
            sockname=sock.getsockname(),
            timestamp_start=time.time(),
            proxy_mode=mode,
            state=ConnectionState.OPEN,
        )
        destination = Destination(mode.scheme, *mode.address) if isinstance(mode, ReverseMode) else None
        super().__init__(owner, responders, client, SocketStream(sock), destination)
        self._instance = instance
        self._protocol = protocol
        """Set if the connection begins with a PROXY header."""
        self._header = b""
        """The PROXY header: passed to mitmproxy if it gets the connection before the addons have seen the client."""
        self._is_shown = False
        """The addons have been notified of the client."""

    # Beginning

    async def start(self) -> None:
        """Notify the addons of the client, and start reading."""
        if self._protocol is not None and not await self._read_address(self._protocol):
            return
        self._is_busy = True
        self.log("client connect")
        self._is_shown = True
        await self.trigger(ClientConnectedHook, self.client)
        self._is_busy = False
        if self.client.error:
            self.log("client kill connection")
            self.leave()
        else:
            self.stream.start_reading()
            if self.stream.received:
                self._readable()

    async def _read_address(self, protocol: ProxyProtocol) -> bool:
        """Read the client's address from the PROXY header; return False if the connection is no longer ours.

        A malformed header is left to mitmproxy, which reports it.
        """
        peer, address, error = self.client.peername, None, ""
        if not protocol.expect_header(peer):
            self.leave()
            return False
        self._is_busy = True
        try:
            async with asyncio.timeout(HEADER_TIMEOUT):
                address = await self._read_header()
        except header.HeaderError:
            pass
        except TimeoutError:
            error = NO_HEADER
        finally:
            protocol.header_done(peer, error)
        self._is_busy = False
        if error:
            self.leave()
            return False
        if address is None or protocol.is_trusted_peer(address[0]):
            self.hand_over()
            return False
        self.client.peername = address
        return True

    async def _read_header(self) -> Address | None:
        stream = self.stream
        while (found := header.parse(said := bytes(stream.received))) is None:
            if not await stream.wait():
                return None
        address, rest = found
        if address is not None:
            self._header = said[: len(said) - len(rest)]
            del stream.received[: len(self._header)]
        return address

    # Ending

    def _left(self) -> None:
        if not self._is_shown:
            self.stream.fail_silently()
            return
        self.log("client disconnect")
        self.client.state, self.client.timestamp_end = ConnectionState.CLOSED, time.time()
        self.begin(self._disconnected())

    async def _disconnected(self) -> None:
        await self.trigger(ClientDisconnectedHook, self.client)
        self._close_origins()

    def hand_over(self) -> None:
        """Hand the connection over to mitmproxy, with the bytes that were not responded to."""
        if self.stream.error is not None or (self.stream.is_at_end and not self.stream.received):
            self.leave()
            return
        self._is_over = True
        self._owner.handed_over(self)
        self._close_origins()
        if self._is_shown:
            handover.continue_client(self._instance, self.client, self.stream)
        else:
            handover.begin_client(self._instance, self.stream, self.client.peername, self._header)
