"""All of it."""

from __future__ import annotations

from collections.abc import Callable

from proxy_policies.patches.patch import Replacement
from proxy_policies.tuning import gc_thresholds
from proxy_policies.tuning.dumper import DUMPER
from proxy_policies.tuning.flow_ids import IDS
from proxy_policies.tuning.headers import HEADERS
from proxy_policies.tuning.onboarding import OWN_HOSTS
from proxy_policies.tuning.options import OPTIONS
from proxy_policies.tuning.text_caches import TEXTS
from proxy_policies.tuning.type_checks import CHECKS

TUNINGS: tuple[Replacement, ...] = (CHECKS, IDS, OPTIONS, *HEADERS, *TEXTS, *OWN_HOSTS, DUMPER)


def tune() -> list[Callable[[], None]]:
    """Apply all of them; gives the functions that undo it."""
    return [undo for undo in (gc_thresholds.raise_thresholds(), *(patch.apply() for patch in TUNINGS)) if undo]
