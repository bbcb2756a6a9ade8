"""What could not be searched for secrets, said at the end of `record` and `scrub`."""

from collections import Counter
from pathlib import Path

from proxy_policies.capture.cli.messages import say
from proxy_policies.capture.har.reader import framed_values
from proxy_policies.capture.secrets.redact import UNSEARCHED


def say_unsearched(path: Path, strict: bool) -> None:
    """Say which bodies of a capture of ours could not be searched for secrets. Raises CaptureError and OSError."""
    found = Counter(why for entry in framed_values(path) for why in dict(entry.get(UNSEARCHED) or {}).values())
    if found:
        kinds = ", ".join(f"{count} {why}" for why, count in sorted(found.items()))
        outcome = "and were left out" if strict else "--strict leaves such bodies out"
        say(f"could not be searched for secrets: {kinds}; {outcome}")
