"""Output for a terminal through the user's pager, as `git log` has it."""

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO, cast

DEFAULT = "less"
LESS = "FRX"  # what fits is just printed, colours are colours, the screen stays (as git sets it)


@contextmanager
def paged(as_json: bool = False) -> Iterator[TextIO]:
    """Give what to write to: the pager's input on a terminal, else stdout. `PAGER=` or `PAGER=cat` is none."""
    command = shlex.split(os.environ.get("PAGER", DEFAULT))
    if as_json or not sys.stdout.isatty() or command in ([], ["cat"]):
        yield sys.stdout
        return
    try:
        pager = subprocess.Popen(  # noqa: S603 -- the user's own
            command, stdin=subprocess.PIPE, text=True, errors="replace", env={"LESS": LESS, **os.environ}
        )
    except OSError:  # none is installed
        yield sys.stdout
        return
    try:
        yield cast(TextIO, pager.stdin)
    except BrokenPipeError:  # it was quit before the end
        pass
    finally:
        _close(pager)


def _close(pager: "subprocess.Popen[str]") -> None:
    """Wait until the user has read enough; Ctrl-C is the pager's."""
    try:
        if pager.stdin:
            pager.stdin.close()
    except BrokenPipeError:
        pass
    while pager.poll() is None:
        try:
            pager.wait()
        except KeyboardInterrupt:
            continue
