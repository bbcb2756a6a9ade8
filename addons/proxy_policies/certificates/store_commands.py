"""Runs the commands of trust stores; prints each, and runs none if a program is missing."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from proxy_policies.certificates.stores import MADE_BY_US, StoreCommand, TrustStore

COMMAND_TIMEOUT = 120.0  # seconds for a command: update-ca-certificates takes 10, and a password may have to be typed
SHOWN = 4096  # characters of a failed command's output
PACKAGES = {
    "certutil": " (Debian package libnss3-tools)",
    "update-ca-certificates": " (this is not Debian?)",
    "update-ca-trust": " (this is not Fedora?)",
    "keytool": " (of Java)",
}


def trusts(store: TrustStore) -> bool:
    """Return whether a store trusts the authority."""
    return _answers(store.ask)


def has(store: TrustStore) -> bool:
    """Return whether the authority is in a store, even if it has expired, or `trust` was interrupted."""
    return any(map(_answers, dict.fromkeys((store.ask, store.find))))  # for Java, both are one, which takes a second


def _answers(question: StoreCommand) -> bool:
    if shutil.which(question[0]) is None:
        return False
    return subprocess.run(question, capture_output=True).returncode == 0  # noqa: S603 - the commands are stores.py's own


def missing(commands: Iterable[StoreCommand]) -> str:
    """Return a line on the first missing program of some commands; "" if none is missing."""
    absent = next((command[0] for command in commands if shutil.which(command[0]) is None), "")
    if absent == "sudo":
        return "this store is root's, and there is no sudo: run it as root"
    return f"{absent} is missing{PACKAGES.get(absent, '')}" if absent else ""


def run(commands: Sequence[StoreCommand], as_root: bool) -> int:
    """Print and run commands until one fails, whose output is printed; return its exit code.

    Raise ValueError before any is run if a program is missing.
    """
    prefix = ("sudo",) if as_root and os.geteuid() else ()
    if line := missing([*([prefix] if prefix else []), *commands]):
        raise ValueError(line)
    for command in commands:
        print(f"+ {shlex.join(prefix + command)}", flush=True)
        code = _run_one(prefix + command)
        if code:
            return code
    return 0


def _run_one(command: StoreCommand) -> int:
    """Run a command without standard input: sudo asks for a password on the terminal itself."""
    with tempfile.TemporaryFile("w+", errors="replace") as output:
        try:
            code = subprocess.run(  # noqa: S603 - as above
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, timeout=COMMAND_TIMEOUT
            ).returncode
        except subprocess.TimeoutExpired:
            raise ValueError(f"{shlex.join(command)} did not end within {COMMAND_TIMEOUT:.0f} s") from None
        if code:
            output.seek(0)
            print(output.read(SHOWN), end="", file=sys.stderr)
    return code


def take_out(stores: Sequence[TrustStore]) -> int:
    """Remove the authority from those stores that have it, and databases made for it; return the highest exit code."""
    everywhere = [each for store in stores for each in (store, *store.copies)]
    code = max((run(store.undo, store.as_root) for store in everywhere if has(store)), default=0)
    for database in [store.database for store in stores if store.database is not None]:
        remove_if_ours(database)
    return code


def remove_if_ours(database: Path) -> None:
    """Remove an NSS database that was made for us, if it is empty."""
    if not (database / MADE_BY_US).exists() or _has_certificates(database):
        return
    for name in (MADE_BY_US, "cert9.db", "key4.db", "pkcs11.txt"):
        (database / name).unlink(missing_ok=True)
    for folder in (database, database.parent):
        with contextlib.suppress(OSError):  # it is not empty
            folder.rmdir()


def _has_certificates(database: Path) -> bool:
    """Return whether an NSS database contains certificates; True if that is unknown."""
    if not (database / "cert9.db").exists():
        return False
    if shutil.which("certutil") is None:
        return True
    command = ["certutil", "-d", f"sql:{database}", "-L"]
    listed = subprocess.run(command, capture_output=True, text=True)  # noqa: S603 - certutil
    return listed.returncode != 0 or len(listed.stdout.strip().splitlines()) > 2  # two are the table's head
