"""All of it, with what each part saves: instructions of a request over a kept-alive connection that the cache lacks.

`scripts/bench --tuning` counts them; what saves less than 2 % goes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import chain

from proxy_policies.tuning.dumper import DUMPER
from proxy_policies.tuning.headers import HEADERS
from proxy_policies.tuning.options import OPTIONS
from proxy_policies.tuning.text_caches import TEXTS
from proxy_policies.tuning.type_checks import CHECKS

Undo = Callable[[], None]

TUNINGS: Mapping[str, Sequence[Callable[[], Undo | None]]] = {
    "type_checks": (CHECKS.apply,),  # 34.6 %
    "options": (OPTIONS.apply,),  # 4.6 %
    "headers": tuple(each.apply for each in HEADERS),  # 4.3 %
    "text_caches": tuple(each.apply for each in TEXTS),  # 6.4 %
    "dumper": (DUMPER.apply,),  # 6.9 %
}
"""By module: the functions that apply it, each of which returns what undoes it."""


def tune() -> list[Undo]:
    """Apply all of them; gives the functions that undo it."""
    return [undo for apply in chain(*TUNINGS.values()) if (undo := apply())]
