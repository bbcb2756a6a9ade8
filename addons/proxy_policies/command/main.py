"""Runs a sub-command. What cannot be done is said in one line."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from proxy_policies.command import commands, help_text
from proxy_policies.log_lines import printable

FAILED, INTERRUPTED, PIPE_CLOSED = 1, 130, 141


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    if "_ARGCOMPLETE" in os.environ:
        from proxy_policies.command import completion

        completion.complete()
    words = sys.argv[1:] if arguments is None else list(arguments)
    try:
        given = commands.parse(words)
        return int(given.run_command(given))
    except BrokenPipeError:  # who reads has enough, as `head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python complains as it ends
        return PIPE_CLOSED
    except (ValueError, OSError) as error:
        say(words[0], in_words(error))
        return FAILED
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return INTERRUPTED


def say(command: str, text: str) -> None:
    """Print a line about what went wrong."""
    print(f"{help_text.PROGRAM} {command}: {printable(text, lines=True)}", file=sys.stderr)


def in_words(error: Exception) -> str:
    """Return what was wrong, with the file that it was wrong with."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)
