"""Runs one of mitmproxy's programs in this process."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from proxy_policies.script_paths import PROGRAM
from proxy_policies.start_up import option_errors


def run(program: Callable[[Sequence[str]], object], name: str, arguments: Sequence[str]) -> int:
    """Run a program under a name for its messages and `sys.argv`; return the exit code.

    mitmproxy turns argparse's exit code 2 for a wrong command line into 1; here it is kept.
    """
    sys.argv = [name, *arguments]
    option_errors.shorten_all()
    try:
        program(arguments)
    except SystemExit as ended:
        if isinstance(of_argparse := ended.__context__, SystemExit) and isinstance(of_argparse.code, int):
            return of_argparse.code
        raise
    return 0


def is_ours() -> bool:
    """Return whether mitmproxy was started by our command."""
    return sys.argv[0].startswith(f"{PROGRAM} ")
