"""Hooks asked where they come up, without a task, a lock and a wakeup for each of them. Tried on mitmproxy 12.2.

Stock starts a task for every hook, and the layer goes on when that task has got the connection's lock: a fifth of the
time of a request, though next to all hooks return at once. Here the topmost layer of a connection asks them itself, and
goes on in the same order: when what it does now is done. What has to wait is left to mitmproxy.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from mitmproxy.proxy import events
from mitmproxy.proxy.commands import StartHook
from mitmproxy.proxy.layer import CommandGenerator, Layer


class Inline:
    """Stands in for a connection's topmost layer. `ask` says whether a hook is through already."""

    def __init__(self, layer: Layer, ask: Callable[[StartHook], bool]) -> None:
        self._layer, self._ask = layer, ask

    def __getattr__(self, name: str) -> Any:
        return getattr(self._layer, name)

    def handle_event(self, event: events.Event) -> CommandGenerator[None]:
        """Have the layer handle an event, and after it the ends of the hooks that it led to."""
        pending = deque([event])
        while pending:
            for command in self._layer.handle_event(pending.popleft()):
                if not (isinstance(command, StartHook) and self._ask(command)):
                    yield command
                elif command.blocking:
                    pending.append(events.HookCompleted(command))
