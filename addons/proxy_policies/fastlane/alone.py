"""What the arguments ask for that only one process can do: found before one of several workers listens.

That is the command line and config.yaml. What a policy file says, or somebody live, `Settings` refuses as any wrong
option.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from mitmproxy.optmanager import OptManager

from proxy_policies import command_line
from proxy_policies.capture.addon import Capture
from proxy_policies.capture.replay_addon import Replay
from proxy_policies.reverse_tunnel.addon import Home, Work
from proxy_policies.settings import Setting, fit

POLICIES = (Home, Work, Capture, Replay)
"""Those that have such options."""


def settings() -> Iterator[Setting[Any]]:
    """Give the options that are for one process."""
    for policy in POLICIES:
        yield from (value for value in vars(policy).values() if isinstance(value, Setting) and value.alone)


def refusal(arguments: Sequence[str], options: OptManager) -> str:
    """Give the line that refuses a worker its arguments; empty when there is nothing against them.

    `options` are as mitmdump has made them of the arguments and config.yaml, before a script has declared any.
    """
    said = command_line.said("DumpMaster", arguments, options)
    given = (setting for setting in settings() if setting.name in options.deferred)
    lines = (_refused(setting, said.values_of(setting.name), options.deferred[setting.name]) for setting in given)
    return next(filter(None, lines), "")


def _refused(setting: Setting[Any], strings: list[str] | None, raw: Any) -> str:
    try:
        text = fit(strings, raw, setting.is_list)
    except ValueError:
        return ""  # wrong anyhow, and said when the option is read
    try:
        setting.set_to(text)
    except ValueError as error:
        return f"option {setting.name}={text!r}: {error}"
    return ""
