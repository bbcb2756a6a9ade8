"""All patches: those applied in every chain, and those that single policies apply. For tests and the README's table."""

from proxy_policies.outbound import dial
from proxy_policies.patch import Companion, Patch
from proxy_policies.patches import addon, ask_early

ALL: tuple[Patch, ...] = (*addon.PATCHES, ask_early.PATCH, dial.PATCH)
PLACES: tuple[Patch | Companion, ...] = (*ALL, *(companion for patch in ALL for companion in patch.companions))
"""Every attribute that is replaced."""
SECTIONS = tuple(section for patch in ALL for section in patch.sections)
