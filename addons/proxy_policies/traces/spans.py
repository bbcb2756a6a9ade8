"""What a span says of a request or a tunnel, in the words of OpenTelemetry's semantic conventions for HTTP. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from proxy_policies.counting.collector import METHODS, error_of
from proxy_policies.finished.reporting import CLIENT_CLOSED, Address, Finished, Item

Mask = Callable[[str], str]
"""Returns a text of a client's without the secrets in it, and without what a terminal obeys."""
Value = str | int
VERSIONS = {b"HTTP/2.0": "2", b"HTTP/3.0": "3"}
"""As they are written without a minor version."""


@dataclass(frozen=True, slots=True)
class SpanData:
    """A span that has ended."""

    name: str
    parent: str
    """The client's `traceparent` (W3C Trace Context), as it came; empty where there is none."""
    started: int
    """POSIX time in nanoseconds."""
    ended: int
    attributes: Callable[[], dict[str, Value]]
    """Makes them, which takes most of the time: of a span that is not sampled nobody asks for them."""
    error: Callable[[], str]
    """Says what went wrong, in a sentence; "" where `error.type` is not set."""


def span_of(item: Item, mask: Mask) -> SpanData:
    """Return the span of what has ended, or was answered again, which took no time."""
    if isinstance(item, Finished):
        what, client, started, ended = item, item.client, item.started, item.started + max(0.0, item.seconds)
    else:
        what, client, started = item
        ended = started
    method = what.asked.method.decode("latin-1")
    return SpanData(
        method if method in METHODS else "HTTP",  # of few values: what is asked for is an attribute
        what.asked.traceparent.decode("latin-1"),
        _nanoseconds(started),
        _nanoseconds(ended),
        lambda: _attributes(what, client, mask),
        lambda: mask(what.error) or _error_type(what) if _error_type(what) else "",
    )


def _attributes(what: Finished, client: Address | None, mask: Mask) -> dict[str, Value]:
    method = what.asked.method.decode("latin-1")
    attributes: dict[str, Value] = {"http.request.method": method if method in METHODS else "_OTHER"}
    if method not in METHODS:
        attributes["http.request.method_original"] = mask(method)
    _add_url(attributes, what, mask)
    _add_address(attributes, "client", client)
    _add_rest(attributes, what, mask)
    if error := _error_type(what):
        attributes["error.type"] = error
    return attributes


def url_of(what: Finished) -> str:
    """Return the URL that was asked for; "" of a tunnel, and where nobody knows the host."""
    target, host = _text(what.asked.target), _text(what.asked.host)
    if what.is_tunnel or what.asked.method == b"CONNECT":
        return ""
    if "://" in target and not target.startswith("/"):
        return target
    path = target if target.startswith("/") else ""  # of OPTIONS * there is none
    return f"{'https' if what.is_tls else 'http'}://{host}{path}" if host else ""


def _add_url(attributes: dict[str, Value], what: Finished, mask: Mask) -> None:
    url = url_of(what)
    if url:
        attributes["url.full"] = mask(url)
    try:
        parts = urlsplit(url or f"//{_text(what.asked.target)}")
        host, port = parts.hostname, parts.port
    except ValueError:  # what a client said is no address
        return
    if host:
        attributes["server.address"] = mask(host)
        if port or url:
            attributes["server.port"] = port or (443 if parts.scheme == "https" else 80)


def _add_address(attributes: dict[str, Value], name: str, address: Address | None) -> None:
    if address:
        attributes[f"{name}.address"], attributes[f"{name}.port"] = str(address[0]), int(address[1])


def _add_rest(attributes: dict[str, Value], what: Finished, mask: Mask) -> None:
    asked = what.asked
    sizes = {"http.request.body.size": what.received, "http.response.body.size": what.sent}
    texts = {
        "network.protocol.version": VERSIONS.get(asked.version) or _text(asked.version).removeprefix("HTTP/"),
        "user_agent.original": _text(asked.user_agent),
        "proxy_policies.cache": what.cache,
    }
    attributes.update({name: size for name, size in sizes.items() if size is not None})
    attributes.update({name: mask(text) for name, text in texts.items() if text})
    if 100 <= what.status < 600 and what.status != CLIENT_CLOSED:  # which nobody was sent
        attributes["http.response.status_code"] = what.status
    _add_address(attributes, "proxy_policies.upstream", what.upstream)


def _error_type(what: Finished) -> str:
    if what.status >= 500:
        return str(what.status)
    if what.is_tunnel:
        return "tunnel" if what.error else ""
    return error_of(what)


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1e6) * 1000  # a float of today has no nanoseconds


def _text(data: bytes) -> str:
    return data.decode("utf-8", "backslashreplace")
