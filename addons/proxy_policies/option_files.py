"""Files and folders that options name: what cannot be one, or has no end, is refused in a line. Pure."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

MOST = 1 << 20
"""Bytes of a file that is read whole: what a person writes is a hundredth of it."""


def expanded(path: str | Path) -> Path:
    """Return a path with `~` expanded as in mitmproxy's options: what is nobody's home folder stays as it is."""
    return Path(os.path.expanduser(path))


def parse_path(text: str) -> Path | None:
    """Read the path of a file or folder, `~` being a home folder; None when none is named. Raises ValueError."""
    if not text:
        return None
    try:
        path = Path(text).expanduser()
        name = os.fsencode(path)
    except (RuntimeError, UnicodeEncodeError):
        raise ValueError(f"{text!r}: no such home folder, or not a file name") from None
    if b"\0" in name:
        raise ValueError(f"{text!r}: not a file name")
    return path


def parse_path_to_write(text: str) -> Path | None:
    """Read the path of a file that will be written, in a folder that is there. Raises ValueError."""
    path = parse_path(text)
    if path is not None and not path.absolute().parent.is_dir():
        raise ValueError(f"{path.parent}: no such folder")
    return path


def require_end(path: Path) -> None:
    """Raise OSError for what is not there, or may have no end: a device, a pipe, a socket."""
    mode = path.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise OSError(errno.EINVAL, "not a file", str(path))


def read_bounded(path: Path, most: int = MOST, *, pipes: bool = False) -> bytes:
    """Return what a file holds; raises OSError, also for a device, a file of more than `most` bytes, and a pipe.

    With `pipes`, one is read to its end, as a shell's `@<(pass show tunnel)` is.
    """
    if not (pipes and path.is_fifo()):
        require_end(path)
    with path.open("rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise OSError(errno.EFBIG, f"more than {most >> 10} KiB", str(path))
    return data


def read_text(path: Path, *, pipes: bool = False) -> str:
    """Return the UTF-8 text in a file, as `read_bounded` does. Raises ValueError."""
    try:
        return read_bounded(path, pipes=pipes).decode("utf-8")
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path}: not UTF-8 text") from None
