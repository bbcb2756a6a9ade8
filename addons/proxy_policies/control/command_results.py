"""Results of our mitmproxy commands: text for people, which mitmproxy shows, and the same as data for scripts.

A result whose command named something that is not there has an error, with which `proxy-policies` fails.
"""

from __future__ import annotations

from collections.abc import Iterable


class LinesResult(list[str]):
    """A result of several lines."""

    def __init__(self, lines: Iterable[str], data: object, error: str = "") -> None:
        super().__init__(lines)
        self.data = data
        self.error = error


class LineResult(str):
    """A result of one line."""

    data: object
    error: str

    def __new__(cls, line: str, data: object, error: str = "") -> LineResult:
        """Create a line with its data."""
        made = super().__new__(cls, line)
        made.data = data
        made.error = error
        return made


def text_and_data(result: object) -> dict[str, object]:
    """Return a command's lines, data and error, for the control socket; other addons' results have only lines."""
    lines = [result] if isinstance(result, str) else result
    if isinstance(result, (LineResult, LinesResult)):
        return {"lines": lines, "data": result.data, "error": result.error}
    return {"lines": lines, "data": lines, "error": ""}
