"""Sending a recorded request again, octet for octet, over HTTP/1.1 (RFC 9112) through a proxy.

h11 frames what comes back; what goes out is written by ourselves, so that the order, case and repetition of
fields stay as recorded. One connection serves a worker until the other side closes it.
"""

import asyncio
import itertools
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace

import h11

from proxy_policies.capture.content_coding import MAX_CONTENT, decode_body, to_wire
from proxy_policies.capture.model import Body, Headers, Request, Response, header, without
from proxy_policies.capture.streams.arrivals import StreamDecoder
from proxy_policies.capture.streams.frames import FrameCounter, declared_framing
from proxy_policies.http1.framing import InterimCount
from proxy_policies.validity import Invalid

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
EVENTS_PER_TURN = 32
"""Chunks, interim responses and reads after which others have their turn: some milliseconds. `mirror` sends copies in
the event loop that serves clients."""
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

    def __init__(self, port: int, timeout: float, limit: int = BODY_LIMIT) -> None:
        self.port = port
        self._limit = limit
        self._timeout = timeout
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(self, request: Request, frames: int | None = None) -> Reply:
        """Send a request and return its response; of a stream so many frames, if given. Raises SendError.

        A stream that breaks off, or does not end in time, is what has come of it.
        """
        began, answer = time.perf_counter(), Answer(request.method, frames, self._limit)
        try:
            async with asyncio.timeout(self._timeout):
                await self._exchange(request, answer)
        except TimeoutError:
            await self.close()
            if not answer.is_stream:
                raise SendError(f"no answer within {self._timeout:g} s") from None
            answer.cut = f"not over within {self._timeout:g} s"
        except (OSError, h11.RemoteProtocolError) as error:
            await self.close()
            if not answer.is_stream:
                raise SendError(f"incomplete response: {error}") from None
            answer.cut = "server"
        return Reply(answer.response(), time.perf_counter() - began)

    async def _exchange(self, request: Request, answer: "Answer") -> None:
        fresh = self._streams is None
        reader, writer = await self._open()
        try:
            writer.write(head_and_body(request))
            await writer.drain()
            await self._receive(reader, request, answer)
            return
        except (ConnectionError, h11.RemoteProtocolError):
            if fresh or answer.head is not None:
                raise
        await self.close()  # the proxy closed an idle connection: that is no answer to this request
        await self._exchange(request, answer)

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self.port)
        return self._streams

    async def _receive(self, reader: asyncio.StreamReader, request: Request, answer: "Answer") -> None:
        parser = _parser_for(request.method)
        for count in itertools.count(1):
            event = parser.next_event()
            if event is h11.NEED_DATA:
                parser.receive_data(await reader.read(READ))
            else:
                answer.take(event)
            if answer.is_over:
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
class Answer:
    """A response as it comes: over at its end, or, of a stream, when so many `frames` have come.

    With `counts`, `count` says how much has come: the head, and the frames of a stream.
    """

    method: str
    frames: int | None = None
    limit: int = BODY_LIMIT
    counts: bool = False
    count: int = 0
    head: Response | None = None
    cut: str = ""
    is_over: bool = False
    _body: bytearray = field(default_factory=bytearray)
    _trailers: Headers = ()
    _decoder: StreamDecoder | None = None
    _counter: FrameCounter | None = None
    _interim: InterimCount = field(default_factory=InterimCount)

    def take(self, event: object) -> None:
        """Take what came next. Raises OSError when it is too much, or the end before its time."""
        match event:
            case h11.Response():
                self.begin(_response(event))
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
        """Return whether its head has come, and says that frames follow."""
        return self._counter is not None

    def begin(self, head: Response) -> None:
        """Take the head."""
        self.head, self.count = head, 1
        framing = declared_framing(header(head.headers, "content-type") or "")
        if framing is not None and self.method != "HEAD":
            self._counter, self._decoder = (
                FrameCounter(framing),
                StreamDecoder(header(head.headers, "content-encoding")),
            )
            self._look(0)

    def feed(self, data: bytes) -> None:
        """Take a part of the body. Raises OSError when it is too large."""
        if len(self._body) + len(data) > self.limit:
            raise OSError(f"its body is larger than {self.limit / (1 << 20):g} MiB")
        self._body += data
        if self._counter is not None and self._decoder is not None and (self.counts or self.frames is not None):
            self._look(self._counter.feed(self._decoder.feed(data)))

    def _look(self, count: int) -> None:
        self.count = 1 + count
        if self.frames is not None and count >= self.frames:
            self.is_over, self.cut = True, "client"

    def end(self, trailers: Headers) -> None:
        """Take the end."""
        self.is_over, self._trailers = True, trailers

    def response(self) -> Response:
        """Return what has come. Raises ConnectionResetError when nothing has."""
        if self.head is None:
            raise ConnectionResetError("the connection was closed")
        sent = replace(self.head, body=Body(bytes(self._body), cut=self.cut), trailers=self._trailers)
        return decode_body(sent, min(self.limit, MAX_CONTENT))


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
            return _response(event), bytes(parser.trailing_data[0])
        elif isinstance(event, h11.ConnectionClosed):
            raise ConnectionResetError("the connection was closed")


def _parser_for(method: str, *fields: tuple[str, str]) -> h11.Connection:
    """Return a parser that expects the response to this method: HEAD's has no body (RFC 9112 section 6.3)."""
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
