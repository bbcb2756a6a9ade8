"""Asks only the addons that have a hook, instead of every addon for every event. Tried on mitmproxy 12.2.

Stock mitmproxy looks some forty addons through for each of a request's sixteen events, nearly half of the time that it
spends on one. The table here is looked up instead, and made anew when an addon was added, removed or reloaded. Order,
`AddonHalt`, error reports and what an error skips are stock's: the rest of the addons that belong to the same member of
the chain. One difference: a hook that an addon grows while it is loaded is not seen until the next change.

Hooks that are known to do nothing as things are (`only_if`, `STOCK_CONDITIONS`) are looked at, not called.
mitmproxy's own begin by looking at an attribute that only an option fills. Where the attribute is filled by other
means, or the hook is replaced, it is asked: the attribute and the function are looked at each time.
"""

from __future__ import annotations

import contextlib
import operator
import types
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from mitmproxy import addonmanager
from mitmproxy.addons import (
    blocklist,
    maplocal,
    mapremote,
    modifybody,
    modifyheaders,
    proxyauth,
    save,
    serverplayback,
    stickyauth,
    stickycookie,
    upstream_auth,
)

from proxy_policies.hook_conditions import Condition, condition_of

Groups = list[list[object]]
HookEntry = tuple[object, object, Condition | None]
"""An addon, the function that its hook was when the table was made, and what says whether that is needed."""


class Table:
    """Which addons have which hook: for each event's name groups of addons, one per member of the chain."""

    def __init__(self, manager: addonmanager.AddonManager) -> None:
        self._manager = manager
        self._chain: list[object] = []
        self._parents: list[Any] = []
        """Addons that have addons."""
        self._lists: list[list[object]] = []
        """The chain and what each parent had when the table was made."""
        self._same: Callable[[list[list[object]], list[list[object]]], bool] = operator.eq
        self._entries: dict[str, list[list[HookEntry]]] = {}
        self._version = 0

    @property
    def version(self) -> int:
        """A number that changes whenever the addons do."""
        if not self._is_current():
            self._rebuild()
        return self._version

    def groups(self, name: str) -> Groups:
        """Return the groups of addons that have an event's hook, in order."""
        return [[addon for addon, _, _ in group] for group in self.entries(name)]

    def entries(self, name: str) -> list[list[HookEntry]]:
        """Return whose turn it is at an event, in order, by the same groups."""
        if not self._is_current():
            self._rebuild()
        entries = self._entries.get(name)
        if entries is None:
            families = (addonmanager.traverse([member]) for member in self._chain)
            found = ([_entry(addon, name) for addon in family if _has(addon, name)] for family in families)
            entries = self._entries[name] = [group for group in found if group]
        return entries

    def _is_current(self) -> bool:
        return self._same([self._manager.chain, *[parent.addons for parent in self._parents]], self._lists)

    def _rebuild(self) -> None:
        self._version += 1
        self._chain = list(self._manager.chain)
        everybody = list(addonmanager.traverse(self._chain))
        self._parents = [addon for addon in everybody if hasattr(addon, "addons")]
        self._lists = [self._chain, *[list(parent.addons) for parent in self._parents]]
        # Lists are compared by identity first, and by `__eq__` only where a class has one.
        has_eq = any("__eq__" in vars(kind) for addon in everybody for kind in type(addon).__mro__[:-1])
        self._same = _identical if has_eq else operator.eq
        self._entries = {}


def _identical(now: Sequence[Sequence[object]], then: Sequence[Sequence[object]]) -> bool:
    return all(len(a) == len(b) and all(map(operator.is_, a, b)) for a, b in zip(now, then, strict=True))


def _has(addon: object, name: str) -> bool:
    hook = getattr(addon, name, None)
    return bool(hook) and not isinstance(hook, types.ModuleType)


def _entry(addon: object, name: str) -> HookEntry:
    function = getattr(getattr(addon, name), "__func__", None)
    condition = STOCK_CONDITIONS.get(function) or condition_of(function)
    with contextlib.suppress(AttributeError):  # another mitmproxy may call it otherwise
        if condition is not None:
            condition(addon)
            return addon, function, condition
    return addon, function, None


# The class, the attribute without which the hooks do nothing, and those hooks.
_STOCK: tuple[tuple[type, str, tuple[str, ...]], ...] = (
    (proxyauth.ProxyAuth, "validator", ("requestheaders",)),
    (modifyheaders.ModifyHeaders, "replacements", ("requestheaders", "responseheaders")),
    (upstream_auth.UpstreamAuth, "auth", ("requestheaders",)),
    (blocklist.BlockList, "items", ("request",)),
    (serverplayback.ServerPlayback, "flowmap", ("request",)),
    (mapremote.MapRemote, "replacements", ("request",)),
    (maplocal.MapLocal, "replacements", ("request",)),
    (modifybody.ModifyBody, "replacements", ("request", "response")),
    (stickyauth.StickyAuth, "flt", ("request",)),
    (stickycookie.StickyCookie, "flt", ("request",)),
    (save.Save, "stream", ("request", "response", "error")),
)


def _hooks() -> Iterator[tuple[Any, Condition]]:
    for owner, attribute, names in _STOCK:
        for name in names:
            if hook := getattr(owner, name, None):
                yield hook, operator.attrgetter(attribute)


STOCK_CONDITIONS: dict[Any, Condition] = dict(_hooks())
"""For each such hook, as a function of its class, what says of an addon whether it is needed."""
