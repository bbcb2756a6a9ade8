"""The actions of `proxy-policies certs`. Each returns its exit code, and raises ValueError or OSError."""

from __future__ import annotations

import argparse
import asyncio
import shlex
import ssl
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex

import certifi

from proxy_policies.addresses import is_loopback
from proxy_policies.certificates import authority, client_checks, device_page, device_server, folders, store_commands
from proxy_policies.certificates.own_folder import certs_command, run_command
from proxy_policies.certificates.store_commands import has, run, trusts
from proxy_policies.certificates.stores import OTHER_SYSTEMS, STORES, TrustStore, ca_variables, other_systems, stores
from proxy_policies.doctor.certificates import look_at_authority
from proxy_policies.doctor.finding import Finding, fail, has_failed, ok, report, warn

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
    print(f"made {made.name!r} in {folder}: {run_command(folder)} signs with it from its next start")
    if given.permit:
        print(f"clients trust it only for {', '.join(made.permitted)}: inspect_hosts should name no other hosts")
    print(
        f"its clients must trust {folder / authority.CERTIFICATE_FILE}: {certs_command(folder)} trust --help says how"
    )
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
        command = f"{certs_command(folder)} untrust"
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
    variables = ca_variables(folder / authority.CERTIFICATE_FILE, write_bundle(folder))
    print("\n".join(SHELLS[given.shell].format(name, shlex.quote(value)) for name, value in variables.items()))
    if sys.stdout.isatty():
        command = f"{certs_command(folder)} env"
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
        "/": device_server.ServedFile("text/html; charset=utf-8", device_page.page(ours, url, svg).encode()),
        f"/{device_page.FILE}": device_server.ServedFile(device_page.MEDIA_TYPE, certificate),
    }
    print(f"{blocks}{url}   {ours.name}\nSHA-256 {device_page.fingerprint(ours)}")
    if is_loopback(sockets[0].getsockname()[0]):
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
        variables = " ".join(ca_variables(Path(), Path()))
        print(f"deleted the authority in {folder}; in shells that set its variables: unset {variables}")
    return code


def verify(folder: Path, given: argparse.Namespace) -> int:
    """Test the authority with the installed clients, and print which stores trust it; return the exit code."""
    return report(look(folder, given.store), given.json)


def look(folder: Path, named: Collection[str]) -> Iterator[Finding]:
    """Yield findings on the authority, on clients, and on stores: those named must trust it, by default none."""
    ours = authority.read_authority(folder)
    about = list(look_at_authority(folder))
    yield from about
    if not has_failed(about):
        yield from try_clients(folder, ours)
    for name in named or STORES:
        yield ask_stores(folder, name, fail if named else warn)


def try_clients(folder: Path, ours: authority.Authority) -> Iterator[Finding]:
    """Yield a finding on each client, tried through a proxy."""
    host, certificate = client_checks.host_for(ours.permitted), folder / authority.CERTIFICATE_FILE
    with client_checks.proxy(folder, host) as port:
        for name, ask in client_checks.clients().items():
            message = ask(port, certificate, host)
            yield (
                fail(name, f"refuses it: {message}")
                if message
                else ok(name, "opens HTTPS through a proxy that signs with it")
            )


def ask_stores(folder: Path, name: str, worse: Callable[..., Finding]) -> Finding:
    """Return whether the stores of this name trust the authority; `worse` makes the finding if not."""
    stores = stores_of(folder, name)
    if not stores:
        return worse(name, "has no profile here")
    if line := store_commands.missing([stores[0].ask, *stores[0].trust]):
        return worse(name, f"cannot be asked: {line}")
    if all(map(trusts, stores)):
        return ok(name, "trusts it")
    return worse(name, "does not trust it", f"{certs_command(folder)} trust {name}")


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
