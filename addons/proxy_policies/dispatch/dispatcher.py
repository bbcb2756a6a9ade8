"""Finds hooks in a table, and calls them where an event is triggered. Tested on mitmproxy 12.2 and 12.3.

Stock mitmproxy searches some forty addons for each of a request's sixteen events, which is nearly half of the time it
spends on one. This table is used instead, and rebuilt when an addon is added, removed or reloaded. Order, `AddonHalt`
and error reports are as in stock, and an error skips the same addons: the rest of the same member of the chain. Two
differences: a hook that an addon gains after loading is not seen until the next change, nor is the first `update` of an
addon that is added while another event is handled.

Hooks known to do nothing at present (`only_if`, `STOCK_CONDITIONS`) are not called. If the attribute on which that
depends is set by other means, or the hook is replaced, the hook is called: both are checked each time.

Hooks are called where they are triggered, without a task, a lock and a wakeup for each. Stock mitmproxy starts a task
for every hook, and the layer continues once that task has the connection's lock: this takes a fifth of a request's
time, though almost all hooks return at once. Here a connection's topmost layer calls them itself, and continues in the
same order, once it has handled the current event. Hooks that have to wait are left to mitmproxy.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import inspect
import logging
import operator
import types
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from types import CoroutineType
from typing import Any, ClassVar

from mitmproxy import addonmanager, exceptions, flow, hooks
from mitmproxy.proxy import events
from mitmproxy.proxy.commands import StartHook
from mitmproxy.proxy.layer import CommandGenerator, Layer

from proxy_policies.background.tasks import spawn
from proxy_policies.dispatch.stock_conditions import STOCK_CONDITIONS
from proxy_policies.hook_conditions import DESCRIBES, Condition, condition_of

STOCK_EVENTS = frozenset({"running", "done"})  # left to stock, because addons may add addons in them

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


class Dispatch:
    """Replaces an addon manager's `trigger_event` and `handle_lifecycle` while installed."""

    _begun: ClassVar[dict[hooks.Hook, Coroutine[Any, Any, None] | None]] = {}
    """Events that are to be finished; shared, as a reloaded script has another dispatcher."""

    def __init__(self, manager: addonmanager.AddonManager, legacy_log: logging.Handler | None = None) -> None:
        self._manager, self._legacy_log = manager, legacy_log
        self.table = HookTable(manager)
        self._stock = manager.trigger_event
        self._is_installed = False

    def install(self) -> Callable[[], None]:
        """Replace the methods, and return the function that restores them."""
        ours = {"trigger_event": self.trigger_event, "handle_lifecycle": self.handle_lifecycle}
        vars(self._manager).update(ours)
        self._is_installed = True
        if self._legacy_log:
            self._legacy_log.addFilter(self.table.reads_log)

        def undo() -> None:
            self._is_installed = False
            for name, method in ours.items():
                if vars(self._manager).get(name) == method:
                    delattr(self._manager, name)
            if self._legacy_log:
                self._legacy_log.removeFilter(self.table.reads_log)

        return undo

    async def handle_lifecycle(self, event: hooks.Hook) -> None:
        """Trigger an event, or finish one that has begun, followed by `update` if it is about a flow."""
        rest = (
            self._begun.pop(event)
            if event in self._begun
            else _run_until_awaitable(self._life(event.name, _arguments(event)))
        )
        if rest is not None:
            await rest

    async def trigger_event(self, event: hooks.Hook) -> None:
        """Call the event's hook on every addon that has it, awaiting asynchronous ones."""
        if event.name in STOCK_EVENTS:
            await self._stock(event)
        elif (
            rest := _run_until_awaitable(_asking(self.table.entries(event.name), event.name, _arguments(event)))
        ) is not None:
            await rest

    async def trigger(self, hook: type[StartHook], data: Any) -> None:
        """Trigger an event; wait until every addon has handled it, and an intercepted flow is resumed."""
        if not self._is_installed:
            await self._manager.handle_lifecycle(hook(data))
        elif (rest := self.begin(hook.name, (data,))) is not None:
            await rest
        if getattr(data, "intercepted", False):
            await data.wait_for_resume()

    def begin(self, name: str, arguments: tuple[Any, ...]) -> Coroutine[Any, Any, None] | None:
        """Trigger an event at once; return the coroutine that does the rest, None if it is finished.

        Most events finish at once: these take no task and no wait. Each hook's coroutine is a separate task, so that
        its time-outs cancel only itself.
        """
        life = self._life(name, arguments)
        for awaited in life:
            if not isinstance(awaited, CoroutineType):
                return _continue(awaited, life)
            task = spawn(awaited, eager=True, is_held=True)
            if not task.done() or task.cancelled() or task.exception():
                return _continue(task, life)
        return None

    def trigger_now(self, event: hooks.Hook) -> bool:
        """Trigger an event at once; return whether it is finished. If not, `handle_lifecycle` does the rest."""
        arguments = _arguments(event)
        try:
            rest = self.begin(event.name, arguments)
        except Exception as error:
            rest = _raise(error)
        if rest is None and not getattr(arguments[0], "intercepted", False):
            return True
        self._begun[event] = rest
        return False

    def _life(self, name: str, arguments: tuple[Any, ...]) -> Iterator[Awaitable[Any]]:
        yield from _asking(self.table.entries(name), name, arguments)
        message = arguments[0]
        if _is_flow(type(message)) and self.table.may_act("update"):  # type: ignore[arg-type]
            yield from _asking(self.table.entries("update"), "update", ([message],))


