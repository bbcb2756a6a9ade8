"""Why mitmweb refused a value: its page has a place for that under each option, which mitmproxy leaves empty. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

Described = Mapping[str, Mapping[str, Any]]
"""Options by name, as mitmweb's page gets them."""


class OptionErrors:
    """Notes a refusal; the old values that come back right after it are of the options that it is about."""

    def __init__(self, describe: Callable[[Collection[str]], Described], send: Callable[[Described], None]) -> None:
        self._describe, self._send = describe, send
        self._why = ""

    def refused(self, exc: Exception) -> None:
        """Note why options are not changed."""
        self._why = str(exc)

    def changed(self, updated: Collection[str]) -> None:
        """Send the page why these have their old values again; it forgets that when they are changed."""
        if self._why:
            why, self._why = self._why, ""
            self._send({name: {**option, "error": why} for name, option in self._describe(updated).items()})
