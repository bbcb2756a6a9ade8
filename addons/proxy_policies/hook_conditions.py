"""Skips hooks that have nothing to do under the current options.

    class RequestRules:
        @only_if("header_rules")
        def requestheaders(self, flow): ...

This is a promise, not a guard: mitmproxy's own dispatch calls the hook anyway. `dispatch` checks the attribute each
time it is the hook's turn, so a change needs no notification.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

Condition = Callable[[Any], object]
"""Given the addon, returns a true value if the hook may have something to do."""

DESCRIBES = "only_describes"
"""The attribute of hooks that are marked so."""


def only_if[H: Callable[..., Any]](attribute: str) -> Callable[[H], H]:
    """Promise that a hook does nothing, whatever its arguments, while this attribute of its addon is None or empty."""

    def promise(hook: H) -> H:
        hook.condition = operator.attrgetter(attribute)  # type: ignore[attr-defined]
        return hook

    return promise


def only_describes[H: Callable[..., Any]](hook: H) -> H:
    """Promise that a hook only adds to a flow what other addons may read.

    Where no other addon has something to do, an event may be left out, and a flow need not exist (`is_watched`).
    """
    setattr(hook, DESCRIBES, True)
    return hook


def condition_of(hook: object) -> Condition | None:
    """Return the condition under which a hook is needed; None if it always is."""
    condition: Condition | None = getattr(hook, "condition", None)
    return condition
