"""All micro-optimisations, with the share of instructions that each saves, for a cache miss on a kept-alive connection.

`scripts/bench --tuning` counts them; what saves less than 2 % goes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import chain

from proxy_policies.tuning.dumper import DUMPER
from proxy_policies.tuning.headers import HEADERS
from proxy_policies.tuning.onboarding import ONBOARDING
from proxy_policies.tuning.options import OPTIONS
from proxy_policies.tuning.text_caches import TEXTS
from proxy_policies.tuning.type_checks import CHECKS

Undo = Callable[[], None]

TUNINGS: Mapping[str, Sequence[Callable[[], Undo | None]]] = {
    # 1.9 %; 34.6 % where mitmproxy's constructors make the messages. `python -O` makes no checks.
    "type_checks": (CHECKS.apply,) if __debug__ else (),
    "options": tuple(each.apply for each in OPTIONS),  # 6.0 %
    "headers": tuple(each.apply for each in HEADERS),  # 5.5 %
    "text_caches": tuple(each.apply for each in TEXTS),  # 6.4 %
    "onboarding": (ONBOARDING.apply,),  # 2.4 %
    "dumper": (DUMPER.apply,),  # 6.9 %
}
"""By module: the functions that apply it, each of which returns the function that undoes it."""


def tune() -> list[Undo]:
    """Apply all of them; return the functions that undo that."""
    return [undo for apply in chain(*TUNINGS.values()) if (undo := apply())]
