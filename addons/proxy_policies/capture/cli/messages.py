"""What the commands tell the user, on stderr: stdout is the command's, or the data's."""

import sys
from collections.abc import Sequence

from proxy_policies.log_lines import printable

SHOWN_PROBLEMS = 10


def say(text: str) -> None:
    """Tell the user something; no terminal obeys what was captured."""
    print(f"capture: {printable(text, lines=True)}", file=sys.stderr)


def say_problems(problems: Sequence[str]) -> None:
    """Name what was wrong with the entries of a file, the first of it whole."""
    for problem in problems[:SHOWN_PROBLEMS]:
        say(problem)
    if len(problems) > SHOWN_PROBLEMS:
        say(f"and {len(problems) - SHOWN_PROBLEMS} more like these; all other entries were read")
