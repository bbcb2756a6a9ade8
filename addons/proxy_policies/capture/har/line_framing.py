"""HAR files that are also framed by lines, to be written entry by entry, and repaired if truncated.

    {"log": {…, "entries": [        the head, one line
    {                               an entry begins with a brace in the first column
     "request": …                   its inner lines begin with a space
    }                               and it is whole once its closing brace stands alone
    ,{                              the next one brings its comma
    }
    ]}}                             the tail: the file is whole

JSON strings contain no raw line feed, so the first column is sufficient for parsing. The rest of a truncated file,
after the last complete entry, is the entry that was being written.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from json.encoder import c_make_encoder, encode_basestring, encode_basestring_ascii  # type: ignore[attr-defined]
from math import isfinite
from typing import Any

HEAD_END = b'"entries": ['
TAIL = b"]}}\n"
MEMBERS = 32  # of an object that is no dictionary: an entry of ours has some 20
DEPTH = 4  # entry, request, headers, header: one header field to a line


class Pairs(list[dict[str, str]]):
    """Names and values whose JSON is cached, as many entries have the same fields. Not to be changed."""

    __slots__ = ("laid_out",)

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        super().__init__([{"name": name, "value": value} for name, value in pairs])
        self.laid_out: dict[int, str] = {}
        """Their JSON by depth."""


class Laid(dict[str, Any]):
    """An object whose JSON is cached, as many entries have the same response. Not to be changed."""

    __slots__ = ("laid_out",)

    def __init__(self, fields: dict[str, Any]) -> None:
        super().__init__(fields)
        self.laid_out: dict[int, str] = {}
        """Its JSON by depth."""


_NESTED = (dict, list, Pairs, Laid)


def head_line(log: dict[str, Any]) -> bytes:
    """Return the first line: the log object up to its entries."""
    text = json.dumps({**{name: value for name, value in log.items() if name != "entries"}, "entries": []})
    return b'{"log": ' + text.removesuffix("]}").encode() + b"\n"


def read_head(line: bytes) -> dict[str, Any] | None:
    """Return the log object of a head line; None if the file is not framed by lines."""
    if not line.rstrip().endswith(HEAD_END):
        return None
    try:
        value = json.loads(line.rstrip() + b"]}}")
    except ValueError:
        return None
    log = value.get("log") if isinstance(value, dict) else None
    return {name: item for name, item in log.items() if name != "entries"} if isinstance(log, dict) else None


def entry_lines(fields: dict[str, Any], first: bool) -> bytes:
    """Return an entry object as lines, with a comma before it unless it is the first."""
    return f"{'' if first else ','}{_lay_out(fields, 1)}\n".encode("utf-8", "surrogatepass")


def _lay_out(value: Any, depth: int) -> str:
    """Return JSON with one member per line down to DEPTH, for reviews and diffs."""
    kind = value.__class__
    if kind is dict:
        return _object(value, depth)
    if kind is list:
        return _list(value, depth)
    if kind is not Pairs and kind is not Laid:
        return _dump(value)
    if (text := value.laid_out.get(depth)) is None:
        text = value.laid_out[depth] = _list(value, depth) if kind is Pairs else _object(value, depth)
    return str(text)


def _object(value: dict[str, Any], depth: int) -> str:
    if not value or depth >= DEPTH or _is_leaf(value, depth):
        return _dump(value)
    return (_known_lines if len(value) <= MEMBERS else _on_lines)(tuple(value), depth) % tuple(
        [
            write(item) if (write := _SCALARS.get(item.__class__)) is not None else _lay_out(item, depth + 1)
            for item in value.values()
        ]
    )


def _on_lines(names: tuple[Any, ...], depth: int) -> str:
    """Return the format string of an object with these members, one per line, with `%s` for each value."""
    pad = " " * depth
    lines = ",\n".join([f"{pad}{_name(name).replace('%', '%%')}: %s" for name in names])
    return f"{{\n{lines}\n{pad[1:]}}}"


_known_lines = lru_cache(256)(_on_lines)  # objects are of few kinds


def _list(value: list[Any], depth: int) -> str:
    if value and value[0].__class__ is dict:
        pad = " " * depth
        return "[\n" + ",\n".join([pad + _item(item) for item in value]) + f"\n{pad[1:]}]"
    return _dump(value)


def _is_leaf(value: dict[str, Any], depth: int) -> bool:
    if depth == 1:
        return False
    for item in value.values():  # noqa: SIM110 -- a generator takes twice as long
        if item.__class__ in _NESTED or (item.__class__ is str and len(item) > 60):
            return False
    return True


def _name(name: Any) -> str:
    return _dump(str(name))


def _item(value: Any) -> str:
    if value.__class__ is dict and tuple(value) == ("name", "value"):
        name, text = value.values()
        if name.__class__ is text.__class__ is str:
            return _pair(name, text)
    return _dump(value)


@lru_cache(1024)  # most fields come with every entry
def _pair(name: str, value: str) -> str:
    return f'{{"name": {_dump(name)}, "value": {_dump(value)}}}'


def _dump(value: Any) -> str:
    """Return JSON on one line, as `JSONEncoder.encode` does, which takes as long to set up as to run."""
    text = "".join(_write(value, 0))
    return text if text.isascii() or _encodable(text) else _ASCII.encode(value)


def _string(text: str) -> str:
    encoded = encode_basestring(text)
    return encoded if encoded.isascii() or _encodable(encoded) else encode_basestring_ascii(text)


def _number(number: float) -> str:
    return repr(number) if isfinite(number) else _dump(number)


_ASCII = json.JSONEncoder()
_write: Callable[[Any, int], tuple[str, ...]] = c_make_encoder(
    None, _ASCII.default, encode_basestring, None, ": ", ", ", False, False, True
)
"""The encoder that `json` makes for each call, readable: other characters than ASCII are not escaped."""
_SCALARS: dict[type, Callable[[Any], str]] = {
    str: _string,
    int: repr,
    float: _number,
    bool: lambda value: "true" if value else "false",
    type(None): lambda _: "null",
}
_SEPARATORS = re.compile("[\u2028\u2029\x85\ud800-\udfff]")


def _encodable(text: str) -> bool:
    """Return whether a text has no lone surrogates, and no separators that editors take for line ends."""
    return not _SEPARATORS.search(text)


def entries(lines: Iterable[bytes]) -> Iterator[tuple[bytes, int]]:
    """Yield the JSON of each complete entry, and the offset after it from the first of these lines.

    Stops at the first thing that is not a complete entry: the tail, or the end of a truncated file.
    """
    parts: list[bytes] = []
    offset = 0
    for line in lines:
        offset += len(line)
        if parts and line.startswith(b" "):  # nearly all of them; a torn one is the last
            parts.append(line)
            continue
        if not line.endswith(b"\n") or not _belongs(line, parts):
            return
        parts.append(line)
        if line.rstrip() == b"}" or _is_one_line(line):
            yield b"".join(parts).removeprefix(b","), offset
            parts = []


def _belongs(line: bytes, parts: list[bytes]) -> bool:
    """Return whether a line can follow those of the entry so far."""
    if parts:
        return line.startswith(b"}")
    return line.startswith((b"{", b",{"))


def _is_one_line(line: bytes) -> bool:
    return line.startswith((b"{", b",{")) and line.rstrip().endswith(b"}")
