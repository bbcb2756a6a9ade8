"""Messages to the user on stderr; stdout is for data, or for the command that is run."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from proxy_policies.capture.errors import CaptureError
from proxy_policies.capture.files.private_files import STANDARD_OUTPUT, output
from proxy_policies.log_lines import printable

SHOWN_PROBLEMS = 10


def say(text: str) -> None:
    """Print a message, with control characters made visible."""
    print(f"capture: {printable(text, lines=True)}", file=sys.stderr)


def text_output(outputs: Sequence[str]) -> TextIO:
    """Return where text is printed: to standard error if one of the outputs, `-`, is written to standard output.

    Raise CaptureError if several are.
    """
    at_standard_output = [name for name in outputs if output(name) == STANDARD_OUTPUT]
    if len(at_standard_output) > 1:
        raise CaptureError("only one output can be standard output")
    return sys.stderr if at_standard_output else sys.stdout


def title(path: Path) -> str:
    """Return the name of an output, for messages."""
    return "standard output" if path == STANDARD_OUTPUT else str(path)


def say_problems(problems: Sequence[str]) -> None:
    """Print the first `SHOWN_PROBLEMS` errors in the entries of a file, and the number of the others."""
    for problem in problems[:SHOWN_PROBLEMS]:
        say(problem)
    if len(problems) > SHOWN_PROBLEMS:
        say(f"and {len(problems) - SHOWN_PROBLEMS} more like these; all other entries were read")
