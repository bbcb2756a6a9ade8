"""Files and folders named by options: parsing of paths, and bounded reading. Pure."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

MAX_SIZE = 1 << 20
"""Bytes of a file that is read whole: a file written by a person has a hundredth of it."""


def expand_home(path: str | Path) -> Path:
    """Return a path with `~` expanded as in mitmproxy's options: `~` with an unknown user's name is kept."""
    return Path(os.path.expanduser(path))


def parse_path(text: str) -> Path | None:
    """Return the path of a file or folder, `~` expanded; None if the text is empty. Raise ValueError if invalid."""
    if not text:
        return None
    if text == "-":
        raise ValueError("'-': standard input and output cannot be used here; ./- is a file of that name")
    try:
        path = Path(text).expanduser()
        name = os.fsencode(path)
    except (RuntimeError, UnicodeEncodeError):
        raise ValueError(f"{text!r}: no such home folder, or not a file name") from None
    if b"\0" in name:
        raise ValueError(f"{text!r}: not a file name")
    return path


def parse_path_to_write(text: str) -> Path | None:
    """Return the path of a file to be written. Raise ValueError if invalid, or if its folder does not exist."""
    path = parse_path(text)
    if path is not None and not path.absolute().parent.is_dir():
        raise ValueError(f"{path.parent}: no such folder")
    return path


def require_file_or_folder(path: Path) -> None:
    """Raise OSError if the path does not exist, or is a device, a pipe or a socket, which may have no end."""
    mode = path.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise OSError(errno.EINVAL, "not a file", str(path))


def error_of_input(text: str) -> str:
    """Return why a file named by an option of mitmproxy cannot be read, "" if it can.

    `-` is standard input. mitmproxy reads a pipe to its end, such as a shell's `-r <(zcat flows.gz)`.
    """
    path = expand_home(text)
    try:
        if text != "-" and not path.is_fifo():
            require_file_or_folder(path)
    except OSError as error:
        return error.strerror or str(error)
    return os.strerror(errno.EISDIR) if path.is_dir() else ""


def read_bounded(path: Path, limit: int = MAX_SIZE, *, allow_pipe: bool = False) -> bytes:
    """Return the content of a file. Raise OSError, also for a device, a pipe, and a file of more than `limit` bytes.

    With `allow_pipe`, a pipe is read to its end, such as a shell's `@<(pass show tunnel)`.
    """
    if not (allow_pipe and path.is_fifo()):
        require_file_or_folder(path)
    with path.open("rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise OSError(errno.EFBIG, f"more than {limit >> 10} KiB", str(path))
    return data


def read_text(path: Path, *, allow_pipe: bool = False) -> str:
    """Return the UTF-8 text in a file, read as by `read_bounded`. Raise ValueError."""
    try:
        return read_bounded(path, allow_pipe=allow_pipe).decode("utf-8")
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path}: not UTF-8 text") from None
