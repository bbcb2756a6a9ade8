"""Omits the patch, or the section, named by WITHOUT_PATCH in every process that has this folder on PYTHONPATH.

Python imports this module when it starts. A patch is named by its place, a section by its class.
"""

import os
from collections.abc import Callable

from proxy_policies.patch import Companion, Patch, Replacement, Section

LEFT_OUT = os.environ["WITHOUT_PATCH"]
_apply = Patch.apply


def apply(patch: Patch) -> Callable[[], None] | None:
    """Apply a patch unless it is the omitted one."""
    if patch.place == LEFT_OUT:
        return lambda: None
    for section in patch.sections:
        if section.mixin.__name__ == LEFT_OUT:
            empty(section)
    return _apply(patch)


def empty(section: Section) -> None:
    """Remove the methods of a section, so that those it overrides are found."""
    for name, value in list(vars(section.mixin).items()):
        if callable(value):
            delattr(section.mixin, name)


Patch.apply = apply  # type: ignore[method-assign, assignment]


def apply_companion(companion: Companion) -> Callable[[], None] | None:
    """Apply a companion unless it is the omitted one."""
    return None if companion.place == LEFT_OUT else Replacement.apply(companion)


Companion.apply = apply_companion  # type: ignore[method-assign, assignment]
