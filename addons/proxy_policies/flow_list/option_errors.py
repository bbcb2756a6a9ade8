"""Shows in mitmweb why a value was rejected: its page has a place for that, which mitmproxy leaves empty. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

Descriptions = Mapping[str, Mapping[str, Any]]
"""Options by name, in the form that mitmweb sends to its page."""


class OptionErrors:
    """Notes a rejection; the rejected options are those that mitmproxy then restores."""

    def __init__(
        self, describe: Callable[[Collection[str]], Descriptions], send: Callable[[Descriptions], None]
    ) -> None:
        self._describe, self._send = describe, send
        self._error = ""

    def rejected(self, exc: Exception) -> None:
        """Note why options are not changed."""
        self._error = str(exc)

    def changed(self, updated: Collection[str]) -> None:
        """Send the page the reason, if these options were just restored; it is shown until their next change."""
        if self._error:
            error, self._error = self._error, ""
            self._send({name: {**option, "error": error} for name, option in self._describe(updated).items()})
