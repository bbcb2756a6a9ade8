"""Files and folders that only their owner can access, as captures are private."""

import contextlib
import errno
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

STANDARD_OUTPUT = Path("/dev/stdout")
FILE, FOLDER = 0o600, 0o700
NEW = os.O_WRONLY | os.O_CREAT | os.O_TRUNC


def make_folder(folder: Path, is_ours: bool = False) -> None:
    """Make a folder and its parents; if it exists and `is_ours`, remove the rights of others.

    Raise OSError.
    """
    missing = [part for part in (folder, *folder.parents) if not part.exists()]
    for part in reversed(missing):
        part.mkdir(exist_ok=True, mode=FOLDER)
    if is_ours:
        close_to_others(folder)


def close_to_others(path: "Path | int") -> None:
    """Remove the rights of all but the owner from a path or an open file; the owner's are unchanged.

    Files of other users, devices and pipes are left alone.
    """
    with contextlib.suppress(OSError):
        mode = os.stat(path).st_mode
        if mode & 0o077 and (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            os.chmod(path, mode & 0o700)


def output(name: str) -> Path:
    """Return the path of an output that a user names: `-` is standard output, `./-` a file."""
    return STANDARD_OUTPUT if name == "-" else Path(name)


def write_text(path: Path, text: str) -> None:
    """Write a file atomically: to a temporary one, which is renamed. Raise OSError."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file as `write_text` does. Raise OSError."""
    with draft_of(path) as draft, os.fdopen(os.open(draft, NEW, FILE), "wb") as file:
        file.write(data)


def write_pieces(path: Path, pieces: Iterable[str]) -> None:
    """Write a file as `write_text` does, piece by piece; lone surrogates become question marks. Raise OSError."""
    with (
        draft_of(path) as draft,
        os.fdopen(os.open(draft, NEW, FILE), "w", encoding="utf-8", errors="replace", newline="") as file,
    ):
        file.writelines(pieces)


@contextlib.contextmanager
def draft_of(path: Path) -> Iterator[Path]:
    """Yield the path of a temporary file, which replaces the file at the end, or is deleted after an error.

    For STANDARD_OUTPUT it is copied there at the end. Raise OSError.
    """
    if path == STANDARD_OUTPUT:
        with _draft_of_output() as draft:
            yield draft
        return
    require_replaceable(path)
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield draft
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


@contextlib.contextmanager
def _draft_of_output() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / "output"
        yield draft
        sys.stdout.flush()
        with draft.open("rb") as file:
            shutil.copyfileobj(file, sys.stdout.buffer)
        sys.stdout.flush()


def require_file(path: Path) -> None:
    """Raise OSError if the path is a folder, a pipe or a device."""
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "not a regular file", str(path))


def require_replaceable(path: Path) -> None:
    """Raise OSError unless a regular file can be written or replaced at the path, or it is STANDARD_OUTPUT."""
    if path == STANDARD_OUTPUT:
        return
    require_file(path)
    folder = path.absolute().parent
    if not folder.is_dir():
        raise FileNotFoundError(errno.ENOENT, "no such folder", str(path.parent))
    if not os.access(folder, os.W_OK):
        raise PermissionError(errno.EACCES, "not writable", str(path.parent))
