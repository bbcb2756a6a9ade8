"""Runs a sub-command; reports an error in one line."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence

from proxy_policies.command import commands
from proxy_policies.log_lines import error_text, printable
from proxy_policies.script_paths import PROGRAM
from proxy_policies.terminal.standard_output import flush_output, prepare_output

FAILED, INTERRUPTED, PIPE_CLOSED = 1, 130, 141


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    if "_ARGCOMPLETE" in os.environ:
        from proxy_policies.command import completion

        completion.complete()
    words = sys.argv[1:] if arguments is None else list(arguments)
    prepare_output()
    try:
        return run(words)
    except BrokenPipeError:  # the reader has ended, as `head` does
        return PIPE_CLOSED
    except (ValueError, OSError) as error:
        say(words[0], error_text(error))
        return FAILED
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return INTERRUPTED


def run(words: Sequence[str]) -> int:
    """Run the command line, and flush its output; return the exit code."""
    try:
        catch_interrupts()
        given = commands.parse(words)
        return int(given.run_command(given))
    finally:
        flush_output()


def say(command: str, text: str) -> None:
    """Print a line about an error."""
    print(f"{PROGRAM} {command}: {printable(text, lines=True)}", file=sys.stderr)


def catch_interrupts() -> None:
    """Make Ctrl-C raise KeyboardInterrupt again; `__main__` lets it end the process during imports."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)
