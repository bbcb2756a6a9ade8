"""Having a recorded WebSocket conversation again, through the proxy, with another build (RFC 6455).

The client says what it said, each message when the server has sent as many as it had then. What comes is kept, whatever
it is: what it should have been is for the comparison to say.
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

from proxy_policies.capture.model import Message, Request, without
from proxy_policies.capture.resend import READ, ResendError, head_and_body, receive_head
from proxy_policies.capture.transcript import Talk, is_conversation

GOODBYE = 5.0  # seconds for the server to answer our close frame
NORMAL, ABNORMAL = 1000, 1006
_OURS = ("sec-websocket-key", "sec-websocket-version", "sec-websocket-extensions")


async def talk(port: int, request: Request, said: Talk, timeout: float) -> tuple[Talk, float]:
    """Have the conversation `said` with the request's target; also its seconds. Raises ResendError."""
    began = time.perf_counter()
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError as error:
        raise ResendError(f"no connection: {error}") from None
    try:
        return await _converse(reader, writer, request, said, timeout), time.perf_counter() - began
    except (OSError, h11.RemoteProtocolError, RemoteProtocolError, LocalProtocolError) as error:
        raise ResendError(f"no whole conversation: {error or type(error).__name__}") from None
    finally:
        writer.close()


async def _converse(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: Request, said: Talk, timeout: float
) -> Talk:
    writer.write(head_and_body(_handshake(request), keep=("connection", "upgrade")))
    try:
        async with asyncio.timeout(timeout):
            response, rest = await receive_head(reader, request.method)
    except TimeoutError:
        raise ResendError(f"no answer within {timeout:g} s") from None
    if not is_conversation(response):
        return Talk(response)
    line = _Line(reader, writer)
    line.take(rest)
    try:
        async with asyncio.timeout(timeout):
            await _follow(line, said)
    except TimeoutError:
        pass  # the server says no more: what is missing shows in the comparison
    return Talk(response, line.messages, line.close_code, line.close_reason, line.by_client)


async def _follow(line: "_Line", said: Talk) -> None:
    """Say and hear what was said and heard, and how it ended."""
    awaited = 0
    for message in said.messages:
        if message.from_client:
            await line.say(message)
        else:
            awaited += 1
            await line.hear(awaited)
    if said.closed_by_client is not False:
        await line.close(said.close_code or NORMAL, said.close_reason)
    await line.hear_out()


def _handshake(request: Request) -> Request:
    """Ask anew: with a key of our own, and without extensions, for we compress nothing."""
    fields = (
        *without(request.headers, "connection", "upgrade", *_OURS),
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", b64encode(os.urandom(16)).decode()),
    )
    return replace(request, headers=fields)


@dataclass(slots=True)
class _Line:
    """Our end of an open conversation, and what came over it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    messages: list[Message] = field(default_factory=list)
    close_code: int | None = None
    close_reason: str = ""
    by_client: bool | None = None
    _frames: Frames = field(default_factory=lambda: Frames(ConnectionType.CLIENT))
    _part: bytes = b""
    _over: bool = False

    async def say(self, message: Message) -> None:
        """Send a message, unless the server has hung up."""
        if not self._over:
            text = message.data.decode("utf-8", "replace")
            await self._send(ws.TextMessage(text) if message.text else ws.BytesMessage(bytearray(message.data)))

    async def hear(self, count: int) -> None:
        """Wait until so many messages have come, or the end."""
        while len(self.messages) < count and not self._over:
            self.take(await self.reader.read(READ) or None)
            await self.writer.drain()

    async def close(self, code: int, reason: str) -> None:
        """Say good-bye first."""
        if not self._over:
            self.by_client = True
            await self._send(ws.CloseConnection(NORMAL if code == ABNORMAL else code, reason or None))

    async def hear_out(self) -> None:
        """Take what still comes, until the end."""
        limit = GOODBYE if self.by_client else None
        try:
            async with asyncio.timeout(limit):
                while not self._over:
                    self.take(await self.reader.read(READ) or None)
        except TimeoutError:
            if limit is None:
                raise

    async def _send(self, event: ws.Event) -> None:
        self.writer.write(self._frames.send(event))
        await self.writer.drain()

    def take(self, data: bytes | None) -> None:
        """Take bytes from the server; None is its end of file."""
        if data != b"":
            self._frames.receive_data(data)
        for event in self._frames.events():
            self._note(event)

    def _note(self, event: ws.Event) -> None:
        if isinstance(event, ws.Message):
            text = isinstance(event.data, str)
            self._part += event.data.encode() if isinstance(event.data, str) else bytes(event.data)
            if event.message_finished:
                self.messages.append(Message(False, text, self._part, time.time()))
                self._part = b""
        elif isinstance(event, ws.Ping):
            self.writer.write(self._frames.send(event.response()))
        elif isinstance(event, ws.CloseConnection):
            self._end(event)

    def _end(self, event: ws.CloseConnection) -> None:
        self._over = True
        if self.by_client is None:
            self.by_client, self.close_code, self.close_reason = False, event.code, event.reason or ""
            if event.code != ABNORMAL:
                self.writer.write(self._frames.send(event.response()))
