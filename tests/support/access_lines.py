"""Reads the lines of an access log, and describes a proxy that writes one."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.mitmdump import Mitmdump
from tests.support.origin import Origin
from tests.support.waiting import wait_until


class AccessLines:
    """The JSON lines of a file, taken in order."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._taken = 0

    def take(self, count: int) -> list[dict[str, Any]]:
        """Wait for that many new lines, and return them. Raise AssertionError if there are more."""
        found = wait_until(lambda: len(new := self._read()) >= count and new, what=f"{count} lines in {self.path}")
        assert isinstance(found, list)
        self._taken += len(found)
        assert len(found) == count, found
        return [json.loads(line) for line in found]

    def one(self) -> dict[str, Any]:
        """Wait for one new line, and return it."""
        (line,) = self.take(1)
        return line

    def _read(self) -> list[str]:
        return self.path.read_text().splitlines()[self._taken :] if self.path.exists() else []


PAGE = b"the same words over and over\n" * 400


@dataclass
class Logged:
    """A proxy, an origin in plain and one in TLS, and the proxy's access log."""

    proxy: Mitmdump
    origin: Origin
    secure: Origin
    lines: AccessLines
