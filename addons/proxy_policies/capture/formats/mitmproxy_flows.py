"""Converting entries to mitmproxy's flows, and back."""

import time
import uuid
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from mitmproxy import connection, exceptions, flow, http, io, websocket
from mitmproxy.net.http import url
from wsproto.frame_protocol import Opcode

from proxy_policies import trace
from proxy_policies.capture.bodies.content_coding import from_wire, to_wire
from proxy_policies.capture.errors import CaptureError
from proxy_policies.capture.har import entry_reader
from proxy_policies.capture.model import (
    HEADS,
    Body,
    Entry,
    Headers,
    Request,
    Response,
    Times,
    WebSocketMessage,
    target_of,
)
from proxy_policies.fields import RawFields

type _Side = tuple[str | None, str | None, bytes | None, str | None, str | None, int | None]
"""Of a connection its TLS version and cipher, ALPN, SNI, and the host and port of the peer."""

_WEBSOCKET_PORTS = (("ws", 80), ("wss", 443))  # RFC 6455 section 3; mitmproxy knows those of http and https


def to_headers(fields: RawFields) -> Headers:
    """Return mitmproxy's raw fields as ours; the same come with every message, and are then one object."""
    try:
        return _known_headers(fields)
    except TypeError:  # lines that an addon has set, and which are not tuples
        return _read_headers(fields)


def _read_headers(fields: RawFields) -> Headers:
    return tuple([(name.decode("latin-1"), value.decode("latin-1")) for name, value in fields])


_known_headers = lru_cache(HEADS)(_read_headers)


