"""The confdir with our certificates for mitmproxy."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from pathlib import Path

from proxy_policies.certificates import own_folder
from proxy_policies.certificates.own_folder import CONFDIR
from proxy_policies.control import socket_files
from proxy_policies.lazy_imports import lazy_imports
from proxy_policies.options.files import expand_home

with lazy_imports():
    from proxy_policies.certificates import authority

PREFIX = "mitmproxy-"  # of all files with certificates and keys: mitmproxy's CONF_BASENAME
SIZE_OF_CA = 64 * 1024
"""Bytes that mitmproxy's files need, rounded up."""
RESTORE = "restore it, or delete every mitmproxy-ca* there: mitmproxy then makes another CA, which clients must trust"


def own_confdir() -> Path | None:
    """Return the confdir with the CA of `certs make`; None if there is none, and mitmproxy's own is used."""
    certificates = own_folder.certificates_folder()
    if not (certificates / authority.KEY_FILE).exists():
        return None
    link_confdir(certificates, mitmproxy_confdir())
    return certificates / CONFDIR


def mitmproxy_confdir() -> Path:
    """Return mitmproxy's own confdir; one that does not exist if the home folder is unknown."""
    return expand_home("~/.mitmproxy")


def require_confdir(confdir: Path, how: str = "--set confdir=FOLDER") -> None:
    """Raise ValueError or OSError if mitmproxy can neither read a CA nor make one; it would end with a traceback.

    A certificate without its key is not replaced silently: clients trust it. A key with a passphrase
    (`cert_passphrase`) is not checked.
    """
    key = confdir / authority.KEY_FILE
    if (confdir / authority.CERTIFICATE_FILE).exists() and not os.path.exists(key):
        raise ValueError(f"{confdir}: {authority.CERTIFICATE_FILE} is there without its key, {key.name}; {RESTORE}")
    if not all(os.path.exists(path) for path in (key, confdir / authority.DH_FILE)):
        _require_folder(confdir, how)
    if os.path.exists(key) and not authority.is_encrypted(key):
        try:
            authority.read_authority(confdir)
        except ValueError as error:
            raise ValueError(f"{error}; {RESTORE}") from None


def _require_folder(confdir: Path, how: str) -> None:
    """Make the confdir, as mitmproxy does. Raise ValueError where nothing can be written in it."""
    try:
        confdir.mkdir(parents=True, exist_ok=True)
        if not os.access(confdir, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        if _is_full(confdir):  # mitmproxy would write half a CA
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError as error:
        raise ValueError(f"confdir {confdir}: {error.strerror}; {how} names another folder for the CA") from None


def why_not_made(folder: Path) -> str:
    """Return why a folder cannot be written or created; "" if it can. Creates nothing."""
    there = next(path for path in (folder, *folder.absolute().parents) if os.path.lexists(path))
    if not there.is_dir():
        return os.strerror(errno.ENOTDIR)
    if not os.access(there, os.W_OK | os.X_OK):
        return os.strerror(errno.EACCES)
    return os.strerror(errno.ENOSPC) if _is_full(there) else ""


def _is_full(folder: Path) -> bool:
    space = shutil.disk_usage(folder)
    return space.free < SIZE_OF_CA and space.total > 0  # some file systems do not tell


def link_confdir(certificates: Path, theirs: Path) -> None:
    """Create a confdir with links to our CA, and to the user's other files in mitmproxy's (config.yaml above all).

    mitmproxy has one folder for both. Dangling links are removed. Control sockets are not linked, as a running proxy
    would be found twice.
    """
    confdir = certificates / CONFDIR
    confdir.mkdir(mode=0o700, exist_ok=True)
    remove_dangling(confdir)
    sockets = socket_files.folder_of(confdir)
    if sockets.is_symlink():  # created by versions before 1.0
        sockets.unlink()
    ours = certificates.glob(f"{PREFIX}*")
    others = (path for path in theirs.glob("*") if not path.name.startswith(PREFIX) and path.name != sockets.name)
    for source in (*ours, *others):
        link = confdir / source.name
        if not link.is_symlink() and not link.exists():
            link.symlink_to(source)


def remove_confdir(certificates: Path) -> None:
    """Remove the confdir, whose CA is gone; keep files that others have put there."""
    confdir = certificates / CONFDIR
    remove_dangling(confdir)
    for link in confdir.glob("*"):
        if link.is_symlink() or link.name == authority.DH_FILE:
            link.unlink()
    for folder in (socket_files.folder_of(confdir), confdir):
        with contextlib.suppress(OSError):  # it is not empty, or does not exist
            folder.rmdir()


def remove_dangling(confdir: Path) -> None:
    """Remove dangling links."""
    for link in confdir.glob("*"):
        if link.is_symlink() and not link.exists():
            link.unlink()
