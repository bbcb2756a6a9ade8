"""What is written of each request and tunnel: a JSON object, or the combined format of Apache and nginx. Pure.

Nothing that a client said can begin a line, end one, or be obeyed by the terminal that shows it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import lru_cache
from json.encoder import encode_basestring_ascii
from typing import Protocol

from proxy_policies.addresses import format_target
from proxy_policies.asked import Asked
from proxy_policies.finished.reporting import Address, Finished, Item
from proxy_policies.log_lines import printable

Mask = Callable[[str], str]
"""Returns a text of a client's without the secrets in it."""
REMEMBERED = 4096
"""Lines of learned responses, and texts, that are kept to be written again."""
_SECONDS = "%.6f".__mod__
_MILLISECONDS = tuple([f'{number:03d}Z","client":' for number in range(1000)])
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Format(Protocol):
    """Writes lines."""

    def lines(self, items: Iterable[Item]) -> str:
        """Return the lines of what has ended, or was answered again."""


class _Made[Key, Made](dict[Key, Made]):
    """What was made of each of the last keys; it makes what it has not. A look-up costs less than any call."""

    def __init__(self, make: Callable[[Key], Made]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, key: Key) -> Made:
        while len(self) >= REMEMBERED:
            del self[next(iter(self))]
        made = self[key] = self._make(key)
        return made


class _Remembered:
    """What is written again and again, kept: texts without secrets and without what a terminal obeys, and lines."""

    def __init__(self, mask: Mask) -> None:
        self._mask = mask
        self.text = _Made(self._text)

    def _text(self, data: bytes | str) -> str:
        text = data if isinstance(data, str) else data.decode("utf-8", "backslashreplace")
        return printable(self._mask(text))

    def request(self, asked: Asked) -> str:
        """Return the request line; "" for what was no request."""
        method, target, version, text = asked.method, asked.target, asked.version, self.text
        if method and target and version:
            return f"{text[method]} {text[target]} {text[version]}"
        return " ".join([text[part] for part in (method, target, version) if part])


class JsonFormat:
    """A JSON object a line (https://jsonlines.org), its time in UTC (RFC 3339)."""

    def __init__(self, mask: Mask) -> None:
        self._remembered = _Remembered(mask)
        self._quoted = _Made[bytes | str, str](lambda text: _quoted(self._remembered.text[text]))
        self._ended, self._addresses, self._again = _Made(self._end), _Made(_address), _Made(self._rest_at_once)

    def lines(self, items: Iterable[Item]) -> str:
        """Return the lines of what has ended, or was answered again: dozens in a millisecond, with one beginning."""
        addresses, again = self._addresses, self._again
        client: Address | None
        since = until = 0.0
        begun, made = "", list[str]()
        for item in items:
            if isinstance(item, tuple):
                what, client, now = item
                rest = again[what]
            else:
                client, now, rest = item.client, item.started + item.seconds, self._rest(item)
            if not since <= now < until:
                milliseconds = int(now * 1000)
                since, until, begun = milliseconds / 1000, (milliseconds + 1) / 1000, _begun(milliseconds)
            made += begun, addresses[client], rest
        return "".join(made)

    def _rest_at_once(self, what: Finished) -> str:
        return self._rest(replace(what, seconds=0.0, connect_seconds=None, upstream_seconds=None))

    def _rest(self, what: Finished) -> str:
        asked, sent, received, quoted = what.asked, what.sent, what.received, self._quoted
        seconds, connecting, waiting = what.seconds, what.connect_seconds, what.upstream_seconds
        end = self._ended[what.cache, what.encoding, what.upstream, asked.referer, asked.user_agent, what.error]
        return (
            f',"type":"{"tunnel" if what.is_tunnel else "request"}","user":{quoted[what.user]},'
            f'"request":{_quoted(self._remembered.request(asked))},"host":{quoted[asked.host]},"status":{what.status},'
            f'"bytes":{"null" if sent is None else sent},"bytes_received":{"null" if received is None else received},'
            f'"seconds":{seconds if seconds > 0.0 else 0.0:.6f},'
            f'"connect_seconds":{"null" if connecting is None else _SECONDS(connecting)},'
            f'"upstream_seconds":{"null" if waiting is None else _SECONDS(waiting)},{end}'
        )

    def _end(self, said: tuple[str, str, Address | None, bytes, bytes, str]) -> str:
        """Return what many lines end with."""
        quoted = self._quoted
        cache, encoding, upstream, referer, user_agent, error = said
        return (
            f'"cache":{quoted[cache]},"encoding":{quoted[encoding]},"upstream":{_address(upstream)},'
            f'"referer":{quoted[referer]},"user_agent":{quoted[user_agent]},"error":{quoted[error]}}}\n'
        )


