"""`proxy-policies certs`: makes an authority, has it trusted, tries it, and takes it back."""

from __future__ import annotations

import argparse
import functools
import os
import shlex
import shutil
import ssl
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex

import certifi

from proxy_policies.certificates import authority, client_checks, folders
from proxy_policies.certificates.stores import Command, TrustStore, environment, stores
from proxy_policies.command import help_text
from proxy_policies.reverse_tunnel import certificates

DESCRIPTION = "Make the certificate authority (CA) that opens inspected hosts, have clients trust it, undo that."
EXAMPLES = (
    "certs make                           a CA, with which the proxy signs from its next start",
    'certs trust                          variables for a shell: eval "$(proxy-policies certs trust)"',
    "certs trust chromium firefox         add it to these stores",
    "certs verify                         try it with real clients through a real proxy",
    "certs undo                           take it out of every store, and delete it",
    "certs tunnel home paris              a certificate for the reverse tunnel's home",
)
EXIT_CODES = {0: "done; verify: clients and the stores named trust it", 1: "not so, or it could not be done"}
BUNDLE_FILE = "bundle.pem"
STORES = ("debian", "chromium", "firefox")
PACKAGES = {"certutil": " (Debian package libnss3-tools)", "update-ca-certificates": " (this is not Debian?)"}


def make(folder: Path, force: bool) -> int:
    """Make an authority; one that is there already stays, unless forced."""
    if (folder / authority.KEY_FILE).exists() and not force:
        raise ValueError(
            f"{folder} has an authority already; --force replaces it, and then every client must trust the new one"
        )
    now = datetime.now(UTC)
    made = authority.make_authority(f"proxy-policies {now:%Y-%m-%d} {token_hex(2)}", now)
    authority.write_authority(folder, made)
    write_bundle(folder)
    print(f"made {made.name!r} in {folder}: proxy-policies run signs with it from its next start")
    print(f"its clients must trust {folder / authority.CERTIFICATE_FILE}: proxy-policies certs trust --help says how")
    return 0


def write_bundle(folder: Path) -> Path:
    """Write the authorities of this machine and ours into one file, for programs that take one file only."""
    bundle = folder / BUNDLE_FILE
    known = ssl.get_default_verify_paths().cafile
    system = Path(known if known and Path(known) != bundle else certifi.where())
    certificates = system.read_bytes().rstrip() + b"\n" + (folder / authority.CERTIFICATE_FILE).read_bytes()
    authority.write_file(bundle, certificates, 0o644)
    return bundle


def trust(folder: Path, names: Sequence[str]) -> int:
    """Add the authority to stores; without a name, print the variables by which a shell's programs trust it."""
    authority.read_authority(folder)
    if names:
        return max(run(store.trust, store.as_root) for name in names for store in needed_stores(folder, name))
    variables = environment(folder / authority.CERTIFICATE_FILE, write_bundle(folder))
    print("\n".join(f"export {name}={shlex.quote(value)}" for name, value in variables.items()))
    if sys.stdout.isatty():
        print('# take them over: eval "$(proxy-policies certs trust)"')
    return 0


def undo(folder: Path, names: Sequence[str]) -> int:
    """Take the authority out of stores; without a name, out of every store it is in, and delete it."""
    holding = [store for name in names or STORES for store in stores_of(folder, name) if trusts(store)]
    code = max((run(store.undo, store.as_root) for store in holding), default=0)
    if not names and code == 0:
        authority.remove_authority(folder)
        (folder / BUNDLE_FILE).unlink(missing_ok=True)
        variables = " ".join(environment(Path(), Path()))
        print(f"deleted the authority in {folder}; where a shell took its variables over: unset {variables}")
    return code


def verify(folder: Path, names: Sequence[str]) -> int:
    """Try the authority with the clients that are here, and say which stores (or: whether the ones named) trust it."""
    ours = authority.read_authority(folder)
    faults = list(authority.problems(folder, ours, datetime.now(UTC)))
    for fault in faults or [f"{ours.name}, until {ours.certificate.not_valid_after_utc:%Y-%m-%d}"]:
        say("authority", fault)
    refused = [] if faults else try_clients(folder)
    trusting = {name: ask_stores(folder, name) for name in names or STORES}
    return 1 if faults or refused or (names and not all(trusting.values())) else 0


