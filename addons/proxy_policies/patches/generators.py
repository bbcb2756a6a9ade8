"""What our mended layers have in common: taking over from one of mitmproxy's generators in its middle."""

from collections.abc import Callable
from typing import Any

from mitmproxy.proxy.commands import Command
from mitmproxy.proxy.layer import CommandGenerator


def run_until(commands: CommandGenerator[Any], met: Callable[[Command], bool]) -> CommandGenerator[tuple[bool, Any]]:
    """Run a layer's generator, and abandon it once a command has been carried out after which `met` holds.

    Gives (True, None) when abandoned, else (False, the generator's value).
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
    """Run a layer's generator, each of its commands changed; return its value."""
    reply = None
    while True:
        try:
            command = commands.send(reply)
        except StopIteration as end:
            return end.value
        reply = yield change(command)


def in_place_of(mended: type) -> Callable[[Any], Any]:
    """Make a patch's `wrap` that puts a class with `mended`'s methods in place of mitmproxy's.

    What other patches put there before keeps working: ours is derived from it. Ours
    twice, by two chains in one process, would have no order to derive in.
    """

    def wrap(original: Any) -> Any:
        if issubclass(original, mended):
            return original
        return type(mended.__name__, (mended, original), {"__module__": mended.__module__})

    return wrap
