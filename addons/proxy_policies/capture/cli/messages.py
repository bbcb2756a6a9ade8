"""Messages to the user on stderr; stdout is for data, or for the command that is run."""

import sys
from collections.abc import Sequence

from proxy_policies.log_lines import printable

SHOWN_PROBLEMS = 10


def say(text: str) -> None:
    """Print a message, with control characters made visible."""
    print(f"capture: {printable(text, lines=True)}", file=sys.stderr)


def say_problems(problems: Sequence[str]) -> None:
    """Print the first `SHOWN_PROBLEMS` errors in the entries of a file, and the number of the others."""
    for problem in problems[:SHOWN_PROBLEMS]:
        say(problem)
    if len(problems) > SHOWN_PROBLEMS:
        say(f"and {len(problems) - SHOWN_PROBLEMS} more like these; all other entries were read")
