"""Leaves one patch, or one section, out of every process that has this folder on PYTHONPATH: WITHOUT_PATCH names it.

Python imports this module at its start. A patch is named by its place, a section by its class.
"""

import os
from collections.abc import Callable

from proxy_policies.patch import Companion, Patch, Replacement, Section

LEFT_OUT = os.environ["WITHOUT_PATCH"]
_apply = Patch.apply


def apply(patch: Patch) -> Callable[[], None] | None:
    """Apply a patch, but for the one that is left out."""
    if patch.place == LEFT_OUT:
        return lambda: None
    for section in patch.sections:
        if section.mixin.__name__ == LEFT_OUT:
            empty(section)
    return _apply(patch)


def empty(section: Section) -> None:
    """Have a section do nothing: what it overrides is found behind it."""
    for name, value in list(vars(section.mixin).items()):
        if callable(value):
            delattr(section.mixin, name)


Patch.apply = apply  # type: ignore[method-assign, assignment]


def apply_companion(companion: Companion) -> Callable[[], None] | None:
    """Apply a companion, but for the one that is left out."""
    return None if companion.place == LEFT_OUT else Replacement.apply(companion)


Companion.apply = apply_companion  # type: ignore[method-assign, assignment]
