"""The line for each request and tunnel: a JSON object, or the combined format of Apache and nginx. Pure.

No text from a client can start or end a line, or control the terminal that shows it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from functools import lru_cache
from json.encoder import encode_basestring_ascii
from math import inf
from typing import Protocol

from proxy_policies.addresses import SocketAddress, format_target
from proxy_policies.finished.reporting import Item, Mask, Record
from proxy_policies.flows.request_summary import RequestSummary
from proxy_policies.log_lines import printable

CACHE_SIZE = 4096
"""Cached texts, and lines of repeated responses, that are likely to be written again."""
_Shared = tuple[bool, str, bytes, bool, bytes, bytes, int, str, str, SocketAddress | None, bytes, bytes, str]
"""What many lines share of a record: all but the client, times, sizes, and the target, of which only the presence."""
_TARGET = "\0"
"""Stands for the target; no escaped text contains it."""
_SECONDS = "%.6f".__mod__
_MILLISECONDS = tuple([f'{number:03d}Z","client":'.encode() for number in (*range(1000), 999)])
"""The last one is for times so shortly before a second that their difference from the one before is rounded to 1."""
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Format(Protocol):
    """Formats lines."""

    def lines(self, items: Iterable[Item]) -> bytes:
        """Return a line for each item."""


class _Cache[Key, Value](dict[Key, Value]):
    """The results of a function for recent keys; a dict, whose `get` is faster than any call of ours."""

    def __init__(self, function: Callable[[Key], Value]) -> None:
        super().__init__()
        self._function = function

    def __missing__(self, key: Key) -> Value:
        if len(self) >= CACHE_SIZE:
            self.clear()  # deleting the oldest one takes longer the more were deleted before it
        value = self[key] = self._function(key)
        return value


def _readable(mask: Mask) -> Callable[[bytes | str], str]:
    """Return a function that returns a client's text with secrets masked and control characters escaped."""
    return lambda data: printable(mask(data if isinstance(data, str) else data.decode("utf-8", "backslashreplace")))


def _request_line(request: RequestSummary, texts: _Cache[bytes | str, str]) -> str:
    """Return the request line; "" if there was no valid request."""
    method, target, version = request.method, request.target, request.version
    if method and target and version:
        return f"{texts[method]} {texts[target]} {texts[version]}"
    return " ".join([texts[part] for part in (method, target, version) if part])


class JsonFormat:
    """A JSON object per line (https://jsonlines.org), its time in UTC (RFC 3339)."""

    def __init__(self, mask: Mask) -> None:
        self._mask = mask
        self._escaped = _Cache(self._escape)
        self._shared, self._addresses, self._repeated = _Cache(self._texts), _Cache(_address), _Cache(self._formatted)

    def lines(self, items: Iterable[Item]) -> bytes:
        """Return a line for each item; thousands in a second share the formatted time."""
        address_of, rest_of = self._addresses.get, self._repeated.get
        second = end = 0.0  # floats, as integers are slower to compare with
        time_text, parts = b"", list[bytes]()
        for record, client, now in items:
            if not second <= now < end:
                second = now // 1.0
                end, time_text = second + 1.0, _in_utc(int(second))
            milliseconds = _MILLISECONDS[int((now - second) * 1000.0)]
            address = address_of(client) or self._addresses[client]
            parts += time_text, milliseconds, address, rest_of(record) or self._rest(record)
        return b"".join(parts)

    def _rest(self, record: Record) -> bytes:
        return self._repeated[record] if record.is_repeated else self._formatted(record)

    def _formatted(self, record: Record) -> bytes:
        request = record.request
        target = request.target
        shared = (
            record.is_tunnel,
            record.user,
            request.method,
            bool(target),
            request.version,
            request.host,
            record.status,
            record.cache,
            record.encoding,
            record.upstream,
            request.referer,
            request.user_agent,
            record.error,
        )
        before, after, end = self._shared.get(shared) or self._shared[shared]
        sent, received, seconds = record.sent, record.received, record.seconds
        connecting, waiting = record.connect_seconds, record.upstream_seconds
        return (
            f"{before}{self._escaped.get(target) or self._escaped[target]}{after}{'null' if sent is None else sent},"
            f'"bytes_received":{"null" if received is None else received},'
            f'"seconds":{seconds if seconds > 0.0 else 0.0:.6f},'
            f'"connect_seconds":{"null" if connecting is None else _SECONDS(connecting)},'
            f'"upstream_seconds":{"null" if waiting is None else _SECONDS(waiting)},{end}'
        ).encode()

    def _texts(self, values: _Shared) -> tuple[str, str, str]:
        """Return the texts that many lines share: before the target, between it and the numbers, and after them."""
        is_tunnel, user, method, has_target, version, host, status = values[:7]
        cache, encoding, upstream, referer, user_agent, error = values[7:]
        quoted = self._quoted
        words = [self._escaped[method], _TARGET if has_target else "", self._escaped[version]]
        line = " ".join(word for word in words if word)
        beginning = (
            f',"type":"{"tunnel" if is_tunnel else "request"}","user":{quoted(user)},'
            f'"request":{f'"{line}"' if line else "null"},"host":{quoted(host)},"status":{status},"bytes":'
        )
        before, _, after = beginning.partition(_TARGET)
        return (
            before,
            after,
            (
                f'"cache":{quoted(cache)},"encoding":{quoted(encoding)},"upstream":{_address(upstream).decode()},'
                f'"referer":{quoted(referer)},"user_agent":{quoted(user_agent)},"error":{quoted(error)}}}\n'
            ),
        )

    def _escape(self, data: bytes | str) -> str:
        """Return a client's text with secrets masked, as it is written between quotes."""
        text = self._mask(data if isinstance(data, str) else data.decode("utf-8", "backslashreplace"))
        if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
            return text
        return encode_basestring_ascii(printable(text))[1:-1]

    def _quoted(self, text: bytes | str) -> str:
        return f'"{self._escaped[text]}"' if text else "null"


