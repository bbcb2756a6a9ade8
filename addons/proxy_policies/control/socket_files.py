"""The files of control sockets: `control/PID.sock` in a confdir, for the user alone who started the proxy."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Iterator
from pathlib import Path

FOLDER = "control"
LONGEST_ADDRESS = 100
"""Bytes: `sun_path` has 108 on Linux, 104 on macOS and the BSDs."""
BACKLOG = 8
MOST = 256
"""Files that are looked at."""


def folder_of(confdir: Path) -> Path:
    """Return the folder of a confdir where the sockets are."""
    return confdir / FOLDER


def sockets(confdir: Path) -> list[Path]:
    """Return the sockets in a confdir, those that nobody listens on any more among them."""
    return sorted(folder_of(confdir).glob("*.sock"))[:MOST]


def listen(path: Path) -> socket.socket:
    """Listen where only this user may connect: the folder is 0700, the socket 0600. Raises OSError.

    The socket has its name once it listens. Whoever looks before, another worker that starts or somebody who asks,
    would be refused by it, and remove it as one that was left behind.
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
    """Connect within so many seconds; raises OSError."""
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
    """Remove the sockets of processes that died without a word."""
    for path in sockets(confdir):
        try:
            connect(path, 0.1).close()
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
        except OSError:  # a busy one, or somebody else's
            continue


@contextlib.contextmanager
def _short(path: Path) -> Iterator[str]:
    """Give an address that fits: Linux reaches any file by the descriptor of its folder."""
    if len(os.fsencode(path)) <= LONGEST_ADDRESS:
        yield str(path)
        return
    if not Path("/proc/self/fd").is_dir():
        raise OSError(errno.ENAMETOOLONG, "the path is too long for a socket", str(path))
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
