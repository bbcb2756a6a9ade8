"""What the arguments ask for that only one process can do: found before one of several workers listens.

That is the command line, config.yaml and the policy file. What is said live, `Settings` refuses as any wrong option.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

from mitmproxy.optmanager import OptManager

from proxy_policies import cli_options
from proxy_policies.addresses import without_credentials
from proxy_policies.capture.record.addon import Capture
from proxy_policies.capture.replay.addon import Replay
from proxy_policies.cli_options import ExplicitOptions
from proxy_policies.mirror.addon import Mirror
from proxy_policies.policy_file.addon import PolicyFile, entries_of
from proxy_policies.policy_file.coercion import to_type
from proxy_policies.policy_file.watch import read_state
from proxy_policies.reverse_tunnel.home.addon import Home
from proxy_policies.reverse_tunnel.work.addon import Work
from proxy_policies.settings import Setting, coerce

POLICIES = (Home, Work, Capture, Replay, Mirror)
"""Those that have such options."""


def settings() -> Iterator[Setting[Any]]:
    """Return the options that are for one process."""
    for policy in POLICIES:
        yield from (value for value in vars(policy).values() if isinstance(value, Setting) and value.single_process)


def refusal(arguments: Sequence[str], options: OptManager) -> str:
    """Return the line that refuses a worker its arguments; empty when there is nothing against them.

    `options` are as mitmdump has made them of the arguments and config.yaml, before a script has declared any.
    """
    said = cli_options.parse_command_line("DumpMaster", arguments, options)
    return next(chain(_in_arguments(said, options), _in_policy_file(said, options)), "")


def _in_arguments(said: ExplicitOptions, options: OptManager) -> Iterator[str]:
    for setting in settings():
        text = _text(setting, said, options)
        try:
            setting.parse_override(text or setting.default_value)
        except ValueError as error:
            yield f"option {setting.name}={without_credentials(repr(text))}: {error}"


def _in_policy_file(said: ExplicitOptions, options: OptManager) -> Iterator[str]:
    try:
        path = PolicyFile.policy_file.parse(_text(PolicyFile.policy_file, said, options) or "")
        entries = entries_of(read_state(path)) if path else {}
    except ValueError:
        return  # said when it is applied
    for setting in settings():
        entry = entries.get(setting.name) if setting.name not in said.names else None
        try:
            setting.parse_override(to_type(entry.value, setting.typespec) if entry else setting.default_value)
        except ValueError as error:
            yield f"policy_file {path}: {entry.refusal(error) if entry else error}"


def _text(setting: Setting[Any], said: ExplicitOptions, options: OptManager) -> Any:
    """Return an option's value as it was written; None when nobody wrote one, or not as it should be."""
    try:
        return coerce(said.values_of(setting.name), options.deferred[setting.name], setting.is_list)
    except (ValueError, KeyError):
        return None  # wrong anyhow, and said when the option is read
