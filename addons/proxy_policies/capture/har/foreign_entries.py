"""The entries of HAR files of other programs, parsed one at a time: only one of them is in memory.

A file that is not JSON, or has an unusual structure, is refused: it is then parsed as a whole, and an error says what
is wrong.
"""

import codecs
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

_WHITESPACE = re.compile(r"[ \t\n\r]*+")
_AFTER_VALUE = tuple(" \t\n\r,:]}")
_decode = json.JSONDecoder().raw_decode


def entries_of(pieces: Iterable[bytes], log: dict[str, Any]) -> Iterator[Any]:
    """Yield the entries of a HAR file, and add the other members of its log object to `log`. Raise ValueError."""
    text, has_log, has_entries = _Text(pieces), False, False
    for name in text.members():
        if name != "log":
            text.value()
            continue
        _require(not has_log)
        has_log = True
        for member in text.members():
            _require(member not in log and not (member == "entries" and has_entries))  # the last one would count
            if member == "entries":
                has_entries = True
                yield from text.items()
            else:
                log[member] = text.value()
    _require(has_entries and text.is_over())


def _require(condition: bool) -> None:
    if not condition:
        raise ValueError("not the usual structure of a HAR file")


class _Text:
    """JSON text that is read piece by piece."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("surrogatepass")
        self._text = ""
        self._at = 0
        self._is_complete = False

    def _read_more(self) -> None:
        """Discard what was parsed, and read as much as is left at least: so values are parsed in linear time."""
        pieces = [self._text[self._at :]]
        wanted, size = len(pieces[0]) or 1, 0
        while size < wanted and not self._is_complete:
            piece = next(self._pieces, b"")
            self._is_complete = not piece
            pieces.append(self._decoder.decode(piece, self._is_complete))
            size += len(pieces[-1])
        self._text, self._at = "".join(pieces), 0

    def _next(self) -> str:
        """Return the next character that is not whitespace; empty at the end."""
        while True:
            found = _WHITESPACE.match(self._text, self._at)
            self._at = found.end() if found else self._at
            if self._at < len(self._text) or self._is_complete:
                return self._text[self._at : self._at + 1]
            self._read_more()

    def is_over(self) -> bool:
        """Return whether nothing but whitespace follows."""
        return not self._next()

    def _take(self, characters: str) -> str:
        """Return the next character, one of these. Raise ValueError."""
        found = self._next()
        _require(found != "" and found in characters)
        self._at += 1
        return found

    def value(self) -> Any:
        """Return the next value. Raise ValueError."""
        self._next()
        while True:
            try:
                value, end = _decode(self._text, self._at)
            except ValueError:
                if self._is_complete:
                    raise
            else:
                if self._text[end : end + 1] in _AFTER_VALUE or self._is_complete:  # a number may go on
                    self._at = end
                    return value
            self._read_more()

    def members(self) -> Iterator[str]:
        """Yield the names of an object's members; the caller reads the value of each. Raise ValueError."""
        self._take("{")
        if self._next() == "}":
            self._take("}")
            return
        while True:
            _require(self._next() == '"')
            name = self.value()
            self._take(":")
            yield name
            if self._take(",}") == "}":
                return

    def items(self) -> Iterator[Any]:
        """Yield the items of a list. Raise ValueError."""
        self._take("[")
        if self._next() == "]":
            self._take("]")
            return
        while True:
            yield self.value()
            if self._take(",]") == "]":
                return
