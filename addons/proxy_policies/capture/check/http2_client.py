"""Sending a recorded gRPC call again: over HTTP/2 (RFC 9113), inside TLS, through the proxy's tunnel.

mitmproxy accepts HTTP/2 over TLS only. The certificate is not verified: it is that of the proxy started for the check.
"""

import asyncio
import ssl
import time
from collections import deque
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

import h2.config
import h2.connection
import h2.events
import h2.exceptions

from proxy_policies.capture.bodies.content_coding import to_wire
from proxy_policies.capture.check.http_client import DROPPED_FIELDS, READ_SIZE, IncomingResponse, Reply, SendError
from proxy_policies.capture.model import Headers, Request, Response, without
from proxy_policies.capture.streams.frames import FrameFormat, split

_OMITTED_FIELDS = (*DROPPED_FIELDS, "te", "host", "content-length", "transfer-encoding")


async def send(
    port: int, request: Request, timeout: float, frames: int | None = None, waits: Sequence[int] = ()
) -> Reply:
    """Send a request and return its response, at most `frames` messages of it, if given. Raise SendError.

    `waits` has for each message of the request, and for its end, the number of parts of the response to receive first:
    its head, and messages.
    """
    start, response = time.perf_counter(), IncomingResponse(request.method, frames, counts_frames=bool(waits))
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(timeout):
            reader, writer = await _open_tunnel(port, request)
            await _Exchange(reader, writer, response).run(request, waits)
    except TimeoutError:
        if not response.is_stream:
            raise SendError(f"no answer within {timeout:g} s") from None
        response.cut = f"not over within {timeout:g} s"
    except (OSError, h2.exceptions.ProtocolError) as error:
        if not response.is_stream:
            raise SendError(f"incomplete response: {error}") from None
        response.cut = "server"
    finally:
        if writer is not None:
            writer.close()
    return Reply(response.result(), time.perf_counter() - start)


async def _open_tunnel(port: int, request: Request) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Return a connection through the proxy to the request's host, over TLS. Raise OSError."""
    url = urlsplit(request.url)
    if url.scheme != "https":
        raise OSError("HTTP/2 is sent over https only")
    host = f"{url.hostname}:{url.port or 443}"
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"CONNECT {host} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        status = (await reader.readuntil(b"\r\n\r\n")).split(b" ", 2)[1]
        if status != b"200":
            raise OSError(f"the proxy answered {status.decode('latin-1')} to CONNECT")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(["h2"])
        await writer.start_tls(context, server_hostname=url.hostname)
        if writer.get_extra_info("ssl_object").selected_alpn_protocol() != "h2":
            raise OSError("the target does not speak HTTP/2")
    except asyncio.IncompleteReadError:
        writer.close()
        raise OSError("the proxy closed the connection") from None
    except OSError:
        writer.close()
        raise
    return reader, writer


class _Exchange:
    """One request and its response, on a connection of their own."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, response: IncomingResponse) -> None:
        self._reader, self._writer, self._incoming = reader, writer, response
        self._h2 = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="latin-1"))

    async def run(self, request: Request, waits: Sequence[int]) -> None:
        """Send the request, and receive its response. Raise OSError and h2's ProtocolError."""
        self._h2.initiate_connection()
        body = to_wire(request.body, request.headers)
        parts = deque(_parts(body, waits))
        self._h2.send_headers(1, list(_fields(request)), end_stream=not parts)
        while not self._incoming.is_complete:
            self._send_due(parts)
            self._writer.write(self._h2.data_to_send())
            await self._writer.drain()
            data = await self._reader.read(READ_SIZE)
            if not data:
                raise ConnectionResetError("the connection was closed")
            for event in self._h2.receive_data(data):
                self._handle(event)

    def _send_due(self, parts: deque[tuple[bytes, int]]) -> None:
        """Send parts whose wait is over, as far as flow control allows (RFC 9113 section 5.2)."""
        while parts and self._incoming.count >= parts[0][1]:
            data, wait = parts.popleft()
            size = min(self._h2.local_flow_control_window(1), self._h2.max_outbound_frame_size)
            if data and size <= 0:
                parts.appendleft((data, wait))
                return
            if len(data) > size:
                parts.appendleft((data[size:], wait))
            self._h2.send_data(1, data[:size], end_stream=not parts)

    def _handle(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.ResponseReceived):
            self._incoming.set_head(_response(event))
        elif isinstance(event, h2.events.DataReceived):
            self._h2.acknowledge_received_data(event.flow_controlled_length or 0, 1)
            if not self._incoming.is_complete:
                self._incoming.feed(event.data or b"")
        elif isinstance(event, h2.events.TrailersReceived):
            self._incoming.end(_headers(event))
        elif isinstance(event, h2.events.StreamEnded) and not self._incoming.is_complete:
            self._incoming.end(())
        elif isinstance(event, h2.events.StreamReset | h2.events.ConnectionTerminated):
            raise ConnectionResetError(f"the stream was reset: {event.error_code}")


def _parts(body: bytes, waits: Sequence[int]) -> Iterator[tuple[bytes, int]]:
    """Yield the messages of a body, and its end, each with its wait; the whole body if there are no waits."""
    if not waits:
        yield from ((body, 0),) if body else ()
        return
    messages, rest = split(body, FrameFormat.MESSAGES)
    yield from zip([*messages, rest], [*waits[: len(messages)], waits[-1]], strict=True)


def _fields(request: Request) -> Iterator[tuple[str, str]]:
    url = urlsplit(request.url)
    yield from ((":method", request.method), (":scheme", url.scheme), (":authority", url.netloc))
    yield ":path", (url.path or "/") + (f"?{url.query}" if url.query else "")
    yield from ((name.lower(), value) for name, value in without(request.headers, *_OMITTED_FIELDS))
    yield "te", "trailers"


def _headers(event: h2.events.ResponseReceived | h2.events.TrailersReceived) -> Headers:
    return tuple((str(name), str(value)) for name, value in event.headers or () if not str(name).startswith(":"))


def _response(event: h2.events.ResponseReceived) -> Response:
    status = next(str(value) for name, value in event.headers or () if str(name) == ":status")
    return Response(int(status), "", _headers(event), version="HTTP/2")
