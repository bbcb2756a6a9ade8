"""Running mitmproxy's generators of commands: up to a command, or with each command changed."""

import functools
from collections.abc import Callable
from typing import Any

from mitmproxy.proxy.commands import Command
from mitmproxy.proxy.layer import CommandGenerator


def run_until(commands: CommandGenerator[Any], met: Callable[[Command], bool]) -> CommandGenerator[tuple[bool, Any]]:
    """Run a layer's generator, and abandon it after the first command for which `met` is true.

    Return (True, None) if abandoned, else (False, the generator's value).
    """
    reply = None
    while True:
        try:
            command = commands.send(reply)
        except StopIteration as end:
            return False, end.value
        reply = yield command
        if met(command):
            commands.close()
            return True, None


def with_commands(commands: CommandGenerator[Any], change: Callable[[Command], Command]) -> CommandGenerator[Any]:
    """Run a layer's generator with each of its commands changed; return its value."""
    reply = None
    while True:
        try:
            command = commands.send(reply)
        except StopIteration as end:
            return end.value
        reply = yield change(command)


def in_place_of(ours: type) -> Callable[[Any], Any]:
    """Return a patch's `wrap` that replaces mitmproxy's class with one that has `ours`'s methods.

    Replacements by other patches keep working: ours derives from them. It is applied only once, even with two chains in
    one process, because a class cannot derive from `ours` twice. When a script is loaded again, the class stays the
    same: the layers of open connections remain its instances.
    """

    @functools.cache
    def wrap(original: Any) -> Any:
        if issubclass(original, ours):
            return original
        return type(ours.__name__, (ours, original), {"__module__": ours.__module__})

    return wrap
