"""Detects changes of a small text file by its content.

Its times are not enough: an editor may write twice within a clock tick, replace the file, or write it in parts.
"""

from dataclasses import dataclass
from pathlib import Path

from proxy_policies.options.files import read_bounded


@dataclass(frozen=True, slots=True)
class Unreadable:
    """The file could not be read, and why."""

    reason: str


FileState = str | Unreadable
"""The file's text, or why it could not be read."""


def read_state(path: Path) -> FileState:
    """Return the file's UTF-8 text, or why it could not be read. Never raises, and never waits for a pipe."""
    try:
        return read_bounded(path).decode("utf-8")
    except OSError as error:
        return Unreadable(error.strerror or str(error))
    except UnicodeDecodeError:
        return Unreadable("not UTF-8 text")


class Watch:
    """Reports a change once it is stable: when two successive polls find the same content."""

    def __init__(self, state: FileState) -> None:
        self.state = state
        """The last stable content."""
        self._last = state

    def is_stable_change(self, state: FileState) -> bool:
        """Return whether the content found by a poll is new and stable."""
        is_stable, self._last = state == self._last, state
        if not is_stable or state == self.state:
            return False
        self.state = state
        return True
