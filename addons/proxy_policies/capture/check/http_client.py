"""Sending a recorded request again, byte for byte, over HTTP/1.1 (RFC 9112) through a proxy.

h11 parses responses; requests are written here, so that the order, case and repetition of fields stay as recorded.
A connection is used for one request after the other until the proxy closes it.
"""

import asyncio
import itertools
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace

import h11

from proxy_policies.capture.bodies.content_coding import MAX_CONTENT, decode_body, to_wire
from proxy_policies.capture.model import Body, Headers, Request, Response, header, without
from proxy_policies.capture.streams.arrivals import StreamDecoder
from proxy_policies.capture.streams.frames import FrameCounter, declared_framing
from proxy_policies.http1.framing import InterimCount
from proxy_policies.validity import Invalid

DROPPED_FIELDS = (
    "connection",
    "proxy-connection",
    "keep-alive",
    "proxy-authorization",
    "upgrade",
    "te",
    "expect",
    "http2-settings",
)
READ_SIZE = 65536
EVENTS_PER_TURN = 32
"""Chunks, interim responses and reads before other tasks run, a few milliseconds: `mirror` sends copies in the event
loop that serves clients."""
MAX_BODY = 256 << 20  # bytes of one response; more is an error


class SendError(Exception):
    """The request could not be sent, or the response is incomplete; the text says why."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A live response, and the seconds from sending the request to its last byte."""

    response: Response
    seconds: float


def head_and_body(request: Request, keep: Collection[str] = ()) -> bytes:
    """Return a request to a proxy as bytes: the target in absolute form (RFC 9112 section 3.2.2).

    Fields of the recorded connection are left out, except those to `keep`.
    """
    body = to_wire(request.body, request.headers)
    lines = [f"{request.method} {request.url.partition('#')[0]} HTTP/1.1"]
    dropped = [name for name in DROPPED_FIELDS if name not in keep]
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
    """Yield the fields with the right Content-Length for a body of this length."""
    chunked = _is_chunked(headers)
    for name, value in headers:
        if name.lower() != "content-length":
            yield name, value
        elif not chunked:
            yield name, str(length)
    if length and not chunked and header(headers, "content-length") is None:
        yield "Content-Length", str(length)


class RequestConnection:
    """A connection that is opened when needed, to the proxy unless `_open` differs. One request at a time."""

    def __init__(self, port: int, timeout: float, limit: int = MAX_BODY) -> None:
        self.port = port
        self._limit = limit
        self._timeout = timeout
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(self, request: Request, frames: int | None = None) -> Reply:
        """Send a request and return its response; of a stream at most `frames`, if given. Raise SendError.

        A stream that breaks off, or does not end in time, is returned as far as it was received.
        """
        start, response = time.perf_counter(), IncomingResponse(request.method, frames, self._limit)
        try:
            async with asyncio.timeout(self._timeout):
                await self._exchange(request, response)
        except TimeoutError:
            await self.close()
            if not response.is_stream:
                raise SendError(f"no answer within {self._timeout:g} s") from None
            response.cut = f"not over within {self._timeout:g} s"
        except (OSError, h11.RemoteProtocolError) as error:
            await self.close()
            if not response.is_stream:
                raise SendError(f"incomplete response: {error}") from None
            response.cut = "server"
        return Reply(response.result(), time.perf_counter() - start)

    async def _exchange(self, request: Request, response: "IncomingResponse") -> None:
        is_new = self._streams is None
        reader, writer = await self._open()
        try:
            writer.write(head_and_body(request))
            await writer.drain()
            await self._receive(reader, request, response)
            return
        except (ConnectionError, h11.RemoteProtocolError):
            if is_new or response.head is not None:
                raise
        await self.close()  # the proxy closed the idle connection before it read the request
        await self._exchange(request, response)

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self.port)
        return self._streams

    async def _receive(self, reader: asyncio.StreamReader, request: Request, response: "IncomingResponse") -> None:
        parser = _parser_for(request.method)
        for count in itertools.count(1):
            event = parser.next_event()
            if event is h11.NEED_DATA:
                parser.receive_data(await reader.read(READ_SIZE))
            else:
                response.add_event(event)
            if response.is_complete:
                break
            if count % EVENTS_PER_TURN == 0:
                await asyncio.sleep(0)
        if parser.our_state is h11.MUST_CLOSE or parser.their_state is not h11.DONE:
            await self.close()

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