@lru_cache(4)
def _in_utc(second: int) -> bytes:
    return time.strftime('{"time":"%Y-%m-%dT%H:%M:%S.', time.gmtime(second)).encode()


def _address(address: SocketAddress | None) -> bytes:
    if not address:
        return b"null"
    return encode_basestring_ascii(printable(format_target(str(address[0]), address[1]))).encode()


class CombinedFormat:
    """The format that Apache and nginx call combined, which log analysers read; its time is local."""

    def __init__(self, mask: Mask) -> None:
        self._texts = _Cache(_readable(mask))
        self._clients, self._users, self._repeated = _Cache(_host), _Cache(self._user), _Cache(self._rest)

    def lines(self, items: Iterable[Item]) -> bytes:
        """Return a line for each item; thousands in a second share the formatted time."""
        clients, users, repeated = self._clients, self._users, self._repeated
        second, time_text, parts = inf, b"", list[bytes]()
        for record, client, now in items:
            if not second <= now < second + 1:
                second = int(now)
                time_text = _local(second).encode()
            rest = repeated[record] if record.is_repeated else self._rest(record)
            parts += clients[client], users[record.user], time_text, rest
        return b"".join(parts)

    def _user(self, user: str) -> bytes:
        shown = _escaped(self._texts[user]).replace(" ", "\\x20")
        return f" - {shown or '-'} [".encode()

    def _rest(self, record: Record) -> bytes:
        request, text = record.request, self._texts
        line, referer, agent = _request_line(request, text), text[request.referer], text[request.user_agent]
        texts = f'"{_escaped(referer) or "-"}" "{_escaped(agent) or "-"}"'
        return f'] "{_escaped(line) or "-"}" {record.status:03d} {record.sent or 0} {texts}\n'.encode()


def _host(client: SocketAddress | None) -> bytes:
    return str(client[0]).encode() if client else b"-"


@lru_cache(2)
def _local(second: int) -> str:
    """Return a time in Apache's format, in English whatever the locale."""
    at = time.localtime(second)
    return f"{at.tm_mday:02d}/{_MONTHS[at.tm_mon - 1]}/{time.strftime('%Y:%H:%M:%S %z', at)}"


FORMATS: dict[str, Callable[[Mask], Format]] = {"json": JsonFormat, "combined": CombinedFormat}


def _escaped(text: str) -> str:
    r"""Return a text with quotes, backslashes and all but printable ASCII escaped as nginx does: `\x22`."""
    if text.isascii() and '"' not in text and "\\" not in text:
        return text
    encoded = text.encode("utf-8", "surrogatepass")
    return "".join(chr(code) if 0x20 <= code < 0x7F and code not in b'"\\' else f"\\x{code:02X}" for code in encoded)
