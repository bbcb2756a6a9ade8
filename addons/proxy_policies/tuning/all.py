"""All of it. `scripts/bench --tuning` says what each saves; what saves less than 2 % of a request's time goes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import chain

from proxy_policies.tuning import gc_thresholds
from proxy_policies.tuning.dumper import DUMPER
from proxy_policies.tuning.flow_ids import IDS
from proxy_policies.tuning.headers import HEADERS
from proxy_policies.tuning.onboarding import OWN_HOSTS
from proxy_policies.tuning.options import OPTIONS
from proxy_policies.tuning.text_caches import TEXTS
from proxy_policies.tuning.type_checks import CHECKS

Undo = Callable[[], None]

TUNINGS: Mapping[str, Sequence[Callable[[], Undo | None]]] = {
    "type_checks": (CHECKS.apply,),
    "flow_ids": (IDS.apply,),
    "options": (OPTIONS.apply,),
    "headers": tuple(each.apply for each in HEADERS),
    "text_caches": tuple(each.apply for each in TEXTS),
    "onboarding": tuple(each.apply for each in OWN_HOSTS),
    "dumper": (DUMPER.apply,),
    "gc_thresholds": (gc_thresholds.raise_thresholds,),
}
"""By module: the functions that apply it, each of which returns what undoes it."""


def tune() -> list[Undo]:
    """Apply all of them; gives the functions that undo it."""
    return [undo for apply in chain(*TUNINGS.values()) if (undo := apply())]
