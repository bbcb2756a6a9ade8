"""Sending a recorded request again, octet for octet, over HTTP/1.1 (RFC 9112) through a proxy.

h11 frames what comes back; what goes out is written by ourselves, so that the order, case and repetition of
fields stay as recorded. One connection serves a worker until the other side closes it.
"""

import asyncio
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass

import h11

from proxy_policies.capture.content_coding import from_wire, to_wire
from proxy_policies.capture.model import Headers, Request, Response, header, without

DROPPED = (
    "connection",
    "proxy-connection",
    "keep-alive",
    "proxy-authorization",
    "upgrade",
    "te",
    "expect",
    "http2-settings",
)
READ = 65536
BODY_LIMIT = 256 << 20  # octets of one response; more is an error, not memory


class SendError(Exception):
    """The request could not be sent, or no whole response came; the text says why."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A live response, and the seconds from sending to its last octet."""

    response: Response
    seconds: float


def head_and_body(request: Request, keep: Collection[str] = ()) -> bytes:
    """Return the octets of a request to a proxy: the target in absolute form (RFC 9112 section 3.2.2).

    Fields of the recorded connection are left out, but for those to `keep`.
    """
    body = to_wire(request.body, request.headers)
    lines = [f"{request.method} {request.url.partition('#')[0]} HTTP/1.1"]
    dropped = [name for name in DROPPED if name not in keep]
    lines += [f"{name}: {value}" for name, value in _fields(without(request.headers, *dropped), len(body))]
    head = "\r\n".join(lines) + "\r\n\r\n"
    if _is_chunked(request.headers) and body:
        body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    elif _is_chunked(request.headers):
        body = b"0\r\n\r\n"
    return head.encode("latin-1") + body


def _is_chunked(headers: Headers) -> bool:
    return "chunked" in (header(headers, "transfer-encoding") or "").lower()


def _fields(headers: Headers, length: int) -> Iterator[tuple[str, str]]:
    """Yield the fields to send, the length made right."""
    chunked = _is_chunked(headers)
    for name, value in headers:
        if name.lower() != "content-length":
            yield name, value
        elif not chunked:
            yield name, str(length)
    if length and not chunked and header(headers, "content-length") is None:
        yield "Content-Length", str(length)


class Connection:
    """A connection to the proxy that is opened when needed. One request at a time."""

    def __init__(self, port: int, timeout: float) -> None:
        self.port = port
        self._timeout = timeout
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(self, request: Request) -> Reply:
        """Send a request and return its response. Raises SendError."""
        began = time.perf_counter()
        try:
            async with asyncio.timeout(self._timeout):
                response = await self._exchange(request)
        except TimeoutError:
            await self.close()
            raise SendError(f"no answer within {self._timeout:g} s") from None
        except (OSError, h11.RemoteProtocolError) as error:
            await self.close()
            raise SendError(f"no whole answer: {error}") from None
        return Reply(response, time.perf_counter() - began)

    async def _exchange(self, request: Request) -> Response:
        fresh = self._streams is None
        reader, writer = await self._open()
        try:
            writer.write(head_and_body(request))
            await writer.drain()
            return await self._receive(reader, request)
        except (ConnectionError, h11.RemoteProtocolError):
            if fresh:
                raise
        await self.close()  # the proxy closed an idle connection: that is no answer to this request
        return await self._exchange(request)

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self.port)
        return self._streams

    async def _receive(self, reader: asyncio.StreamReader, request: Request) -> Response:
        parser = _parser_for(request.method)
        head: h11.Response | None = None
        body = bytearray()
        trailers: Headers = ()
        while True:
            event = parser.next_event()
            if event is h11.NEED_DATA:
                parser.receive_data(await reader.read(READ))
            elif isinstance(event, h11.Response):
                head = event
            elif isinstance(event, h11.Data):
                body += _bounded(body, event.data)
            elif isinstance(event, h11.EndOfMessage):
                trailers = _headers(event.headers)
                break
            elif isinstance(event, h11.ConnectionClosed):
                raise ConnectionResetError("the connection was closed")
        if parser.our_state is h11.MUST_CLOSE or parser.their_state is not h11.DONE:
            await self.close()
        return _response(head, bytes(body), trailers)

    async def close(self) -> None:
        """Close the connection, if any."""
        if self._streams is not None:
            writer = self._streams[1]
            self._streams = None
            writer.close()
            try:
                await writer.wait_closed()
            except OSError:
                return


async def receive_head(reader: asyncio.StreamReader, method: str) -> tuple[Response, bytes]:
    """Read the answer to a request to switch protocols: its head, and what came after it.

    Raises OSError, h11.RemoteProtocolError.
    """
    parser = _parser_for(method, ("connection", "upgrade"), ("upgrade", "websocket"))
    while True:
        event = parser.next_event()
        if event is h11.NEED_DATA:
            parser.receive_data(await reader.read(READ))
        elif isinstance(event, h11.Response) or (
            isinstance(event, h11.InformationalResponse) and event.status_code == 101
        ):
            return _response(event, b"", ()), bytes(parser.trailing_data[0])
        elif isinstance(event, h11.ConnectionClosed):
            raise ConnectionResetError("the connection was closed")


def _parser_for(method: str, *fields: tuple[str, str]) -> h11.Connection:
    """Return a parser that expects the response to this method: HEAD's has no body (RFC 9112 section 6.3)."""
    parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
    parser.send(h11.Request(method=method, target="/", headers=[("host", "x"), *fields]))
    parser.send(h11.EndOfMessage())
    return parser


def _bounded(body: bytearray, data: bytes) -> bytes:
    if len(body) + len(data) > BODY_LIMIT:
        raise OSError(f"its body is larger than {BODY_LIMIT >> 20} MiB")
    return data


def _headers(headers: h11._headers.Headers) -> Headers:
    return tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in headers.raw_items())


def _response(head: h11.Response | h11.InformationalResponse | None, raw: bytes, trailers: Headers) -> Response:
    if head is None:
        raise ConnectionResetError("the connection was closed")
    headers = _headers(head.headers)
    version = f"HTTP/{head.http_version.decode()}"
    return Response(
        head.status_code, head.reason.decode("latin-1"), headers, from_wire(raw, headers), version, trailers
    )
