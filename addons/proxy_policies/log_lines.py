"""Lines for a log or a terminal: their rate, their characters, and the texts of errors. Pure."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Hashable

EVERY = 10.0
"""Seconds between two lines of the same kind."""

_OBEYED = "\x00-\x1f\x7f-\x9f"
"""C0, DEL and C1 (ECMA-48)."""
_UNSEEN = (
    "\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0"
)
_UNSEEN += "\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
"""Line separators and bidi controls, which change what is seen (Unicode TR9, CVE-2021-42574), and what shows nothing
(Default_Ignorable_Code_Point of Unicode 16), but for the variation selectors of emoji."""
_UNPRINTABLE = re.compile(f"[{_OBEYED}{_UNSEEN}\ud800-\udfff]")
"""With halves of characters, which cannot be written."""
_EXCEPT_LINES = re.compile("(?![\t\n])" + _UNPRINTABLE.pattern)


def printable(text: str, *, lines: bool = False) -> str:
    r"""Write what a terminal might obey, or nobody would see, as `\x1b`; with `lines`, line ends and tabs stay."""
    if text.isascii() and text.isprintable():
        return text
    return (_EXCEPT_LINES if lines else _UNPRINTABLE).sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def error_text(error: Exception) -> str:
    """Return an error's text, with the name of its file."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)


class Throttle:
    """Admits one line of a kind per interval, or `at_once` of them, and counts those left out."""

    def __init__(self, every: float = EVERY, at_once: int = 1) -> None:
        self._every, self._at_once = every, at_once
        self._next = float("-inf")
        self._admitted = self._left_out = 0

    def admit(self, line: str, now: float) -> str | None:
        """Return the line, with the number of similar ones left out; None if it is too soon. `now` is in seconds."""
        if now >= self._next:
            self._next, self._admitted = now + self._every, 0
        elif self._admitted >= self._at_once:
            self._left_out += 1
            return None
        self._admitted += 1
        left_out, self._left_out = self._left_out, 0
        return f"{line} (and {left_out} more like this)" if left_out else line


class Throttles:
    """A throttle for each of the most recently used kinds of lines."""

    def __init__(self, every: float = 60.0, most: int = 256, at_once: int = 1) -> None:
        self._every, self._most, self._at_once = every, most, at_once
        self._throttles: OrderedDict[Hashable, Throttle] = OrderedDict()

    def admit(self, kind: Hashable, line: str, now: float) -> str | None:
        """Return the line, with the number of similar ones left out; None if it is too soon. `now` is in seconds."""
        throttle = self._throttles.setdefault(kind, Throttle(self._every, self._at_once))
        self._throttles.move_to_end(kind)
        if len(self._throttles) > self._most:
            self._throttles.popitem(last=False)
        return throttle.admit(line, now)


_CLIENT_LINES = {
    prefix: Throttle(every=1.0)
    for prefix in ("Client TLS handshake failed", "closing connection, for ", "Received WebSocket p")
}
"""By the beginnings of lines that clients can cause at will: one a second, with a count of the others."""


def admit_client_line(line: str, now: float) -> str | None:
    """Return a line about a client to be logged; None if there were too many like it recently. `now`: seconds."""
    throttle = next((throttle for prefix, throttle in _CLIENT_LINES.items() if line.startswith(prefix)), None)
    return line if throttle is None else throttle.admit(line, now)
