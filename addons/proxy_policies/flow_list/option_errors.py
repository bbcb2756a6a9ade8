"""Why mitmweb refused a value: its page has a place for that under each option, and is never told. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

Described = Mapping[str, Mapping[str, Any]]
"""Options as mitmweb's page is told of them, by name."""


class OptionErrors:
    """Is told of a refusal, and right after it of the old values, which says whose it was."""

    def __init__(self, describe: Callable[[Collection[str]], Described], tell: Callable[[Described], None]) -> None:
        self._describe, self._tell = describe, tell
        self._why = ""

    def refused(self, exc: Exception) -> None:
        """Note why options are not changed."""
        self._why = str(exc)

    def changed(self, updated: Collection[str]) -> None:
        """Tell the page why these have their old values again; it forgets that when they are changed."""
        if self._why:
            why, self._why = self._why, ""
            self._tell({name: {**option, "error": why} for name, option in self._describe(updated).items()})
