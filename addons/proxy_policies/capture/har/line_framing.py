"""HAR files that are also framed by lines, to be written entry by entry, and repaired if truncated.

    {"log": {…, "entries": [        the head, one line
    {                               an entry begins with a brace in the first column
      "request": …                  its inner lines begin with spaces
    }                               and it is whole once its closing brace stands alone
    ,{                              the next one brings its comma
    }
    ]}}                             the tail: the file is whole

JSON strings contain no raw line feed, so the first column is sufficient for parsing. The rest of a truncated file,
after the last complete entry, is the entry that was being written.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any

import orjson

HEAD_END = b'"entries": ['
TAIL = b"]}}\n"
_WRITTEN = orjson.OPT_INDENT_2 | orjson.OPT_PASSTHROUGH_SUBCLASS
_SEPARATORS = tuple((character.encode(), f"\\u{ord(character):04x}".encode()) for character in "\u2028\u2029\x85")
"""Characters that editors take for line ends, and their escapes."""
_PAIR = re.compile(r'\{\n\s+("name": "(?:[^"\\]|\\.)*+",)\n\s+("value": "(?:[^"\\]|\\.)*+")\n\s+\}')
"""A pair on four lines; in a JSON string there are no line feeds."""

MAX_KNOWN_LINE = 256
"""Maximum characters of a pair whose line is cached: most fields of messages come again and again."""


class Pairs(list[dict[str, str]]):
    """Names and values of a message, one pair per line."""

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        super().__init__([{"name": name, "value": value} for name, value in pairs])


class OneLine(list[float]):
    """Numbers that are written on one line."""


GAP = orjson.Fragment(b"\0")
"""A value that differs between entries, filled in last; in JSON there is no NUL."""
PART = orjson.Fragment(b"\1")
"""A part of an entry."""
FIELDS = orjson.Fragment(b"\2")
"""Header fields, which are filled in first."""


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


def entry_lines(fields: dict[str, Any]) -> bytes:
    """Return an entry object as lines, one for each member and for each header field, for reviews and diffs."""
    try:
        return laid_out(fields)
    except TypeError:  # it has lone surrogates, integers of more than 64 bits, or subclasses of other types
        return _without_separators(_PAIR.sub(r"{\1 \2}", json.dumps(_without_nan(fields), indent=2)).encode())


def laid_out(fields: dict[str, Any], depth: int = 0) -> bytes:
    """Return the JSON of an object that is within `depth` others. Raise TypeError if json has to write it."""
    nested = fields
    for _ in range(depth):
        nested = {"": nested}
    text = orjson.dumps(nested, _fragment, _WRITTEN)
    before, after = sum(len(b'{\n"": ') + 2 * level for level in range(1, depth + 1)), depth * (depth + 1)
    return _without_separators(text[before : len(text) - after])


def form(fields: dict[str, Any], depth: int = 0) -> bytes:
    """Return the JSON of an object as a format string, to be filled in where it has a `PART`. Raise TypeError."""
    return _escaped(laid_out(fields, depth)).replace(b"\1", b"%b")


def with_fields(form: bytes, lines: Sequence[bytes]) -> bytes:
    """Return a form with header fields, whose JSON these lines are."""
    return form.replace(b"\2", _escaped(joined_pairs(lines)))


def _escaped(text: bytes) -> bytes:
    return text.replace(b"%", b"%%")


def text_line(text: str) -> bytes:
    """Return the JSON of a text. Raise TypeError if it has lone surrogates."""
    return _without_separators(orjson.dumps(text))


def _without_separators(text: bytes) -> bytes:
    if not text.isascii():
        for separator, escaped in _SEPARATORS:
            text = text.replace(separator, escaped)
    return text


def joined(entries: Iterable[bytes], first: bool) -> bytes:
    """Return the lines of entries, with a comma before each unless it is the first of the file."""
    lines = b"\n,".join(entries)
    return b"%b%b\n" % (b"" if first else b",", lines) if lines else b""


def _without_nan(fields: dict[str, Any]) -> Any:
    """Return an object with `null` for the numbers that JSON does not have, as orjson writes them."""
    return json.loads(json.dumps(fields), parse_constant=lambda _: None)


def pair_lines(pairs: Iterable[tuple[str, str]]) -> bytes:
    """Return the JSON of names and values of a message, one pair per line. Raise TypeError for lone surrogates."""
    return joined_pairs([pair_line(name, value) for name, value in pairs])


def joined_pairs(lines: Sequence[bytes]) -> bytes:
    """Return the JSON of names and values that are laid out."""
    return b"[\n" + b",\n".join(lines) + b"\n    ]" if lines else b"[]"


def pair_line(name: str, value: str) -> bytes:
    """Return the JSON of a name and a value."""
    return _known_line(name, value) if len(name) + len(value) <= MAX_KNOWN_LINE else _line(name, value)


def _line(name: str, value: str) -> bytes:
    return b'      {"name": %b, "value": %b}' % (text_line(name), text_line(value))


_known_line = lru_cache(1024)(_line)


def _fragment(value: Any) -> orjson.Fragment:
    if value.__class__ is Pairs:
        return orjson.Fragment(pair_lines([(pair["name"], pair["value"]) for pair in value]))
    if value.__class__ is OneLine:
        return orjson.Fragment(orjson.dumps(list(value)))
    raise TypeError


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
