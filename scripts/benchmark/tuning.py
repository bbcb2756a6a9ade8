"""Measures what each part of the tuning saves: the instructions of a request with all parts, and without each."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from scripts.benchmark.instructions import MISSES, per_request
from scripts.benchmark.targets import HERE

from proxy_policies.tuning.all import TUNINGS

ALL = "nothing"
"""The part that is left out of the run that has all."""


def measure(origin: int, report: Callable[[str], None]) -> dict[str, float]:
    """Return the instructions per request without each part, and report each when it is measured."""
    counted: dict[str, float] = {}
    for name in (ALL, *TUNINGS):
        os.environ["WITHOUT"] = name
        counted[name] = per_request(origin, MISSES, scripts=[HERE / "without_tuning.py"])
        report(f"without {name}: {counted[name] / 1000:.0f} thousand instructions a request")
    return counted


def as_markdown(per_request: Mapping[str, float]) -> str:
    """Return a table of what each part saves."""
    whole = per_request[ALL]
    saved = [(per_request[name] / whole - 1, name) for name in TUNINGS]
    lines = [f"| `{name}` | {share:.1%} |" for share, name in sorted(saved, reverse=True)]
    title = ["| part | more instructions without it |", "| --- | ---: |"]
    return "\n".join([*title, *lines, "", f"A miss takes {whole / 1000:.0f} thousand with all of it.", ""])