def _begun(milliseconds: int) -> str:
    """Return the beginning of each line of a millisecond, up to its client."""
    second, rest = divmod(milliseconds, 1000)
    return _in_utc(second) + _MILLISECONDS[rest]


@lru_cache(4)
def _in_utc(second: int) -> str:
    return time.strftime('{"time":"%Y-%m-%dT%H:%M:%S.', time.gmtime(second))


def _quoted(text: str) -> str:
    return encode_basestring_ascii(text) if text else "null"


def _address(address: Address | None) -> str:
    return _quoted(printable(format_target(str(address[0]), address[1]))) if address else "null"


class CombinedFormat:
    """The line that Apache and nginx call combined, which every analyser of logs reads; its time is local."""

    def __init__(self, mask: Mask) -> None:
        self._remembered = _Remembered(mask)
        self._clients, self._users, self._again = _Made(_host), _Made(self._user), _Made(self._rest)

    def lines(self, items: Iterable[Item]) -> str:
        """Return the lines of what has ended, or was answered again: thousands in a second, with one time."""
        clients, users, again = self._clients, self._users, self._again
        client: Address | None
        second, at, made = -1, "", list[str]()
        for item in items:
            if isinstance(item, tuple):
                what, client, now = item
                rest = again[what]
            else:
                what, client, now, rest = item, item.client, item.started + item.seconds, self._rest(item)
            if not second <= now < second + 1:
                second = int(now)
                at = _local(second)
            made += clients[client], users[what.user], at, rest
        return "".join(made)

    def _user(self, user: str) -> str:
        shown = _escaped(self._remembered.text[user]).replace(" ", "\\x20")
        return f" - {shown or '-'} ["

    def _rest(self, what: Finished) -> str:
        asked, text = what.asked, self._remembered.text
        request, referer, agent = self._remembered.request(asked), text[asked.referer], text[asked.user_agent]
        texts = f'"{_escaped(referer) or "-"}" "{_escaped(agent) or "-"}"'
        return f'] "{_escaped(request) or "-"}" {what.status:03d} {what.sent or 0} {texts}\n'


def _host(client: Address | None) -> str:
    return str(client[0]) if client else "-"


@lru_cache(2)
def _local(second: int) -> str:
    """Write a time as Apache does, in English wherever we are."""
    at = time.localtime(second)
    return f"{at.tm_mday:02d}/{_MONTHS[at.tm_mon - 1]}/{time.strftime('%Y:%H:%M:%S %z', at)}"


FORMATS: dict[str, Callable[[Mask], Format]] = {"json": JsonFormat, "combined": CombinedFormat}


def _escaped(text: str) -> str:
    r"""Write what would end a quoted text, and what is not ASCII, as nginx does: `\x22`."""
    if text.isascii() and '"' not in text and "\\" not in text:
        return text
    octets = text.encode("utf-8", "surrogatepass")
    return "".join(chr(code) if 0x20 <= code < 0x7F and code not in b'"\\' else f"\\x{code:02X}" for code in octets)
