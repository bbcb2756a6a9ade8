"""What could not be searched for secrets, said at the end of `record` and `scrub`."""

from collections import Counter
from collections.abc import Iterable

from proxy_policies.capture.cli.messages import say
from proxy_policies.capture.model import Entry
from proxy_policies.capture.secrets.redact import UNSEARCHED


def say_unsearched(entries: Iterable[Entry], strict: bool) -> None:
    """Say which bodies could not be searched for secrets."""
    found = Counter(why for entry in entries for why in dict(entry.extra.get(UNSEARCHED) or {}).values())
    if found:
        kinds = ", ".join(f"{count} {why}" for why, count in sorted(found.items()))
        outcome = "and were left out" if strict else "--strict leaves such bodies out"
        say(f"could not be searched for secrets: {kinds}; {outcome}")
