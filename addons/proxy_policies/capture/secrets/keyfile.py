"""The user's key for placeholders: created once and stored in the config folder, never beside a capture."""

import os
import secrets
from pathlib import Path

from proxy_policies.capture.errors import CaptureError

NAME = "capture-key"


def load_key(folder: Path) -> bytes:
    """Return the key in this folder, after creating it if it is missing.

    Raise CaptureError if it cannot be read or written, or is too short.
    """
    path = folder / NAME
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _make(path)
        key = path.read_bytes()
    except OSError as error:
        raise CaptureError(f"the key for placeholders, {path}: {error.strerror or error}") from None
    if len(key) < 16:
        raise CaptureError(f"the key for placeholders, {path}, is too short; remove it and a new one is made")
    return key


def _make(path: Path) -> None:
    """Create the key in a temporary file and link it to its path, so that concurrent processes get the same key."""
    if path.exists():
        return
    part = path.with_name(f".{NAME}.{os.getpid()}")
    fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(fd, secrets.token_bytes(32))
        os.fsync(fd)
        os.close(fd)
        os.link(part, path)
    except FileExistsError:
        pass
    finally:
        part.unlink(missing_ok=True)
