"""The entries of a capture as values.

Header names and values are latin-1 strings (RFC 9110 section 5.5: a field value is bytes), so that every
byte that a peer sent is kept. A body is its decoded content and, if that differs, its bytes on the wire.
Times are in seconds since the epoch.

They are values, not to be changed. They are not frozen, as creating an instance would take four times as long.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Protocol
from urllib.parse import urlsplit

from proxy_policies.fields import media_type_of

type Headers = tuple[tuple[str, str], ...]

HEADS = 256
"""Questions about fields of which the answers are remembered: the same are asked again of each message."""
SMALL = 8192
"""Bytes of the fields, and of the content, of a message that is remembered: nginx takes so large fields."""


def header(headers: Headers, name: str) -> str | None:
    """Return the value of a field, its lines joined with commas; None if there is none."""
    lines = field_lines(headers).get(name.lower())
    return ", ".join(lines) if lines else None


@lru_cache(HEADS)
def field_lines(headers: Headers) -> Mapping[str, Sequence[str]]:
    """Return the value of each line of a field, in order, by its name in lower case."""
    found: dict[str, list[str]] = {}
    for name, value in headers:
        found.setdefault(name.lower(), []).append(value)
    return found


@lru_cache(HEADS)
def size_of(headers: Headers) -> int:
    """Return the size of fields in bytes, plus 32 for each (RFC 9113 section 6.5.2)."""
    return sum([len(name) + len(value) + 32 for name, value in headers])


def query_of(url: str) -> str:
    """Return the query of a URL."""
    return url.partition("?")[2] if _is_plain(url) else urlsplit(url).query


def target_of(url: str) -> str:
    """Return the request target that a URL says: its path and query (RFC 9112 section 3.2.1)."""
    path = url.find("/", url.find("://") + 3)
    if path >= 8 and not 0 <= url.find("?") < path and url[-1] != "?" and _is_plain(url):
        return url[path:]
    parts = urlsplit(url)
    return parts.path + (f"?{parts.query}" if parts.query else "")


def _is_plain(url: str) -> bool:
    """Return whether a URL has a scheme of HTTP, but no fragment or control character; parsing takes longer."""
    return url.startswith(("http://", "https://")) and "#" not in url and url.isprintable()


def without(headers: Headers, *names: str) -> Headers:
    """Return the fields except those named (in lower case)."""
    return tuple((key, value) for key, value in headers if key.lower() not in names)


def media_type(headers: Headers) -> str:
    """Return the media type in lower case, without parameters; empty if there is none."""
    return media_type_of(header(headers, "content-type"))


@dataclass(slots=True, unsafe_hash=True)
class Body:
    """The content of a message.

    `content` is decoded; `wire` is the body as sent, if that differs. `dropped` is the number of bytes of a
    body that was too large to record; `sha256` is its hash then. `cut` is `client` or `server`, who broke it
    off, or empty. `frame_times` are the times at which the frames of a stream had arrived; equality ignores them.
    """

    content: bytes = b""
    wire: bytes | None = None
    dropped: int = 0
    sha256: str = ""
    cut: str = ""
    frame_times: tuple[float, ...] = field(default=(), compare=False)


NO_BODY = Body()


@dataclass(slots=True, unsafe_hash=True)
class Request:
    """A request as the client sent it. `target` is the request target, unless it is the URL's path and query."""

    method: str
    url: str
    headers: Headers = ()
    body: Body = NO_BODY
    version: str = "HTTP/1.1"
    trailers: Headers = ()
    target: str = ""

    @property
    def origin(self) -> str:
        """Scheme and authority: `http://shop.test:8080`."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"


@dataclass(slots=True, unsafe_hash=True)
class Response:
    """A response. Status 0: none was received."""

    status: int
    reason: str = ""
    headers: Headers = ()
    body: Body = NO_BODY
    version: str = "HTTP/1.1"
    trailers: Headers = ()


@dataclass(slots=True, unsafe_hash=True)
class WebSocketMessage:
    """One WebSocket message. `dropped` is the number of its bytes if it was not recorded."""

    from_client: bool
    text: bool
    data: bytes
    time: float
    dropped: int = 0


@dataclass(slots=True, unsafe_hash=True)
class Times:
    """The times of an exchange's steps; None for a step that did not happen."""

    request_start: float
    request_end: float | None = None
    response_start: float | None = None
    response_end: float | None = None

    @property
    def seconds(self) -> float:
        """The duration from the start of the request to the end of the response."""
        end = self.response_end or self.response_start or self.request_end or self.request_start
        return max(0.0, end - self.request_start)


@dataclass(slots=True, unsafe_hash=True)
class Entry:
    """One exchange. `origin` is the origin's response, if a policy changed it for the client.

    `connection_info` has addresses and TLS parameters of both sides as JSON values, `extra` other fields of a foreign
    HAR, which are kept.
    """

    request: Request
    response: Response
    times: Times
    id: str = ""
    origin: Response | None = None
    messages: tuple[WebSocketMessage, ...] = ()
    close_code: int | None = None
    close_reason: str = ""
    closed_by_client: bool | None = None
    error: str = ""
    comment: str = ""
    trace: tuple[Mapping[str, Any], ...] = ()
    connection_info: Mapping[str, Any] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)


class Entries(Protocol):
    """Entries by number, from 0: a list, or an index of a file."""

    def __getitem__(self, number: int, /) -> Entry: ...
