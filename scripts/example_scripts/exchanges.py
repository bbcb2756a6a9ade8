"""Requests through a proxy, and which parts of the responses must be the same with and without our policies."""

from __future__ import annotations

import gzip
import http.client
import zlib
from collections.abc import Callable
from dataclasses import dataclass

FORM = "name=foo&secret=bar"
FORM_FIELDS = {"Content-Type": "application/x-www-form-urlencoded"}
type Asked = tuple[str, str, dict[str, str], str | None]
ASKED: tuple[Asked, ...] = (
    ("GET", "/html", {}, None),
    ("GET", "/html?foo=bar&q=a%20b", {"Accept-Encoding": "gzip"}, None),
    ("HEAD", "/html", {}, None),
    ("GET", "/json", {"Accept-Encoding": "gzip, deflate"}, None),
    ("GET", "/gzip", {"Accept-Encoding": "gzip"}, None),
    ("GET", "/chunked", {"Accept-Encoding": "gzip"}, None),
    ("GET", "/large", {}, None),
    ("POST", "/html", FORM_FIELDS, FORM),
    ("PUT", "/json", {"Content-Type": "application/json"}, '{"foo": 1}'),
    ("GET", "/moved", {}, None),
    ("GET", "/none", {}, None),
    *[("GET", "/stored", {"Accept-Encoding": "gzip"}, None)] * 2,
)
"""Method, path, fields and body; the last is a hit."""
SENDERS_OWN = frozenset(
    {
        *("connection", "proxy-connection", "keep-alive", "transfer-encoding", "content-length", "content-encoding"),
        *("vary", "etag", "via", "age", "cache-status", "date", "accept-ranges", "trailer", "server"),
    }
)
"""Fields that the policies may change."""
DECODERS: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.decompress, "deflate": zlib.decompress}
RESPONSE_TIMEOUT = 20.0
"""Seconds for a response: one of mitmproxy's examples sleeps for five."""


@dataclass(frozen=True)
class Outcome:
    """A client's result: status, fields and decoded body, or the kind of failure."""

    status: int
    fields: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


def ask_all(proxy: int, origin: int) -> list[Outcome]:
    """Send the requests one after the other, as some scripts count; return their outcomes."""
    return [ask(proxy, origin, *asked) for asked in ASKED]


def ask(proxy: int, origin: int, method: str, path: str, fields: dict[str, str], body: str | None) -> Outcome:
    """Send a request; return its outcome, with status 0 if there was no valid response."""
    connection = http.client.HTTPConnection("127.0.0.1", proxy, timeout=RESPONSE_TIMEOUT)
    try:
        connection.request(method, f"http://127.0.0.1:{origin}{path}", body, fields)
        response = connection.getresponse()
        content = response.read()
        coding = (response.getheader("Content-Encoding") or "").lower()
        if content and coding in DECODERS:
            content = DECODERS[coding](content)
    except (OSError, http.client.HTTPException, zlib.error):
        return Outcome(0)
    finally:
        connection.close()
    if response.status >= 500:  # the proxy's own text
        return Outcome(response.status)
    told = sorted((name.lower(), value) for name, value in response.getheaders() if name.lower() not in SENDERS_OWN)
    return Outcome(response.status, tuple(told), content)
