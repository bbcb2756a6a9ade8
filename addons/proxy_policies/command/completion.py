"""`proxy-policies completion`: prints the shell code for completion, and computes the completions.

argcomplete runs the command itself at each TAB, with its normal parser.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import runpy
from collections.abc import Sequence

import argcomplete
from argcomplete.shell_integration import shellcode

from proxy_policies.command import commands
from proxy_policies.lazy_imports import lazy_imports
from proxy_policies.script_paths import PROGRAM, scripts
from proxy_policies.terminal.argument_parser import set_help

with lazy_imports():
    from mitmproxy import options
    from mitmproxy.tools import cmdline, dump

    from proxy_policies import settings

SHELLS = ("bash", "zsh", "fish")


def describe(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    set_help(
        parser,
        "Print the code with which a shell completes this command: its sub-commands, their options and values.",
        (
            "completion bash >~/.local/share/bash-completion/completions/proxy-policies",
            "completion zsh >~/.zfunc/_proxy-policies      where fpath has ~/.zfunc",
            "completion fish >~/.config/fish/completions/proxy-policies.fish",
        ),
        {0: "printed"},
    )
    parser.add_argument("shell", choices=SHELLS, help="the shell")
    parser.set_defaults(run_command=run)


def run(given: argparse.Namespace) -> int:
    """Print the shell code."""
    print(shellcode([PROGRAM], shell=given.shell))
    return 0


def complete() -> None:
    """Print the completions of a shell's line, and exit."""
    words = os.environ.get("COMP_LINE", "").split()
    parser = commands.make_parser(words, lambda program: [mitmproxy_parser(program)])
    argcomplete.autocomplete(parser, always_complete_options=False)


def mitmproxy_parser(program: str) -> argparse.ArgumentParser:
    """Return the parser of one of mitmproxy's programs, which completes option names after `--set`."""
    parser: argparse.ArgumentParser = getattr(cmdline, program)(options.Options())
    for action in parser._actions:
        if action.dest == "setoptions":
            action.completer = settings_that_begin  # type: ignore[attr-defined]
    return parser


def settings_that_begin(prefix: str, **_: object) -> list[str]:
    """Return the options, mitmproxy's and ours, that begin with a prefix, as `name=`; after that, their choices."""
    name = prefix.partition("=")[0]
    known = asyncio.run(_choices())
    words = [f"{name}={value}" for value in known.get(name, ())] if "=" in prefix else [f"{each}=" for each in known]
    return sorted(word for word in words if word.startswith(prefix))


async def _choices() -> dict[str, Sequence[str]]:
    """Return what each option accepts; nothing if that is not limited to some words."""
    known = options.Options()
    dump.DumpMaster(known)  # its addons declare their options
    policies = runpy.run_path(str(scripts()["policy"]))["addons"]
    ours = {setting.name: setting for policy in policies for setting in settings.settings_of(policy)}
    return {
        **{name: ("true", "false") if one.typespec is bool else one.choices or () for name, one in known.items()},
        **{name: ("on", "off") if one.is_switch else one.choices or () for name, one in ours.items()},
    }
