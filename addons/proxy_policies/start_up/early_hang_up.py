"""SIGHUP while a proxy starts: noted until it can be handled. By default it would end the process."""

from __future__ import annotations

import signal
from typing import Any

_noted: list[int] = []


def note() -> None:
    """Note SIGHUP from now on, unless it has a handler. Windows has none.

    Under nohup it is ignored by default, but a running proxy reloads its files then, too.
    """
    number: signal.Signals | None = getattr(signal, "SIGHUP", None)
    if number is not None and signal.getsignal(number) in (signal.SIG_DFL, signal.SIG_IGN):
        signal.signal(number, _note)


def _note(number: int, frame: Any) -> None:
    _noted.append(number)


def take() -> bool:
    """Return whether SIGHUP has come since `note`, and forget it."""
    came = bool(_noted)
    _noted.clear()
    return came