def _asking(entries: list[list[HookEntry]], name: str, arguments: tuple[Any, ...]) -> Iterator[Awaitable[Any]]:
    """Call hooks in order; yield each awaitable, which must finish before the next call."""
    addon = hook = None
    for group in entries:
        try:
            for addon, condition, idle in group:
                hook = getattr(addon, name)
                if condition is not None and not condition(addon) and hook == idle:
                    continue
                result = hook(*arguments)
                if result is not None and (type(result) is CoroutineType or inspect.isawaitable(result)):
                    yield result
        except exceptions.AddonHalt:
            return
        except Exception as error:
            is_hook = callable(hook)
            _report(error if is_hook else exceptions.AddonManagerError(f"Addon handler {name} ({addon}) not callable"))


def _arguments(event: hooks.Hook) -> tuple[Any, ...]:
    return tuple([getattr(event, name) for name in _names(type(event))])  # type: ignore[arg-type]  # classes are hashable


@functools.cache
def _is_flow(kind: type[Any]) -> bool:
    return issubclass(kind, flow.Flow)


@functools.cache
def _names(kind: type[Any]) -> tuple[str, ...]:
    """Return the names of an event's arguments, which mitmproxy looks up each time."""
    return tuple(field.name for field in dataclasses.fields(kind))


def _run_until_awaitable(asking: Iterator[Awaitable[Any]]) -> Coroutine[Any, Any, None] | None:
    """Call hooks up to the first awaitable, and return the coroutine that continues there; None if all are done."""
    for awaited in asking:
        return _continue(awaited, asking)
    return None


async def _continue(awaited: Awaitable[Any], asking: Any) -> None:
    with contextlib.suppress(StopIteration):
        while True:
            try:
                await awaited
            except Exception as error:
                awaited = asking.throw(error)
            else:
                awaited = next(asking)


async def _raise(error: Exception) -> None:
    raise error


def _report(error: Exception) -> None:
    """Log an addon's error as stock does, without our frames in the traceback. Re-raise OptionsError."""
    if isinstance(error, exceptions.OptionsError):
        raise error
    traceback = error.__traceback__
    for ours in (_continue, _asking):
        traceback = addonmanager.cut_traceback(traceback, ours.__name__)
    addonmanager.logger.error(f"Addon error: {error}", exc_info=(type(error), error, traceback))


class Inline:
    """Replaces a connection's topmost layer. `ask` triggers a hook, and returns whether it has finished."""

    def __init__(self, layer: Layer, ask: Callable[[StartHook], bool]) -> None:
        self._layer, self._ask = layer, ask

    def __getattr__(self, name: str) -> Any:
        return getattr(self._layer, name)

    def handle_event(self, event: events.Event) -> CommandGenerator[None]:
        """Pass an event to the layer, then the completions of the hooks that it triggered."""
        pending = deque([event])
        while pending:
            for command in self._layer.handle_event(pending.popleft()):
                if not (isinstance(command, StartHook) and self._ask(command)):
                    yield command
                elif command.blocking:
                    pending.append(events.HookCompleted(command))
