"""Hooks that are called before every script or after all of them.

mitmproxy calls addons in one order. A script loaded beside ours, before or after, would have its edits stored as the
origin's, and find compressed bytes where the origin sent text: it would behave differently than with bare mitmproxy.
So the origin's message is captured before any script can edit it, and final changes to a message are made after all
scripts and mitmproxy's own modify_body, but before `save`: from there on, addons only read, and see what the client
gets.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from mitmproxy import ctx
from mitmproxy.addonmanager import Loader
from mitmproxy.addons.save import Save
from mitmproxy.addons.script import ScriptLoader


class Hooks:
    """Some of a policy's hooks, by their names in mitmproxy."""

    def __init__(self, name: str, **hooks: Callable[..., Any]) -> None:
        self.name = name
        self.fast_paths: Mapping[str, Iterable[str]] = {}
        vars(self).update(hooks)


@runtime_checkable
class HasEarlyHooks(Protocol):
    """A policy that is also called before every script."""

    def early_hooks(self) -> Hooks:
        """Return the hooks to call then."""


@runtime_checkable
class HasLateHooks(Protocol):
    """A policy that is also called after every script."""

    def late_hooks(self) -> Hooks:
        """Return the hooks to call then."""


class _Group:
    """A member of mitmproxy's chain of addons."""

    def __init__(self, addons: Sequence[Hooks]) -> None:
        self.addons = list(addons)


class _Early(_Group):
    """Called before every script."""


class _Late(_Group):
    """Called after every script."""


class AroundScripts:
    """Puts hooks of some policies into mitmproxy's chain, from `load` to `done`.

    Late hooks of policies loaded later come first, so that those shared by all our chains come last.
    """

    def __init__(self, policies: Sequence[Any]) -> None:
        self.name = f"around scripts: {', '.join(policy.name for policy in policies)}"
        early = [(policy, policy.early_hooks()) for policy in policies if isinstance(policy, HasEarlyHooks)]
        late = [(policy, policy.late_hooks()) for policy in policies if isinstance(policy, HasLateHooks)]
        for policy, hooks in (*early, *late):
            hooks.fast_paths = getattr(policy, "fast_paths", {})
        self._early, self._late = _Early([hooks for _, hooks in early]), _Late([hooks for _, hooks in late])

    def load(self, loader: Loader) -> None:
        """Insert the hooks."""
        chain = loader.master.addons.chain
        chain.insert(_place(chain, (_Late, Save), len(chain)), self._late)
        chain.insert(_place(chain, (ScriptLoader,), 0), self._early)

    def done(self) -> None:
        """Remove the hooks."""
        manager = ctx.master.addons
        manager.chain = [addon for addon in manager.chain if addon not in (self._early, self._late)]


def _place(chain: Sequence[object], before: tuple[type, ...], otherwise: int) -> int:
    return next((at for at, addon in enumerate(chain) if isinstance(addon, before)), otherwise)
