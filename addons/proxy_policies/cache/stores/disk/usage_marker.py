"""Marks a folder as in use, to detect that the machine went down meanwhile.

What a killed process wrote is intact; after a power failure it may not be. Each process keeps a file with the machine's
boot id while it uses the folder.
"""

import contextlib
import os
from collections import Counter
from pathlib import Path

_users: Counter[Path] = Counter()
"""How many stores of this process use a folder: one that is replaced is closed after the next one is opened."""
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boot_id() -> str:
    """Return an id of this boot of the machine; a constant if it is unknown."""
    try:
        return BOOT_ID.read_text().strip()
    except OSError:
        return "unknown"


def acquire(folder: Path) -> bool:
    """Create our marker, remove stale ones; return whether the machine went down while the folder was in use."""
    now, went_down = boot_id(), False
    for file in folder.glob("in-use-*"):
        with contextlib.suppress(OSError):
            if file.read_text() != now:
                went_down = True
                file.unlink()
            elif not is_alive(file.name.removeprefix("in-use-")):
                file.unlink()
    _users[folder] += 1
    mark(folder)
    return went_down


def mark(folder: Path) -> None:
    """Create our marker, also again in a folder that was removed."""
    entering = folder / f"entering-{os.getpid()}"
    entering.write_text(boot_id())
    entering.replace(_marker(folder))  # atomically: another process must not read half of it


def release(folder: Path) -> None:
    """Remove our marker, unless another store of this process uses the folder."""
    _users[folder] -= 1
    if _users[folder] <= 0:
        del _users[folder]
        _marker(folder).unlink(missing_ok=True)


def _marker(folder: Path) -> Path:
    return folder / f"in-use-{os.getpid()}"


def is_alive(pid: str) -> bool:
    """Return whether a process of this machine runs; True if that cannot be known."""
    return not Path("/proc/self").exists() or (pid.isdigit() and Path(f"/proc/{pid}").exists())
