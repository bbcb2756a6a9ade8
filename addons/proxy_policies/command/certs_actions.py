"""The actions of `proxy-policies certs`. Each returns its exit code, and raises ValueError or OSError."""

from __future__ import annotations

import argparse
import asyncio
import shlex
import ssl
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex

import certifi

from proxy_policies.certificates import authority, client_checks, device_page, device_server, folders, store_commands
from proxy_policies.certificates.store_commands import has, run, trusts
from proxy_policies.certificates.stores import OTHER_SYSTEMS, STORES, TrustStore, environment, other_systems, stores
from proxy_policies.script_paths import own_command

BUNDLE_FILE = "bundle.pem"
OTHER_NAMES = {"macos": "the Mac", "windows": "Windows"}
SHELLS = {"sh": "export {}={}", "fish": "set -gx {} {}"}
"""How each shell sets a variable."""


def make(folder: Path, given: argparse.Namespace) -> int:
    """Create an authority; replace an existing one only with --force."""
    if (folder / authority.KEY_FILE).exists():
        refuse_to_replace(folder, given.force)
    now = datetime.now(UTC)
    made = authority.make_authority(f"proxy-policies {now:%Y-%m-%d} {token_hex(2)}", now, given.permit)
    authority.write_authority(folder, made)
    write_bundle(folder)
    print(f"made {made.name!r} in {folder}: {own_command()} run signs with it from its next start")
    if given.permit:
        print(f"clients trust it only for {', '.join(made.permitted)}: inspect_hosts should name no other hosts")
    print(f"its clients must trust {folder / authority.CERTIFICATE_FILE}: {own_command()} certs trust --help says how")
    return 0


def refuse_to_replace(folder: Path, is_forced: bool) -> None:
    """Raise ValueError unless the existing authority may be replaced: not while a store trusts it."""
    if not is_forced:
        raise ValueError(
            f"{folder} has an authority already; --force replaces it, and then every client must trust the new one"
        )
    try:
        trusting = [name for name in STORES if any(map(has, stores_of(folder, name)))]
    except ValueError:  # it is invalid, and its name in a store is unknown
        return
    if trusting:
        command = f"{own_command()} certs untrust"
        raise ValueError(f"the authority there is in a store ({', '.join(trusting)}): first {command} removes it")


def write_bundle(folder: Path) -> Path:
    """Write this machine's authorities and ours into one file, for programs that read only one."""
    bundle = folder / BUNDLE_FILE
    known = ssl.get_default_verify_paths().cafile
    system = Path(known if known and Path(known) != bundle else certifi.where())
    certificates = system.read_bytes().rstrip() + b"\n" + (folder / authority.CERTIFICATE_FILE).read_bytes()
    authority.write_files({bundle: certificates})
    return bundle


def env(folder: Path, given: argparse.Namespace) -> int:
    """Print the variables that make programs in a shell trust the authority."""
    authority.read_certificate(folder)
    variables = environment(folder / authority.CERTIFICATE_FILE, write_bundle(folder))
    print("\n".join(SHELLS[given.shell].format(name, shlex.quote(value)) for name, value in variables.items()))
    if sys.stdout.isatty():
        command = f"{own_command()} certs env"
        print(f'# to set them: eval "$({command})"; in fish: {command} fish | source')
    return 0


def trust(folder: Path, given: argparse.Namespace) -> int:
    """Add the authority to stores; for other systems, print the commands."""
    ours = authority.name_of(authority.read_certificate(folder))
    code = 0
    for name in given.store:
        if name in OTHER_SYSTEMS:
            show_commands(folder, name, other_systems(authority.CERTIFICATE_FILE, ours)[name].trust)
        else:
            code = max(code, *(run(store.trust, store.as_root) for store in needed_stores(folder, name)))
    return code


def untrust(folder: Path, given: argparse.Namespace) -> int:
    """Remove the authority from stores, by default from all; for other systems, print the commands."""
    ours = authority.name_of(authority.read_certificate(folder))
    for name in [name for name in given.store if name in OTHER_SYSTEMS]:
        show_commands(folder, name, other_systems(authority.CERTIFICATE_FILE, ours)[name].undo)
    return take_out(folder, [name for name in given.store or STORES if name in STORES])


def show_commands(folder: Path, system: str, commands: Sequence[str]) -> None:
    """Print the commands for another system."""
    print(f"# on {OTHER_NAMES[system]}, beside a copy of {folder / authority.CERTIFICATE_FILE}:")
    print("\n".join(commands))


