"""The line about what could not be searched for secrets, at the end of `record` and `scrub`."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from proxy_policies.capture.cli.messages import say
from proxy_policies.capture.har.reader import framed_values
from proxy_policies.capture.secrets.redact import UNSEARCHED


def say_unsearched(path: Path, strict: bool) -> None:
    """Print how much of a capture could not be searched, by reason. Raise CaptureError and OSError."""
    found = Counter(reason for entry in framed_values(path) for reason in _reasons(entry))
    if found:
        kinds = ", ".join(f"{count} {reason}" for reason, count in sorted(found.items()))
        outcome = "and were left out" if strict else "--strict leaves them out"
        say(f"could not be searched for secrets: {kinds}; {outcome}")


def _reasons(entry: Mapping[str, Any]) -> list[str]:
    """Return why parts of an entry could not be searched; the origin's response is skipped if it is the same."""
    found = dict(entry.get(UNSEARCHED) or {})
    if "response" in found and ((entry.get("_origin") or {}).get("content") or {}).get("_same"):
        found.pop("origin", None)
    return list(found.values())
