"""Where certificates are kept, and the confdir that mitmproxy gets for them."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

from proxy_policies.control import socket_files
from proxy_policies.lazy_imports import lazy_imports
from proxy_policies.option_files import expand_home
from proxy_policies.script_paths import PACKAGE

with lazy_imports():
    from proxy_policies.certificates import authority

PREFIX = "mitmproxy-"  # of the names of all files with certificates and keys: mitmproxy's CONF_BASENAME
CONFDIR = "confdir"
"""The folder among the certificates that is mitmproxy's confdir."""
RESTORE = "restore it, or delete it: mitmproxy then makes another, which clients must trust"


def certificates_folder() -> Path:
    """Return the clone's `certs`; of an installed package, the user's folder for data (XDG_DATA_HOME)."""
    clone = PACKAGE.parents[1]
    if (clone / "addons" / "policy.py").exists() and (clone / "pyproject.toml").exists():
        return clone / "certs"
    data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return expand_home(data) / "proxy-policies" / "certs"


def own_confdir() -> Path | None:
    """Return the confdir with the CA that `certs make` made; None where there is none, and mitmproxy's own is used."""
    certificates = certificates_folder()
    if not (certificates / authority.KEY_FILE).exists():
        return None
    link_confdir(certificates, mitmproxy_confdir())
    return certificates / CONFDIR


def mitmproxy_confdir() -> Path:
    """Return mitmproxy's own; where nobody's home is known, a folder that is not there."""
    return expand_home("~/.mitmproxy")


def require_confdir(confdir: Path, how: str = "--set confdir=FOLDER") -> None:
    """Raise ValueError or OSError where mitmproxy can neither read a CA nor make one: it ends in a traceback there.

    A key may have a passphrase, which mitmproxy alone knows (`cert_passphrase`): it is not looked at.
    """
    key = confdir / authority.KEY_FILE
    if not all(os.path.exists(path) for path in (key, confdir / authority.DH_FILE)):
        _require_folder(confdir, how)
    if os.path.exists(key) and not authority.is_encrypted(key):
        try:
            authority.read_authority(confdir)
        except ValueError as error:
            raise ValueError(f"{error}; {RESTORE}") from None


def _require_folder(confdir: Path, how: str) -> None:
    """Make the confdir, as mitmproxy does; raises ValueError where nothing can be written in it."""
    try:
        confdir.mkdir(parents=True, exist_ok=True)
        if not os.access(confdir, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise ValueError(f"confdir {confdir}: {error.strerror}; {how} names another folder for the CA") from None


def why_not_made(folder: Path) -> str:
    """Return why nobody can write in a folder, or make it; "" otherwise. Makes nothing."""
    there = next(path for path in (folder, *folder.absolute().parents) if os.path.lexists(path))
    if not there.is_dir():
        return os.strerror(errno.ENOTDIR)
    return "" if os.access(there, os.W_OK | os.X_OK) else os.strerror(errno.EACCES)


def link_confdir(certificates: Path, theirs: Path) -> None:
    """Make a confdir with our CA, and with all else that the user keeps in mitmproxy's (config.yaml first of all).

    mitmproxy knows one folder for both. Links, so that changes there count here; those that lead nowhere are removed.
    Control sockets are of one confdir: a proxy that runs would be found in both.
    """
    confdir = certificates / CONFDIR
    confdir.mkdir(mode=0o700, exist_ok=True)
    remove_dangling(confdir)
    sockets = socket_files.folder_of(confdir)
    if sockets.is_symlink():  # as versions before 1.0 made it
        sockets.unlink()
    ours = certificates.glob(f"{PREFIX}*")
    others = (path for path in theirs.glob("*") if not path.name.startswith(PREFIX) and path.name != sockets.name)
    for source in (*ours, *others):
        link = confdir / source.name
        if not link.is_symlink() and not link.exists():
            link.symlink_to(source)


def remove_confdir(certificates: Path) -> None:
    """Remove the confdir, but for what somebody else has put there: the CA that its links lead to is gone."""
    confdir = certificates / CONFDIR
    remove_dangling(confdir)
    for link in confdir.glob("*"):
        if link.is_symlink() or link.name == authority.DH_FILE:
            link.unlink()
    for folder in (socket_files.folder_of(confdir), confdir):
        with contextlib.suppress(OSError):  # something is in it, or it is not there
            folder.rmdir()


def remove_dangling(confdir: Path) -> None:
    """Remove links to what is gone."""
    for link in confdir.glob("*"):
        if link.is_symlink() and not link.exists():
            link.unlink()
