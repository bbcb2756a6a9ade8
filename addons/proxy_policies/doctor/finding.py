"""What was found about one thing. Pure."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import asdict, dataclass


class Level(enum.StrEnum):
    """How it is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Finding:
    """A thing, how it is, and what to do about it."""

    level: Level
    subject: str
    text: str
    advice: str = ""

    @property
    def line(self) -> str:
        """The finding as a line of a table."""
        return f"{self.level:<4}  {self.subject:<15} {self.text}{f': {self.advice}' if self.advice else ''}"

    def as_json(self) -> dict[str, str]:
        """Return it as JSON can hold it."""
        return {**asdict(self), "level": str(self.level)}


def ok(subject: str, text: str) -> Finding:
    """Say that a thing is right."""
    return Finding(Level.OK, subject, text)


def warn(subject: str, text: str, advice: str = "") -> Finding:
    """Say that a thing will do, but for what the text says."""
    return Finding(Level.WARN, subject, text, advice)


def fail(subject: str, text: str, advice: str = "") -> Finding:
    """Say that a thing has to be mended first."""
    return Finding(Level.FAIL, subject, text, advice)


def has_failed(findings: Iterable[Finding]) -> bool:
    """Return whether something has to be mended."""
    return any(finding.level is Level.FAIL for finding in findings)
