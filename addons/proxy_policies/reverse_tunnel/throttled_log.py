"""Logs what a peer can bring about as often as it likes: of each kind so many lines a minute, and how many more."""

from __future__ import annotations

import logging
import time
from collections.abc import Hashable

from proxy_policies.log_lines import Throttles


class ThrottledLog:
    """A logger that leaves out what is too much of a kind; kinds do not share their minute."""

    def __init__(self, logger: logging.Logger, at_once: int = 1) -> None:
        self._logger = logger
        self._throttles = Throttles(burst=at_once)

    def info(self, kind: Hashable, line: str) -> bool:
        """Log what happens; whether it was."""
        return self._log(logging.INFO, kind, line)

    def warning(self, kind: Hashable, line: str) -> bool:
        """Log what is wrong; whether it was."""
        return self._log(logging.WARNING, kind, line)

    def _log(self, level: int, kind: Hashable, line: str) -> bool:
        said = self._throttles.admit(kind, line, time.monotonic())
        if said is not None:
            self._logger.log(level, said)
        return said is not None