def try_clients(folder: Path) -> list[str]:
    """Have each client open a host through a proxy; gives the names of those that refused."""
    with client_checks.proxy(folder) as port:
        asked = {name: ask(port, folder / authority.CERTIFICATE_FILE) for name, ask in client_checks.clients().items()}
    for name, complaint in asked.items():
        say(name, f"refuses it: {complaint}" if complaint else "opens HTTPS through a proxy that signs with it")
    return [name for name, complaint in asked.items() if complaint]


def ask_stores(folder: Path, name: str) -> bool:
    """Ask the stores of that name whether they trust the authority."""
    trusted = [trusts(store) for store in stores_of(folder, name)]
    trusting = bool(trusted) and all(trusted)
    say(name, "trusts it" if trusting else f"does not trust it: proxy-policies certs trust {name}")
    return trusting


def say(who: str, what: str) -> None:
    """Print a row."""
    print(f"{who:<10} {what}", flush=True)


def stores_of(folder: Path, name: str) -> list[TrustStore]:
    """Return the stores of that name; Firefox has one a profile, maybe none."""
    ours = authority.read_authority(folder)
    return stores(Path.home(), folder / authority.CERTIFICATE_FILE, ours.name)[name]


def needed_stores(folder: Path, name: str) -> list[TrustStore]:
    """Return the stores of that name; raises ValueError where there is none."""
    found = stores_of(folder, name)
    if not found:
        raise ValueError(f"{name} has no profile here yet: start it once")
    return found


def trusts(store: TrustStore) -> bool:
    """Ask a store."""
    if shutil.which(store.ask[0]) is None:
        return False
    return subprocess.run(store.ask, capture_output=True).returncode == 0  # noqa: S603 - the commands are stores.py's own


def run(commands: Sequence[Command], as_root: bool) -> int:
    """Show and run commands until one fails; gives its exit code."""
    prefix = ("sudo",) if as_root and os.geteuid() else ()
    for command in commands:
        print(f"+ {shlex.join(prefix + command)}", flush=True)
        if shutil.which(command[0]) is None:
            raise ValueError(f"{command[0]} is missing{PACKAGES.get(command[0], '')}")
        code = subprocess.run(prefix + command).returncode  # noqa: S603 - as above
        if code:
            return code
    return 0


def describe(parser: argparse.ArgumentParser) -> None:
    """Add the commands and their arguments."""
    help_text.describe(parser, DESCRIPTION, EXAMPLES, EXIT_CODES)
    where = folders.certificates_folder()
    parser.add_argument("--folder", type=Path, help=f"where the authority is (default: {where})")
    commands = parser.add_subparsers(dest="certs_command", metavar="COMMAND", required=True)
    made = commands.add_parser("make", help="make an authority, with which the proxy signs from its next start")
    made.add_argument("--force", action="store_true", help="replace the one there")
    made.set_defaults(act=lambda folder, given: make(folder, given.force))
    for name, act, help in (
        ("trust", trust, "add it to stores; without a name, print the variables for a shell"),
        ("verify", verify, "try it with real clients, and say which stores trust it"),
        ("undo", undo, "take it out of stores; without a name, out of all, and delete it"),
    ):
        stores_command = commands.add_parser(name, help=help)
        stores_command.add_argument("store", nargs="*", type=store_name, help=", ".join(STORES))
        stores_command.set_defaults(act=functools.partial(_with_stores, act))
    tunnel = commands.add_parser("tunnel", help="make a certificate for an end of the reverse tunnel")
    certificates.describe(tunnel)
    tunnel.set_defaults(act=certificates.run)
    parser.set_defaults(run_command=run_parsed)


def _with_stores(act: Callable[[Path, Sequence[str]], int], folder: Path, given: argparse.Namespace) -> int:
    return act(folder, given.store)


def store_name(text: str) -> str:
    """Read a store's name; argparse reports what is wrong with it."""
    if text not in STORES:
        raise argparse.ArgumentTypeError(f"no store {text!r}; choose from {', '.join(STORES)}")
    return text


def run_parsed(given: argparse.Namespace) -> int:
    """Run a command; return its exit code. Raises ValueError and OSError with what is wrong."""
    folder: Path = (given.folder or folders.certificates_folder()).absolute()
    return int(given.act(folder, given))
