"""All micro-optimisations, with the share of instructions that each saves, for a cache miss on a kept-alive connection.

`scripts/bench --tuning` counts them; what saves less than 2 % goes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import chain

from proxy_policies.tuning.dumper import DUMPER, ESCAPES
from proxy_policies.tuning.lookups import LOOKUPS
from proxy_policies.tuning.type_checks import CHECKS

Undo = Callable[[], None]

TUNINGS: Mapping[str, Sequence[Callable[[], Undo | None]]] = {
    # 1.9 %; 34.6 % where mitmproxy's constructors make the messages. `python -O` makes no checks.
    "type_checks": (CHECKS.apply,) if __debug__ else (),
    "lookups": tuple(each.apply for each in LOOKUPS),  # 13.3 %
    "dumper": (DUMPER.apply, ESCAPES.apply),  # 13.8 %
}
"""By module: the functions that apply it, each of which returns the function that undoes it."""


def tune() -> list[Undo]:
    """Apply all of them; return the functions that undo that."""
    return [undo for apply in chain(*TUNINGS.values()) if (undo := apply())]
