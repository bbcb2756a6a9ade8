"""The files of control sockets: `control/PID.sock` in a confdir, accessible only to the proxy's user."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Iterator
from pathlib import Path

FOLDER = "control"
MAX_ADDRESS = 100
"""Bytes: `sun_path` has 108 on Linux, 104 on macOS and the BSDs."""
BACKLOG = 8
MAX_FILES = 256
"""Socket files that are read; further ones are ignored."""


def folder_of(confdir: Path) -> Path:
    """Return the folder for sockets in a confdir."""
    return confdir / FOLDER


def sockets(confdir: Path) -> list[Path]:
    """Return the socket files in a confdir, including stale ones."""
    return sorted(folder_of(confdir).glob("*.sock"))[:MAX_FILES]


def listen(path: Path) -> socket.socket:
    """Return a listening socket to which only this user can connect: folder 0700, socket 0600. Raise OSError.

    The file gets its name once the socket listens: otherwise, another process might remove it as stale.
    """
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.parent.chmod(0o700)
    made = path.with_suffix(".new")
    made.unlink(missing_ok=True)
    server = socket.socket(socket.AF_UNIX)
    try:
        with _short(made) as address:
            server.bind(address)
        made.chmod(0o600)
        server.listen(BACKLOG)
        server.setblocking(False)
        made.replace(path)
    except BaseException:
        server.close()
        raise
    return server


def connect(path: Path, timeout: float) -> socket.socket:
    """Return a socket connected within `timeout` seconds. Raise OSError."""
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(timeout)
    try:
        with _short(path) as address:
            client.connect(address)
    except BaseException:
        client.close()
        raise
    return client


def remove_stale(confdir: Path) -> None:
    """Remove the socket files of processes that were killed."""
    for path in sockets(confdir):
        try:
            connect(path, 0.1).close()
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
        except OSError:  # it is busy, or another user's
            continue


@contextlib.contextmanager
def _short(path: Path) -> Iterator[str]:
    """Yield an address short enough for the path; on Linux by way of its folder's descriptor. Raise OSError."""
    if len(os.fsencode(path)) <= MAX_ADDRESS:
        yield str(path)
        return
    if not Path("/proc/self/fd").is_dir():
        raise OSError(errno.ENAMETOOLONG, "the path is too long for a socket", str(path))
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
