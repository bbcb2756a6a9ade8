"""Output on a terminal through the user's pager, as in `git log`."""

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO, cast

DEFAULT = "less"
LESS = "FRX"  # quit if it fits on the screen, keep colours, do not clear the screen: as git


@contextmanager
def paged(as_json: bool = False) -> Iterator[TextIO]:
    """Yield the file to write to: the pager's input on a terminal, else stdout. `PAGER=` or `PAGER=cat`: no pager."""
    command = shlex.split(os.environ.get("PAGER", DEFAULT))
    if as_json or not sys.stdout.isatty() or command in ([], ["cat"]):
        yield sys.stdout
        return
    try:
        pager = subprocess.Popen(  # noqa: S603 -- chosen by the user
            command, stdin=subprocess.PIPE, text=True, errors="replace", env={"LESS": LESS, **os.environ}
        )
    except OSError:  # not installed
        yield sys.stdout
        return
    try:
        yield cast(TextIO, pager.stdin)
    except BrokenPipeError:  # the user quit it before the end
        pass
    finally:
        _close(pager)


def _close(pager: "subprocess.Popen[str]") -> None:
    """Wait until the user quits the pager, which handles Ctrl-C."""
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
