"""Follows a small text file by its content.

Not by its times: an editor may write twice within a clock tick, replace the
file by another one, or leave it half written for a moment.
"""

from dataclasses import dataclass
from pathlib import Path

from proxy_policies.option_files import read_bounded


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Why there is no text."""

    reason: str


FileState = str | Unreadable
"""What a look at the file gives."""


def read_state(path: Path) -> FileState:
    """Read the file, which is UTF-8 text; never raises, nor waits for a pipe."""
    try:
        return read_bounded(path).decode("utf-8")
    except OSError as error:
        return Unreadable(error.strerror or str(error))
    except UnicodeDecodeError:
        return Unreadable("not UTF-8 text")


class Watch:
    """Reports a change once it is stable: when two polls in a row see the same."""

    def __init__(self, state: FileState) -> None:
        self.state = state
        """What was settled last."""
        self._last = state

    def is_stable_change(self, state: FileState) -> bool:
        """Take another look's sight; say whether it is new and stands still."""
        still, self._last = state == self._last, state
        if not still or state == self.state:
            return False
        self.state = state
        return True
