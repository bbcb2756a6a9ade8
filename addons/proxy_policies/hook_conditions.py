"""Hooks that have nothing to do under the options as they are, and are not asked then.

    class RequestRules:
        @only_if("header_rules")
        def requestheaders(self, flow): ...

It is a promise, not a guard: mitmproxy's own dispatch asks the hook all the same. `dispatch` looks at the attribute
each time the hook's turn comes, so a change needs no notification.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

Condition = Callable[[Any], object]
"""Given the addon: something true if the hook may have anything to do."""


def only_if[H: Callable[..., Any]](attribute: str) -> Callable[[H], H]:
    """Promise that a hook does nothing, whatever it is asked, while this attribute of its addon is None or empty."""

    def promise(hook: H) -> H:
        hook.condition = operator.attrgetter(attribute)  # type: ignore[attr-defined]
        return hook

    return promise


def condition_of(hook: object) -> Condition | None:
    """Return what says whether a hook is needed; None for a hook that always is."""
    condition: Condition | None = getattr(hook, "condition", None)
    return condition
