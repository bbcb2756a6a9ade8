"""Files and folders for their owner only: what was captured is nobody else's business."""

import contextlib
import os
from pathlib import Path

FILE, FOLDER = 0o600, 0o700


def make_folder(folder: Path, is_ours: bool = False) -> None:
    """Make a folder and those it is in; one that is there already is closed to others when it is ours alone.

    Raises OSError.
    """
    missing = [part for part in (folder, *folder.parents) if not part.exists()]
    for part in reversed(missing):
        part.mkdir(exist_ok=True, mode=FOLDER)
    if is_ours:
        close_to_others(folder)


def close_to_others(path: "Path | int") -> None:
    """Take rights away from all but the owner, on a path or an open file that was there before; keep those it has not.

    What belongs to somebody else stays as it is.
    """
    with contextlib.suppress(OSError):
        mode = os.stat(path).st_mode & 0o7777
        if mode & 0o077:
            os.chmod(path, mode & 0o700)


def write_text(path: Path, text: str) -> None:
    """Write a file beside, then rename it into place: it is there whole or not at all. Raises OSError."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, FILE), "w", encoding="utf-8") as file:
            file.write(text)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
