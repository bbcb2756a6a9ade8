"""Finds options that cannot be used with several workers, before a worker listens.

They are looked for on the command line, in config.yaml and in the policy file; `Settings` rejects those set later.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

from mitmproxy.optmanager import OptManager

from proxy_policies.addresses import without_credentials
from proxy_policies.capture.record.addon import Capture
from proxy_policies.capture.replay.addon import Replay
from proxy_policies.mirror.addon import Mirror
from proxy_policies.options import command_line
from proxy_policies.options.command_line import ExplicitOptions
from proxy_policies.options.parsers import coerce
from proxy_policies.policy_file.addon import PolicyFile, entries_of
from proxy_policies.policy_file.coercion import to_type
from proxy_policies.policy_file.watch import read_state
from proxy_policies.reverse_tunnel.home.addon import Home
from proxy_policies.reverse_tunnel.work.addon import Work
from proxy_policies.settings import Setting

POLICIES = (Home, Work, Capture, Replay, Mirror)
"""Policies that have such options."""


def settings() -> Iterator[Setting[Any]]:
    """Return the options that cannot be used with several workers."""
    for policy in POLICIES:
        yield from (value for value in vars(policy).values() if isinstance(value, Setting) and value.single_process)


def conflict(arguments: Sequence[str], options: OptManager) -> str:
    """Return the error for an option that several workers cannot use; "" if there is none.

    `options` are mitmdump's after reading the arguments and config.yaml, before scripts declare theirs.
    """
    explicit = command_line.parse_command_line("DumpMaster", arguments, options)
    return next(chain(_in_arguments(explicit, options), _in_policy_file(explicit, options)), "")


def _in_arguments(explicit: ExplicitOptions, options: OptManager) -> Iterator[str]:
    for setting in settings():
        text = _text(setting, explicit, options)
        try:
            setting.parse_override(text or setting.default_value)
        except ValueError as error:
            yield f"option {setting.name}={without_credentials(repr(text))}: {error}"


def _in_policy_file(explicit: ExplicitOptions, options: OptManager) -> Iterator[str]:
    try:
        path = PolicyFile.policy_file.parse(_text(PolicyFile.policy_file, explicit, options) or "")
        entries = entries_of(read_state(path)) if path else {}
    except ValueError:
        return  # reported when it is applied
    for setting in settings():
        entry = entries.get(setting.name) if setting.name not in explicit.names else None
        try:
            setting.parse_override(to_type(entry.value, setting.typespec) if entry else setting.default_value)
        except ValueError as error:
            yield f"policy_file {path}: {entry.error(error) if entry else error}"


def _text(setting: Setting[Any], explicit: ExplicitOptions, options: OptManager) -> Any:
    """Return an option's text; None if it is not set, or has an invalid form, which is reported when it is read."""
    try:
        return coerce(explicit.values_of(setting.name), options.deferred[setting.name], setting.is_list)
    except (ValueError, KeyError):
        return None
