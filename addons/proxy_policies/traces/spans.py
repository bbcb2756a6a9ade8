"""The span of a request or a tunnel, after OpenTelemetry's semantic conventions for HTTP. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from proxy_policies.addresses import SocketAddress
from proxy_policies.counting.collector import METHODS, error_of
from proxy_policies.finished.reporting import CLIENT_CLOSED, Item, Mask, Record

"""Returns a client's text with secrets masked and control characters escaped."""
Value = str | int
VERSIONS = {b"HTTP/2.0": "2", b"HTTP/3.0": "3"}
"""HTTP versions that are written without a minor version."""


@dataclass(frozen=True, slots=True)
class SpanData:
    """A span that has ended."""

    name: str
    parent: str
    """The client's `traceparent` (W3C Trace Context) as received; empty if there is none."""
    started: int
    """POSIX time in nanoseconds."""
    ended: int
    attributes: Callable[[], dict[str, Value]]
    """Returns the attributes; a function, as they take most of the time and are not needed if not sampled."""
    error: Callable[[], str]
    """Returns the error's text; "" if `error.type` is not set."""


def span_of(item: Item, mask: Mask) -> SpanData:
    """Return the span of a request or tunnel; that of a repeated hit takes no time."""
    record, client, ended = item
    started = ended if record.is_repeated else record.started
    method = record.request.method.decode("latin-1")
    return SpanData(
        method if method in METHODS else "HTTP",  # few values: the URL is an attribute
        record.request.traceparent.decode("latin-1"),
        _nanoseconds(started),
        _nanoseconds(max(started, ended)),
        lambda: _attributes(record, client, mask),
        lambda: mask(record.error) or _error_type(record) if _error_type(record) else "",
    )


def _attributes(record: Record, client: SocketAddress | None, mask: Mask) -> dict[str, Value]:
    method = record.request.method.decode("latin-1")
    attributes: dict[str, Value] = {"http.request.method": method if method in METHODS else "_OTHER"}
    if method not in METHODS:
        attributes["http.request.method_original"] = mask(method)
    _add_url(attributes, record, mask)
    _add_address(attributes, "client", client)
    _add_rest(attributes, record, mask)
    if error := _error_type(record):
        attributes["error.type"] = error
    return attributes


def url_of(record: Record) -> str:
    """Return the requested URL; "" for a tunnel, and if the host is unknown."""
    target, host = _text(record.request.target), _text(record.request.host)
    if record.is_tunnel or record.request.method == b"CONNECT":
        return ""
    if "://" in target and not target.startswith("/"):
        return target
    path = target if target.startswith("/") else ""  # OPTIONS * has none
    return f"{'https' if record.is_tls else 'http'}://{host}{path}" if host else ""


def _add_url(attributes: dict[str, Value], record: Record, mask: Mask) -> None:
    url = url_of(record)
    if url:
        attributes["url.full"] = mask(url)
    try:
        parts = urlsplit(url or f"//{_text(record.request.target)}")
        host, port = parts.hostname, parts.port
    except ValueError:  # the client sent an invalid address
        return
    if host:
        attributes["server.address"] = mask(host)
        if port or url:
            attributes["server.port"] = port or (443 if parts.scheme == "https" else 80)


def _add_address(attributes: dict[str, Value], name: str, address: SocketAddress | None) -> None:
    if address:
        attributes[f"{name}.address"], attributes[f"{name}.port"] = str(address[0]), int(address[1])


def _add_rest(attributes: dict[str, Value], record: Record, mask: Mask) -> None:
    request = record.request
    sizes = {"http.request.body.size": record.received, "http.response.body.size": record.sent}
    texts = {
        "network.protocol.version": VERSIONS.get(request.version) or _text(request.version).removeprefix("HTTP/"),
        "user_agent.original": _text(request.user_agent),
        "proxy_policies.cache": record.cache,
    }
    attributes.update({name: size for name, size in sizes.items() if size is not None})
    attributes.update({name: mask(text) for name, text in texts.items() if text})
    if 100 <= record.status < 600 and record.status != CLIENT_CLOSED:  # which was not sent
        attributes["http.response.status_code"] = record.status
    _add_address(attributes, "proxy_policies.upstream", record.upstream)


def _error_type(record: Record) -> str:
    if record.status >= 500:
        return str(record.status)
    if record.is_tunnel:
        return "tunnel" if record.error else ""
    return error_of(record)


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1e6) * 1000  # a float of the present time has no nanoseconds


def _text(data: bytes) -> str:
    return data.decode("utf-8", "backslashreplace")
