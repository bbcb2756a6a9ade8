"""Looking for an addon's commands without reading its options. Tried on mitmproxy 12.2.

mitmproxy reads every attribute of an addon in search of commands. Of ours that parses every option, and imports what
that takes, whether or not anybody set it.
"""

import functools
from collections.abc import Callable
from typing import Any

from mitmproxy.command import CommandManager

from proxy_policies.patches.patch import Patch
from proxy_policies.settings import settings_of

Collect = Callable[[CommandManager, Any], None]


def _by_class(original: Collect) -> Collect:
    @functools.wraps(original)
    def collect_commands(self: CommandManager, addon: Any) -> None:
        if _has_commands(addon) or not any(settings_of(addon)):
            original(self, addon)

    return collect_commands


def _has_commands(addon: object) -> bool:
    attributes = (value for kind in type(addon).__mro__ for value in vars(kind).values())
    return any(hasattr(value, "command_name") for value in attributes)


PATCH = Patch(
    owner=CommandManager,
    attribute="collect_commands",
    wrap=_by_class,
    versions="12.2",
    why="a start parses every option, and imports what that takes",
)