@dataclass(slots=True)
class IncomingResponse:
    """A response that is being received: complete at its end, or, of a stream, once it has so many `frames`.

    With `counts_frames`, `count` is the number of parts received: the head, and the frames of a stream.
    """

    method: str
    frames: int | None = None
    limit: int = MAX_BODY
    counts_frames: bool = False
    count: int = 0
    head: Response | None = None
    cut: str = ""
    is_complete: bool = False
    _body: bytearray = field(default_factory=bytearray)
    _trailers: Headers = ()
    _decoder: StreamDecoder | None = None
    _counter: FrameCounter | None = None
    _interim: InterimCount = field(default_factory=InterimCount)

    def add_event(self, event: object) -> None:
        """Add an event of h11. Raise OSError if the response is too large, or the connection was closed."""
        match event:
            case h11.Response():
                self.set_head(_response(event))
            case h11.Data():
                self.feed(event.data)
            case h11.EndOfMessage():
                self.end(_headers(event.headers))
            case h11.InformationalResponse():
                self._count_interim()
            case h11.ConnectionClosed():
                raise ConnectionResetError("the connection was closed")

    def _count_interim(self) -> None:
        try:
            self._interim.add()
        except Invalid as error:
            raise OSError(str(error)) from None

    @property
    def is_stream(self) -> bool:
        """Return whether the head was received, and its media type is of a stream of frames."""
        return self._counter is not None

    def set_head(self, head: Response) -> None:
        """Start with the head."""
        self.head, self.count = head, 1
        framing = declared_framing(header(head.headers, "content-type") or "")
        if framing is not None and self.method != "HEAD":
            self._counter, self._decoder = (
                FrameCounter(framing),
                StreamDecoder(header(head.headers, "content-encoding")),
            )
            self._set_frame_count(0)

    def feed(self, data: bytes) -> None:
        """Add a part of the body. Raise OSError if it becomes too large."""
        if len(self._body) + len(data) > self.limit:
            raise OSError(f"its body is larger than {self.limit / (1 << 20):g} MiB")
        self._body += data
        if self._counter is not None and self._decoder is not None and (self.counts_frames or self.frames is not None):
            self._set_frame_count(self._counter.feed(self._decoder.feed(data)))

    def _set_frame_count(self, count: int) -> None:
        self.count = 1 + count
        if self.frames is not None and count >= self.frames:
            self.is_complete, self.cut = True, "client"

    def end(self, trailers: Headers) -> None:
        """Complete the response, with its trailers."""
        self.is_complete, self._trailers = True, trailers

    def result(self) -> Response:
        """Return the response as far as it was received. Raise ConnectionResetError if there is no head."""
        if self.head is None:
            raise ConnectionResetError("the connection was closed")
        encoded = replace(self.head, body=Body(bytes(self._body), cut=self.cut), trailers=self._trailers)
        return decode_body(encoded, min(self.limit, MAX_CONTENT))


async def receive_head(reader: asyncio.StreamReader, method: str) -> tuple[Response, bytes]:
    """Return the head of the response to an upgrade request, and the bytes received after it.

    Raise OSError, h11.RemoteProtocolError.
    """
    parser = _parser_for(method, ("connection", "upgrade"), ("upgrade", "websocket"))
    while True:
        event = parser.next_event()
        if event is h11.NEED_DATA:
            parser.receive_data(await reader.read(READ_SIZE))
        elif isinstance(event, h11.Response) or (
            isinstance(event, h11.InformationalResponse) and event.status_code == 101
        ):
            return _response(event), bytes(parser.trailing_data[0])
        elif isinstance(event, h11.ConnectionClosed):
            raise ConnectionResetError("the connection was closed")


def _parser_for(method: str, *fields: tuple[str, str]) -> h11.Connection:
    """Return a parser for the response to this method: to HEAD it has no body (RFC 9112 section 6.3)."""
    parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
    parser.send(h11.Request(method=method, target="/", headers=[("host", "x"), *fields]))
    parser.send(h11.EndOfMessage())
    return parser


def _headers(headers: h11._headers.Headers) -> Headers:
    return tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in headers.raw_items())


def _response(head: h11.Response | h11.InformationalResponse) -> Response:
    headers = _headers(head.headers)
    version = f"HTTP/{head.http_version.decode()}"
    return Response(head.status_code, head.reason.decode("latin-1"), headers, version=version)
