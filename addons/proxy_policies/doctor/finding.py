"""The result of one check, and how commands print it."""

from __future__ import annotations

import enum
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass


class Level(enum.StrEnum):
    """The severity of a finding."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Finding:
    """What was checked, the result, and advice."""

    level: Level
    subject: str
    text: str
    advice: str = ""

    @property
    def line(self) -> str:
        """The finding as a line of a table."""
        return f"{self.level:<4}  {self.subject:<15} {self.text}{f': {self.advice}' if self.advice else ''}"

    def as_json(self) -> dict[str, str]:
        """Return the finding as a JSON value."""
        return {**asdict(self), "level": str(self.level)}


def ok(subject: str, text: str) -> Finding:
    """Return a finding that something is right."""
    return Finding(Level.OK, subject, text)


def warn(subject: str, text: str, advice: str = "") -> Finding:
    """Return a finding that something works, with a limitation."""
    return Finding(Level.WARN, subject, text, advice)


def fail(subject: str, text: str, advice: str = "") -> Finding:
    """Return a finding that something does not work."""
    return Finding(Level.FAIL, subject, text, advice)


def has_failed(findings: Iterable[Finding]) -> bool:
    """Return whether any of the checks failed."""
    return any(finding.level is Level.FAIL for finding in findings)


def report(findings: Iterable[Finding], as_json: bool) -> int:
    """Print findings, each at once, or all as a JSON list; return a command's exit code."""
    found = []
    for finding in findings:
        found.append(finding)
        if not as_json:
            print(finding.line, flush=True)
    if as_json:
        print(json.dumps([finding.as_json() for finding in found], indent=2))
    return 1 if has_failed(found) else 0