def take_out(folder: Path, names: Sequence[str]) -> int:
    """Remove the authority from the named stores; return the exit code."""
    return store_commands.take_out([store for name in names for store in stores_of(folder, name)])


def serve(folder: Path, given: argparse.Namespace) -> int:
    """Serve the certificate, with a page on how to trust it, until interrupted."""
    ours = authority.read_authority(folder)
    sockets = device_server.bind(given.listen_host, given.port)
    url = device_server.url_of(sockets)
    try:
        svg, blocks = device_server.qr_code(url)
    except ValueError as error:
        svg, blocks = "", f"{error}\n"
    certificate = (folder / authority.CERTIFICATE_FILE).read_bytes()
    files = {
        "/": device_server.File("text/html; charset=utf-8", device_page.page(ours, url, svg).encode()),
        f"/{device_page.FILE}": device_server.File(device_page.MEDIA_TYPE, certificate),
    }
    print(f"{blocks}{url}   {ours.name}\nSHA-256 {device_page.fingerprint(ours)}")
    if device_server.is_local(url):
        print("only this machine can open it; --listen-host 0.0.0.0 opens it to others nearby")
    print("Ctrl-C ends it", flush=True)
    asyncio.run(device_server.serve(sockets, files))
    return 0


def undo(folder: Path, given: argparse.Namespace) -> int:
    """Remove the authority from every store, and delete it."""
    try:
        code = take_out(folder, STORES)
    except ValueError:
        if not authority.has_files(folder):
            raise
        code = 0  # it is invalid, and its name in a store is unknown
    if code == 0:
        authority.remove_authority(folder)
        (folder / BUNDLE_FILE).unlink(missing_ok=True)
        folders.remove_confdir(folder)
        variables = " ".join(environment(Path(), Path()))
        print(f"deleted the authority in {folder}; in shells that set its variables: unset {variables}")
    return code


def verify(folder: Path, given: argparse.Namespace) -> int:
    """Test the authority with the installed clients, and print which stores trust it; return the exit code."""
    ours = authority.read_authority(folder)
    now = datetime.now(UTC)
    faults = [": ".join(fault) for fault in authority.problems(folder, ours, now)]
    limits = f", only for {', '.join(ours.permitted)}" if ours.permitted else ""
    for fault in faults or [f"{ours.name}, until {ours.certificate.not_valid_after_utc:%Y-%m-%d}{limits}"]:
        say("authority", fault)
    if not faults and ours.ends_soon(now):
        say("authority", f"ends soon: {own_command()} certs make --force makes another, which every client must trust")
    refused = [] if faults else try_clients(folder, ours)
    trusting = {name: ask_stores(folder, name) for name in given.store or STORES}
    return 1 if faults or refused or (given.store and not all(trusting.values())) else 0


def try_clients(folder: Path, ours: authority.Authority) -> list[str]:
    """Test with each client through a proxy; return the names of those that failed."""
    host, certificate = client_checks.host_for(ours.permitted), folder / authority.CERTIFICATE_FILE
    with client_checks.proxy(folder, host) as port:
        asked = {name: ask(port, certificate, host) for name, ask in client_checks.clients().items()}
    for name, message in asked.items():
        say(name, f"refuses it: {message}" if message else "opens HTTPS through a proxy that signs with it")
    return [name for name, message in asked.items() if message]


def ask_stores(folder: Path, name: str) -> bool:
    """Print and return whether the stores of this name trust the authority."""
    stores = stores_of(folder, name)
    if not stores:
        say(name, "has no profile here")
        return False
    if line := store_commands.missing([stores[0].ask, *stores[0].trust]):
        say(name, f"cannot be asked: {line}")
        return False
    trusting = all(map(trusts, stores))
    say(name, "trusts it" if trusting else f"does not trust it: {own_command()} certs trust {name}")
    return trusting


def say(who: str, what: str) -> None:
    """Print a row."""
    print(f"{who:<10} {what}", flush=True)


def stores_of(folder: Path, name: str) -> list[TrustStore]:
    """Return the stores of this name; Firefox has one for each profile, possibly none."""
    name_of_ours = authority.name_of(authority.read_certificate(folder))
    return stores(Path.home(), folder / authority.CERTIFICATE_FILE, name_of_ours)[name]


def needed_stores(folder: Path, name: str) -> list[TrustStore]:
    """Return the stores of this name. Raise ValueError if there is none."""
    found = stores_of(folder, name)
    if not found:
        raise ValueError(f"{name} has no profile here yet: start it once")
    return found
