"""Who uses a folder, so that a machine that went down under it is noticed.

A killed process leaves whole what it wrote; a machine that loses power may not. Each process
leaves a file with the machine's boot id while it uses the folder.
"""

import contextlib
import os
from pathlib import Path

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boot_id() -> str:
    """Name this run of the machine; always the same where that cannot be known."""
    try:
        return BOOT_ID.read_text().strip()
    except OSError:
        return "unknown"


def acquire(folder: Path) -> bool:
    """Leave our file, remove those of the dead; says whether the machine went down while somebody was here."""
    now, went_down = boot_id(), False
    for file in folder.glob("in-use-*"):
        with contextlib.suppress(OSError):
            if file.read_text() != now:
                went_down = True
                file.unlink()
            elif not is_alive(file.name.removeprefix("in-use-")):
                file.unlink()
    entering = folder / f"entering-{os.getpid()}"
    entering.write_text(now)
    entering.replace(_marker(folder))  # at once: another that enters must not read half of it
    return went_down


def release(folder: Path) -> None:
    """Take our file away."""
    _marker(folder).unlink(missing_ok=True)


def _marker(folder: Path) -> Path:
    return folder / f"in-use-{os.getpid()}"


def is_alive(pid: str) -> bool:
    """Return whether a process of this machine runs; where that cannot be known, it does."""
    return not Path("/proc/self").exists() or (pid.isdigit() and Path(f"/proc/{pid}").exists())
