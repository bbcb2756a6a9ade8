"""All of the trims."""

from __future__ import annotations

from collections.abc import Callable

from proxy_policies.fastlane.trims import collector
from proxy_policies.fastlane.trims.checks import CHECKS
from proxy_policies.fastlane.trims.dumper import DUMPER
from proxy_policies.fastlane.trims.headers import HEADERS
from proxy_policies.fastlane.trims.ids import IDS
from proxy_policies.fastlane.trims.options import OPTIONS
from proxy_policies.fastlane.trims.own_hosts import OWN_HOSTS
from proxy_policies.fastlane.trims.texts import TEXTS
from proxy_policies.patches.patch import Replacement

TRIMS: tuple[Replacement, ...] = (CHECKS, IDS, OPTIONS, *HEADERS, *TEXTS, *OWN_HOSTS, DUMPER)


def trim() -> list[Callable[[], None]]:
    """Apply all of them; gives the functions that undo it."""
    return [undo for undo in (collector.relax(), *(patch.apply() for patch in TRIMS)) if undo]
