"""Finds the addons that have a hook, instead of trying every addon for every event. Tested on mitmproxy 12.2.

Stock mitmproxy searches some forty addons for each of a request's sixteen events, which is nearly half of the time it
spends on one. This table is used instead, and rebuilt when an addon is added, removed or reloaded. Order, `AddonHalt`
and error reports are as in stock, and an error skips the same addons: the rest of the same member of the chain. Two
differences: a hook that an addon gains after loading is not seen until the next change, nor is the first `update` of an
addon that is added while another event is handled.

Hooks known to do nothing at present (`only_if`, `STOCK_CONDITIONS`) are not called. mitmproxy's own hooks begin by
checking an attribute that only an option sets. If the attribute is set by other means, or the hook is replaced, the
hook is called: both the attribute and the function are checked each time.
"""

from __future__ import annotations

import contextlib
import logging
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

from proxy_policies.hook_conditions import DESCRIBES, Condition, condition_of

Groups = list[list[object]]
HookEntry = tuple[object, Condition | None, object]
"""An addon, the condition for calling its hook, and the hook when the table was built."""


class HookTable:
    """Which addons have which hook: for each event's name, groups of addons, one per member of the chain."""

    def __init__(self, manager: addonmanager.AddonManager) -> None:
        self._manager = manager
        self._chain: list[object] = []
        self._parents: list[Any] = []
        """Addons that contain addons."""
        self._lists: list[list[object]] = []
        """The chain and each parent's addons when the table was built."""
        self._same: Callable[[list[list[object]], list[list[object]]], bool] = operator.eq
        self._entries: dict[str, list[list[HookEntry]]] = {}
        self._version = 0

    @property
    def version(self) -> int:
        """A number that changes whenever the addons change."""
        if not self._is_current():
            self._rebuild()
        return self._version

    def groups(self, name: str) -> Groups:
        """Return the groups of addons that have an event's hook, in order."""
        return [[addon for addon, *_ in group] for group in self.entries(name)]

    def entries(self, name: str) -> list[list[HookEntry]]:
        """Return the entries to call for an event, in order, in the same groups."""
        if not self._is_current():
            self._rebuild()
        entries = self._entries.get(name)
        if entries is None:
            families = (addonmanager.traverse([member]) for member in self._chain)
            found = ([_entry(addon, name) for addon in family if _has(addon, name)] for family in families)
            entries = self._entries[name] = [group for group in found if group]
        return entries

    def may_act(self, name: str) -> bool:
        """Return whether any addon, of those at the last look-up, may have something to do for an event."""
        known = self._entries.get(name)
        for group in self.entries(name) if known is None else known:
            for addon, condition, hook in group:
                if condition is None or condition(addon) or getattr(addon, name) != hook:
                    return True
        return False

    def is_watched(self, *names: str) -> bool:
        """Return whether an addon may have something to do for one of these events but to describe a flow to others."""
        return any(
            (condition is None or condition(addon) or getattr(addon, name) != hook)
            and not getattr(getattr(addon, name), DESCRIBES, False)
            for name in names
            for group in self.entries(name)
            for addon, condition, hook in group
        )

    def reads_log(self, record: logging.LogRecord) -> bool:
        """Return whether any addon uses the deprecated log events; if not, records need not be formatted for them."""
        return bool(self.entries("add_log"))

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
    hook = getattr(addon, name)
    function = getattr(hook, "__func__", None)
    condition = STOCK_CONDITIONS.get(function) or condition_of(function)
    with contextlib.suppress(AttributeError):  # another mitmproxy version may name it differently
        if condition is not None:
            condition(addon)
            return addon, condition, hook
    return addon, None, hook


# Class, attribute without which the hooks do nothing, and those hooks.
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
    (save.Save, "stream", ("request", "response", "error", "tcp_start", "tcp_end", "tcp_error")),
)


def _hooks() -> Iterator[tuple[Any, Condition]]:
    for owner, attribute, names in _STOCK:
        for name in names:
            if hook := getattr(owner, name, None):
                yield hook, operator.attrgetter(attribute)


STOCK_CONDITIONS: dict[Any, Condition] = dict(_hooks())
"""For each such hook, as a function of its class, the condition for calling it."""
