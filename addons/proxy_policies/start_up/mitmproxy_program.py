"""Runs one of mitmproxy's programs in this process."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from proxy_policies.script_paths import PROGRAM


def run(program: Callable[[Sequence[str]], object], name: str, arguments: Sequence[str]) -> int:
    """Become the program, under a name that its messages and the policies read; return the exit code.

    mitmproxy makes 1 of every exit code of argparse; a wrong command line keeps its own here.
    """
    sys.argv = [name, *arguments]
    try:
        program(arguments)
    except SystemExit as ended:
        if isinstance(of_argparse := ended.__context__, SystemExit) and isinstance(of_argparse.code, int):
            return of_argparse.code
        raise
    return 0


def is_ours() -> bool:
    """Return whether our command has become the program that runs."""
    return sys.argv[0].startswith(f"{PROGRAM} ")
