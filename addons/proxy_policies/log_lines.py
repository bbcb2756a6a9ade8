"""Lines for a log or a terminal: their rate, escaped characters, and the texts of errors. Pure."""

from __future__ import annotations

import difflib
import json
import re
from collections import OrderedDict
from collections.abc import Hashable, Iterable

INTERVAL = 10.0
"""Seconds between two lines of the same kind."""

_CONTROLS = "\x00-\x1f\x7f-\x9f"
"""C0, DEL and C1 (ECMA-48)."""
_INVISIBLE = (
    "\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0"
)
_INVISIBLE += "\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
"""Line separators and bidi controls, which change what is displayed (Unicode TR9, CVE-2021-42574), and invisible
characters (Default_Ignorable_Code_Point of Unicode 16), except the variation selectors of emoji."""
_UNPRINTABLE = re.compile(f"[{_CONTROLS}{_INVISIBLE}\ud800-\udfff]")
"""With surrogates, which UTF-8 cannot encode."""
_EXCEPT_LINES = re.compile("(?![\t\n])" + _UNPRINTABLE.pattern)


def printable(text: str, *, lines: bool = False) -> str:
    r"""Return a text with control and invisible characters escaped, as `\x1b`; `lines` keeps line ends and tabs."""
    if text.isascii() and text.isprintable():
        return text
    return (_EXCEPT_LINES if lines else _UNPRINTABLE).sub(_escaped, text)


def printable_json(text: str) -> str:
    r"""Return JSON with control and invisible characters escaped, as `\u202e`: the same document."""
    return text if text.isascii() else _EXCEPT_LINES.sub(lambda found: json.dumps(found[0])[1:-1], text)


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def quantity(count: int, noun: str) -> str:
    """Return a number with its noun: `1 entry`, `2 entries`."""
    if count == 1:
        return f"1 {noun}"
    return f"{count} {noun.removesuffix('y')}ies" if noun.endswith("ry") else f"{count} {noun}s"


def error_text(error: Exception) -> str:
    """Return an error's text; for an OSError, with the file's name, which is not a number of an open file."""
    if isinstance(error, OSError) and error.strerror:
        is_named = error.filename and not isinstance(error.filename, int)
        return f"{error.filename}: {error.strerror}" if is_named else error.strerror
    return str(error)


class Throttle:
    """Admits `burst` lines of a kind per interval, in seconds, and counts those left out."""

    def __init__(self, interval: float = INTERVAL, burst: int = 1) -> None:
        self._interval, self._burst = interval, burst
        self._next = float("-inf")
        self._admitted = self._left_out = 0

    def admit(self, line: str, now: float) -> str | None:
        """Return the line, with the number of similar ones left out; None if it is too soon. `now` is in seconds."""
        if now >= self._next:
            self._next, self._admitted = now + self._interval, 0
        elif self._admitted >= self._burst:
            self._left_out += 1
            return None
        self._admitted += 1
        left_out, self._left_out = self._left_out, 0
        return f"{line} (and {left_out} more like this)" if left_out else line


class Throttles:
    """A throttle for each of the most recently used kinds of lines."""

    def __init__(self, interval: float = 60.0, max_kinds: int = 256, burst: int = 1) -> None:
        self._interval, self._max_kinds, self._burst = interval, max_kinds, burst
        self._throttles: OrderedDict[Hashable, Throttle] = OrderedDict()

    def admit(self, kind: Hashable, line: str, now: float) -> str | None:
        """Return the line, with the number of similar ones left out; None if it is too soon. `now` is in seconds."""
        throttle = self._throttles.setdefault(kind, Throttle(self._interval, self._burst))
        self._throttles.move_to_end(kind)
        if len(self._throttles) > self._max_kinds:
            self._throttles.popitem(last=False)
        return throttle.admit(line, now)


MAX_CLIENT_LINE = 1000
"""Characters of a line about a client; mitmproxy quotes all that a client has sent."""
_CLIENT_LINES = {
    prefix: Throttle(interval=1.0)
    for prefix in (
        "Client TLS handshake failed",
        "Client QUIC handshake failed",
        "closing connection: ",
        "Received WebSocket p",
    )
}
"""By the beginnings of lines that clients can cause at will: one a second is logged, with the number of the others."""


def admit_client_line(line: str, now: float) -> str | None:
    """Return the text to log for a line about a client; None if there were too many like it. `now` is in seconds."""
    if len(line) > MAX_CLIENT_LINE:  # each line of a traceback, whose last one is the error
        line = "\n".join(
            part if len(part) <= MAX_CLIENT_LINE else f"{part[:MAX_CLIENT_LINE]}…" for part in line.split("\n")
        )
    throttle = next((throttle for prefix, throttle in _CLIENT_LINES.items() if line.startswith(prefix)), None)
    return line if throttle is None else throttle.admit(line, now)


def nearest(word: str, known: Iterable[str], similarity: float = 0.6) -> str | None:
    """Return the known word that is most similar, by difflib's ratio; None if none is similar."""
    return next(iter(difflib.get_close_matches(word, sorted(known), 1, similarity)), None)