def from_headers(headers: Headers) -> http.Headers:
    """Return our fields as mitmproxy's."""
    return http.Headers([(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers])


@lru_cache(256)  # three of them
def version_of(text: str) -> str:
    """Return mitmproxy's version, which writes HTTP/2.0, as ours."""
    return entry_reader.VERSIONS.get(text.lower(), text)


def request_of(request: http.Request, headers: Headers, body: Body) -> Request:
    """Return mitmproxy's request with the fields and body that the client sent."""
    data, whole = request.data, _url_of(request)
    method, target = data.method.decode("latin-1"), data.path.decode("latin-1")  # the property is in upper case
    version, trailers = version_of(request.http_version), to_headers(data.trailers.fields) if data.trailers else ()
    return Request(method, whole, headers, body, version, trailers, "" if target == target_of(whole) else target)


def _url_of(request: http.Request) -> str:
    """Return the URL, an IPv6 address in brackets (RFC 3986 section 3.2.2), without the default port of WebSocket."""
    data = request.data
    if data.method.upper() == b"CONNECT":
        return _as_latin1(f"{data.host}:{data.port}")
    path = "" if data.path == b"*" else data.path.decode("latin-1")
    return f"{_origin_of(request.scheme, data.host, data.port)}{path}"


@lru_cache(256)
def _origin_of(scheme: str, host: str, port: int) -> str:
    origin = _as_latin1(url.unparse(scheme, host, port, ""))
    if (scheme, port) in _WEBSOCKET_PORTS:
        origin = origin.replace(f"://{host}:{port}", f"://{host}", 1)
    return origin.replace(f"://{host}", f"://[{host}]", 1) if ":" in host else origin


def _as_latin1(text: str) -> str:
    """Return a text of mitmproxy, which decodes bytes as UTF-8, as latin-1."""
    return text.encode("utf-8", "surrogateescape").decode("latin-1")


def _from_wire(text: str) -> bytes:
    """Return the bytes of a latin-1 text; texts of foreign HARs with other characters are encoded as UTF-8."""
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def response_of(response: http.Response, body: Body) -> Response:
    """Return mitmproxy's response with the body that was sent."""
    data = response.data
    headers, trailers = to_headers(data.headers.fields), to_headers(data.trailers.fields) if data.trailers else ()
    return Response(data.status_code, response.reason, headers, body, version_of(response.http_version), trailers)


def times_of(flow: http.HTTPFlow) -> Times:
    """Return the times of the flow's steps."""
    request, response = flow.request.data, flow.response.data if flow.response else None
    return Times(
        request.timestamp_start,
        request.timestamp_end,
        response.timestamp_start if response else None,
        response.timestamp_end if response else None,
    )


def connection_info_of(flow: http.HTTPFlow) -> dict[str, Any]:
    """Return the addresses and the TLS parameters of both connections as a JSON value."""
    return _connection_info(*sides_of(flow))


def sides_of(flow: http.HTTPFlow) -> tuple[_Side, _Side]:
    """Return what `connection_info_of` says of the client and of the server."""
    return _side_of(flow.client_conn), _side_of(flow.server_conn)


def _side_of(conn: connection.Connection) -> _Side:
    tls_version, cipher = (conn.tls_version, conn.cipher) if conn.tls_established else (None, None)
    host, port = conn.peername[:2] if conn.peername else (None, None)
    return tls_version, cipher, conn.alpn, conn.sni, host, port


@lru_cache(256)  # the same for all exchanges of two connections
def _connection_info(client: _Side, server: _Side) -> dict[str, Any]:
    info = {"client": _side(*client), "server": _side(*server), "server_ip": server[4]}
    return {name: value for name, value in info.items() if value}


def _side(
    tls: str | None, cipher: str | None, alpn: bytes | None, sni: str | None, host: str | None, port: int | None
) -> dict[str, Any]:
    address = None if host is None else f"{host}:{port}"
    info = {"tls": tls, "cipher": cipher, "alpn": alpn.decode("latin-1") if alpn else None, "sni": sni}
    return {name: value for name, value in (info | {"address": address}).items() if value}


def messages_of(flow: http.HTTPFlow) -> tuple[WebSocketMessage, ...]:
    """Return the flow's WebSocket messages."""
    if flow.websocket is None:
        return ()
    return tuple(
        WebSocketMessage(message.from_client, message.type is Opcode.TEXT, _content(message), message.timestamp)
        for message in flow.websocket.messages
        if not message.dropped
    )


def _content(message: websocket.WebSocketMessage) -> bytes:
    """Return the content of a message, which is a text in flow files of mitmproxy before 7."""
    content: Any = message.content
    return content.encode("utf-8", "surrogateescape") if isinstance(content, str) else bytes(content)


def entry_of(flow: http.HTTPFlow, request: Request, response: Response, origin: Response | None = None) -> Entry:
    """Return the flow as an entry with this request and response."""
    messages = flow.websocket
    return Entry(
        request,
        response,
        times_of(flow),
        flow.id,
        origin,
        messages_of(flow) if messages else (),
        messages.close_code if messages else None,
        (messages.close_reason or "") if messages else "",
        messages.closed_by_client if messages else None,
        flow.error.msg if flow.error else "",
        flow.comment,
        tuple(trace.notes(flow)),
        connection_info_of(flow),
    )


def from_flow(flow: http.HTTPFlow) -> Entry:
    """Return a finished flow as an entry."""
    headers = to_headers(flow.request.headers.fields)
    request = request_of(flow.request, headers, from_wire(flow.request.raw_content or b"", headers))
    response = Response(0)
    if flow.response:
        body = from_wire(flow.response.raw_content or b"", to_headers(flow.response.headers.fields))
        response = response_of(flow.response, body)
    return entry_of(flow, request, response)


def to_flow(entry: Entry) -> http.HTTPFlow:
    """Return an entry as a flow, for a flow file, mitmweb or a flow filter."""
    parts = urlsplit(entry.request.url)
    port = parts.port or (443 if parts.scheme in ("https", "wss") else 80)
    times = entry.times
    client = connection.Client(
        peername=("127.0.0.1", 0), sockname=("127.0.0.1", 0), timestamp_start=times.request_start
    )
    converted = http.HTTPFlow(client, connection.Server(address=(parts.hostname or "", port)))
    converted.id = entry.id or str(uuid.uuid4())
    converted.comment = entry.comment
    converted.request = to_request(entry.request, times)
    if entry.response.status:
        converted.response = to_response(entry.response, times)
    if entry.error:
        converted.error = flow.Error(entry.error, times.request_start)
    if entry.messages:
        converted.websocket = websocket.WebSocketData(messages=[_to_message(message) for message in entry.messages])
        converted.websocket.close_code = entry.close_code
        converted.websocket.close_reason = entry.close_reason
        converted.websocket.closed_by_client = entry.closed_by_client
    converted.metadata[trace.KEY] = [dict(note) for note in entry.trace]
    return converted


def to_request(request: Request, times: Times | None = None) -> http.Request:
    """Return our request as mitmproxy's."""
    parts = urlsplit(request.url)
    origin = f"{parts.scheme}://{parts.netloc}"
    converted = http.Request.make("", origin)  # its path may be ASCII only
    if parts.scheme == "wss" and parts.port is None:
        converted.data.port = 443
    converted.data.method = _from_wire(request.method)
    converted.data.path = _from_wire(request.target or request.url[len(origin) :] or "/")
    converted.headers = from_headers(request.headers)
    converted.data.http_version = request.version.encode()
    converted.raw_content = to_wire(request.body, request.headers)
    if request.trailers:
        converted.trailers = from_headers(request.trailers)
    if times is not None:
        converted.timestamp_start, converted.timestamp_end = times.request_start, times.request_end
    return converted


def to_response(response: Response, times: Times | None = None) -> http.Response:
    """Return our response as mitmproxy's, with the body as on the wire."""
    now = time.time()
    return http.Response(
        response.version.encode(),
        response.status,
        response.reason.encode("latin-1"),
        from_headers(response.headers),
        to_wire(response.body, response.headers),
        from_headers(response.trailers) if response.trailers else None,
        (times.response_start or times.request_start) if times else now,
        times.response_end if times else now,
    )


def _to_message(message: WebSocketMessage) -> websocket.WebSocketMessage:
    kind = Opcode.TEXT if message.text else Opcode.BINARY
    return websocket.WebSocketMessage(kind, message.from_client, message.data, message.time)


def read_flow_file(path: Path) -> Iterator[Entry]:
    """Yield the HTTP exchanges of a mitmproxy flow file. Raise CaptureError."""
    with path.open("rb") as file:
        try:
            yield from (from_flow(item) for item in io.FlowReader(file).stream() if isinstance(item, http.HTTPFlow))
        except exceptions.FlowReadException as error:
            raise CaptureError(f"{path}: not a whole flow file: {error}") from None


def write_flow_file(file: BinaryIO, entries: Iterator[Entry]) -> int:
    """Write entries as a mitmproxy flow file, and return their number. Raise CaptureError."""
    writer = io.FlowWriter(file)
    count = 0
    for count, entry in enumerate(entries, 1):
        try:
            writer.add(to_flow(entry))
        except ValueError as error:
            raise CaptureError(f"entry {count}: {entry.request.url[:80]}: {error}") from None
    return count
