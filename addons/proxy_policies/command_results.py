"""Results of our mitmproxy commands: text for people, which mitmproxy shows, and the same as data for scripts."""

from __future__ import annotations

from collections.abc import Iterable


class LinesResult(list[str]):
    """A result of several lines."""

    def __init__(self, lines: Iterable[str], data: object) -> None:
        super().__init__(lines)
        self.data = data


class LineResult(str):
    """A result of one line."""

    data: object

    def __new__(cls, line: str, data: object) -> LineResult:
        """Create a line with its data."""
        made = super().__new__(cls, line)
        made.data = data
        return made


def text_and_data(result: object) -> dict[str, object]:
    """Return a command's lines and its data, for the control socket; other addons' results have only lines."""
    lines = [result] if isinstance(result, str) else result
    return {"lines": lines, "data": result.data if isinstance(result, (LineResult, LinesResult)) else lines}
