"""Replaying the client of a recorded WebSocket conversation, through the proxy (RFC 6455).

Each message is sent once the server has sent as many messages as before it in the recording. All received messages are
kept; comparing them with the recorded ones is done elsewhere.
"""

import asyncio
import os
import time
from base64 import b64encode
from dataclasses import dataclass, field, replace

import h11
from wsproto import ConnectionType
from wsproto import events as ws
from wsproto.connection import Connection as Frames
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from proxy_policies.capture.check.http_client import READ_SIZE, SendError, head_and_body, receive_head
from proxy_policies.capture.model import Request, WebSocketMessage, without
from proxy_policies.capture.websocket.transcript import Transcript, is_conversation

CLOSE_TIMEOUT = 5.0  # seconds for the server to answer our close frame
NORMAL, ABNORMAL = 1000, 1006
_HANDSHAKE_FIELDS = ("sec-websocket-key", "sec-websocket-version", "sec-websocket-extensions")


async def replay_conversation(
    port: int, request: Request, recorded: Transcript, timeout: float
) -> tuple[Transcript, float]:
    """Send a conversation's client messages again; return the new conversation and its seconds. Raise SendError."""
    start = time.perf_counter()
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError as error:
        raise SendError(f"no connection: {error}") from None
    try:
        return await _exchange(reader, writer, request, recorded, timeout), time.perf_counter() - start
    except (OSError, h11.RemoteProtocolError, RemoteProtocolError, LocalProtocolError) as error:
        raise SendError(f"incomplete conversation: {error or type(error).__name__}") from None
    finally:
        writer.close()


async def _exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: Request, recorded: Transcript, timeout: float
) -> Transcript:
    writer.write(head_and_body(_handshake(request), keep=("connection", "upgrade")))
    try:
        async with asyncio.timeout(timeout):
            response, rest = await receive_head(reader, request.method)
    except TimeoutError:
        raise SendError(f"no answer within {timeout:g} s") from None
    if not is_conversation(response):
        return Transcript(response)
    connection = _WebSocket(reader, writer)
    connection.feed(rest)
    try:
        async with asyncio.timeout(timeout):
            await _replay_messages(connection, recorded)
    except TimeoutError:
        pass  # missing messages show in the comparison
    return Transcript(
        response, connection.messages, connection.close_code, connection.close_reason, connection.closed_by_client
    )


async def _replay_messages(connection: "_WebSocket", recorded: Transcript) -> None:
    """Send and await the messages of the transcript, and close the connection if the client did."""
    expected = 0
    for message in recorded.messages:
        if message.from_client:
            await connection.send(message)
        else:
            expected += 1
            await connection.receive(expected)
    if recorded.closed_by_client is not False:
        await connection.close(recorded.close_code or NORMAL, recorded.close_reason)
    await connection.drain()


def _handshake(request: Request) -> Request:
    """Return the handshake with a new key, and without extensions, as compression is not supported."""
    fields = (
        *without(request.headers, "connection", "upgrade", *_HANDSHAKE_FIELDS),
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", b64encode(os.urandom(16)).decode()),
    )
    return replace(request, headers=fields)


@dataclass(slots=True)
class _WebSocket:
    """The client's end of an open conversation, and the messages received."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    messages: list[WebSocketMessage] = field(default_factory=list)
    close_code: int | None = None
    close_reason: str = ""
    closed_by_client: bool | None = None
    _frames: Frames = field(default_factory=lambda: Frames(ConnectionType.CLIENT))
    _partial_message: bytes = b""
    _is_closed: bool = False

    async def send(self, message: WebSocketMessage) -> None:
        """Send a message, unless the server has closed the connection."""
        if not self._is_closed:
            text = message.data.decode("utf-8", "replace")
            await self._send(ws.TextMessage(text) if message.text else ws.BytesMessage(bytearray(message.data)))

    async def receive(self, count: int) -> None:
        """Receive until there are so many messages, or the connection is closed."""
        while len(self.messages) < count and not self._is_closed:
            self.feed(await self.reader.read(READ_SIZE) or None)
            await self.writer.drain()

    async def close(self, code: int, reason: str) -> None:
        """Close the connection from our side."""
        if not self._is_closed:
            self.closed_by_client = True
            await self._send(ws.CloseConnection(NORMAL if code == ABNORMAL else code, reason or None))

    async def drain(self) -> None:
        """Receive until the connection is closed; for `CLOSE_TIMEOUT` if we closed it."""
        limit = CLOSE_TIMEOUT if self.closed_by_client else None
        try:
            async with asyncio.timeout(limit):
                while not self._is_closed:
                    self.feed(await self.reader.read(READ_SIZE) or None)
        except TimeoutError:
            if limit is None:
                raise

    async def _send(self, event: ws.Event) -> None:
        self.writer.write(self._frames.send(event))
        await self.writer.drain()

    def feed(self, data: bytes | None) -> None:
        """Parse bytes from the server; None is the end of the stream."""
        if data != b"":
            self._frames.receive_data(data)
        for event in self._frames.events():
            self._handle(event)

    def _handle(self, event: ws.Event) -> None:
        if isinstance(event, ws.Message):
            text = isinstance(event.data, str)
            self._partial_message += event.data.encode() if isinstance(event.data, str) else bytes(event.data)
            if event.message_finished:
                self.messages.append(WebSocketMessage(False, text, self._partial_message, time.time()))
                self._partial_message = b""
        elif isinstance(event, ws.Ping):
            self.writer.write(self._frames.send(event.response()))
        elif isinstance(event, ws.CloseConnection):
            self._handle_close(event)

    def _handle_close(self, event: ws.CloseConnection) -> None:
        self._is_closed = True
        if self.closed_by_client is None:
            self.closed_by_client, self.close_code, self.close_reason = False, event.code, event.reason or ""
            if event.code != ABNORMAL:
                self.writer.write(self._frames.send(event.response()))
