"""Logs lines that peers can cause at will: a limited number a minute of each kind, and how many more there were."""

from __future__ import annotations

import logging
import time
from collections.abc import Hashable

from proxy_policies.log_lines import Throttles


class ThrottledLog:
    """A logger with a limit for each kind of line."""

    def __init__(self, logger: logging.Logger, burst: int = 1) -> None:
        self._logger = logger
        self._throttles = Throttles(burst=burst)

    def info(self, kind: Hashable, line: str) -> bool:
        """Log an event; return whether the line was logged."""
        return self._log(logging.INFO, kind, line)

    def warning(self, kind: Hashable, line: str) -> bool:
        """Log a problem; return whether the line was logged."""
        return self._log(logging.WARNING, kind, line)

    def _log(self, level: int, kind: Hashable, line: str) -> bool:
        said = self._throttles.admit(kind, line, time.monotonic())
        if said is not None:
            self._logger.log(level, said)
        return said is not None
