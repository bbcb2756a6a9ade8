"""The line for each request and tunnel: a JSON object, or the combined format of Apache and nginx. Pure.

No text from a client can start or end a line, or control the terminal that shows it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import lru_cache
from json.encoder import encode_basestring_ascii
from typing import Protocol

from proxy_policies.addresses import format_target
from proxy_policies.finished.reporting import Address, Item, Record
from proxy_policies.log_lines import printable
from proxy_policies.request_summary import RequestSummary

Mask = Callable[[str], str]
"""Returns a client's text with the secrets in it masked."""
CACHE_SIZE = 4096
"""Cached texts, and lines of learned responses, that are likely to be written again."""
_SECONDS = "%.6f".__mod__
_MILLISECONDS = tuple([f'{number:03d}Z","client":' for number in range(1000)])
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Format(Protocol):
    """Formats lines."""

    def lines(self, items: Iterable[Item]) -> str:
        """Return a line for each record and each repeated hit."""


class _Cache[Key, Value](dict[Key, Value]):
    """The results of a function for recent keys; a dict, whose look-up is faster than any call (lru_cache)."""

    def __init__(self, function: Callable[[Key], Value]) -> None:
        super().__init__()
        self._function = function

    def __missing__(self, key: Key) -> Value:
        if len(self) >= CACHE_SIZE:
            self.clear()  # deleting the oldest one takes longer the more were deleted before it
        value = self[key] = self._function(key)
        return value


class _Texts:
    """Clients' texts, with secrets masked and control characters escaped."""

    def __init__(self, mask: Mask) -> None:
        self._mask = mask
        self.printable = _Cache(self._printable)

    def _printable(self, data: bytes | str) -> str:
        text = data if isinstance(data, str) else data.decode("utf-8", "backslashreplace")
        return printable(self._mask(text))

    def request_line(self, request: RequestSummary) -> str:
        """Return the request line; "" if there was no valid request."""
        method, target, version, text = request.method, request.target, request.version, self.printable
        if method and target and version:
            return f"{text[method]} {text[target]} {text[version]}"
        return " ".join([text[part] for part in (method, target, version) if part])


class JsonFormat:
    """A JSON object per line (https://jsonlines.org), its time in UTC (RFC 3339)."""

    def __init__(self, mask: Mask) -> None:
        self._texts = _Texts(mask)
        self._quoted = _Cache[bytes | str, str](lambda text: _quoted(self._texts.printable[text]))
        self._ends, self._addresses, self._hits = _Cache(self._end), _Cache(_address), _Cache(self._rest_of_hit)

    def lines(self, items: Iterable[Item]) -> str:
        """Return a line for each item; dozens in a millisecond share the formatted time."""
        addresses, hits = self._addresses, self._hits
        client: Address | None
        since = until = second = 0.0
        time_text, beginning, parts = "", "", list[str]()
        for item in items:
            if isinstance(item, tuple):
                record, client, now = item
                rest = hits[record]
            else:
                client, now, rest = item.client, item.started + item.seconds, self._rest(item)
            if not since <= now < until:
                if not (time_text and second <= now < second + 1.0):  # floats, as integers are slower to compare with
                    second = now // 1.0
                    time_text = _in_utc(int(second))
                milliseconds = int((now - second) * 1000.0)
                since, until = now, second + (milliseconds + 1) / 1000.0
                beginning = time_text + _MILLISECONDS[milliseconds]
            parts += beginning, addresses[client], rest
        return "".join(parts)

    def _rest_of_hit(self, record: Record) -> str:
        return self._rest(replace(record, seconds=0.0, connect_seconds=None, upstream_seconds=None))

    def _rest(self, record: Record) -> str:
        request, sent, received, quoted = record.request, record.sent, record.received, self._quoted
        seconds, connecting, waiting = record.seconds, record.connect_seconds, record.upstream_seconds
        end = self._ends[
            record.cache, record.encoding, record.upstream, request.referer, request.user_agent, record.error
        ]
        line = _quoted(self._texts.request_line(request))
        return (
            f',"type":"{"tunnel" if record.is_tunnel else "request"}","user":{quoted[record.user]},'
            f'"request":{line},"host":{quoted[request.host]},"status":{record.status},'
            f'"bytes":{"null" if sent is None else sent},"bytes_received":{"null" if received is None else received},'
            f'"seconds":{seconds if seconds > 0.0 else 0.0:.6f},'
            f'"connect_seconds":{"null" if connecting is None else _SECONDS(connecting)},'
            f'"upstream_seconds":{"null" if waiting is None else _SECONDS(waiting)},{end}'
        )

    def _end(self, values: tuple[str, str, Address | None, bytes, bytes, str]) -> str:
        """Return the end of a line, which many lines share."""
        quoted = self._quoted
        cache, encoding, upstream, referer, user_agent, error = values
        return (
            f'"cache":{quoted[cache]},"encoding":{quoted[encoding]},"upstream":{_address(upstream)},'
            f'"referer":{quoted[referer]},"user_agent":{quoted[user_agent]},"error":{quoted[error]}}}\n'
        )


@lru_cache(4)
def _in_utc(second: int) -> str:
    return time.strftime('{"time":"%Y-%m-%dT%H:%M:%S.', time.gmtime(second))


def _quoted(text: str) -> str:
    return encode_basestring_ascii(text) if text else "null"


def _address(address: Address | None) -> str:
    return _quoted(printable(format_target(str(address[0]), address[1]))) if address else "null"


class CombinedFormat:
    """The format that Apache and nginx call combined, which log analysers read; its time is local."""

    def __init__(self, mask: Mask) -> None:
        self._texts = _Texts(mask)
        self._clients, self._users, self._hits = _Cache(_host), _Cache(self._user), _Cache(self._rest)

    def lines(self, items: Iterable[Item]) -> str:
        """Return a line for each item; thousands in a second share the formatted time."""
        clients, users, hits = self._clients, self._users, self._hits
        client: Address | None
        second, time_text, parts = -1, "", list[str]()
        for item in items:
            if isinstance(item, tuple):
                record, client, now = item
                rest = hits[record]
            else:
                record, client, now, rest = item, item.client, item.started + item.seconds, self._rest(item)
            if not second <= now < second + 1:
                second = int(now)
                time_text = _local(second)
            parts += clients[client], users[record.user], time_text, rest
        return "".join(parts)

    def _user(self, user: str) -> str:
        shown = _escaped(self._texts.printable[user]).replace(" ", "\\x20")
        return f" - {shown or '-'} ["

    def _rest(self, record: Record) -> str:
        request, text = record.request, self._texts.printable
        line, referer, agent = self._texts.request_line(request), text[request.referer], text[request.user_agent]
        texts = f'"{_escaped(referer) or "-"}" "{_escaped(agent) or "-"}"'
        return f'] "{_escaped(line) or "-"}" {record.status:03d} {record.sent or 0} {texts}\n'


def _host(client: Address | None) -> str:
    return str(client[0]) if client else "-"


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
