"""`proxy-policies certs`: creates an authority, adds it to trust stores, tests it, and removes it."""

from __future__ import annotations

import argparse
import asyncio
import shlex
import ssl
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING

import certifi

from proxy_policies.argument_parser import port, set_help
from proxy_policies.certificates import (
    authority,
    client_checks,
    device_page,
    device_server,
    folders,
    name_constraints,
    store_commands,
)
from proxy_policies.certificates.store_commands import has, run, trusts
from proxy_policies.certificates.stores import (
    OTHER_SYSTEMS,
    STORES,
    TrustStore,
    environment,
    other_systems,
    stores,
)
from proxy_policies.reverse_tunnel import certificates
from proxy_policies.script_paths import own_command

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]
    Act = Callable[[Path, argparse.Namespace], int]

DESCRIPTION = "Make the certificate authority (CA) that opens inspected hosts, have clients trust it, undo that."
MAKE = (
    "certs make                           a CA, with which the proxy signs from its next start",
    "certs make --permit example.com      … that clients believe for that domain alone",
)
ENV = ('certs env                            for a shell: eval "$(proxy-policies certs env)"',)
TRUST = (
    "certs trust chromium firefox         add it to these stores",
    "certs trust macos                    what to type on a Mac, or on Windows",
)
VERIFY = ("certs verify                         try it with real clients through a real proxy",)
SERVE = ("certs serve --listen-host 0.0.0.0    a page with a QR code, for phones and other machines",)
UNTRUST = ("certs untrust chromium               remove it from a store",)
UNDO = ("certs undo                           remove it from every store, and delete it",)
EXAMPLES = (*MAKE, *ENV, *TRUST, *VERIFY, *SERVE, *UNTRUST, *UNDO, *certificates.EXAMPLES[:1])
EXIT_CODES = {0: "done; verify: clients and the stores named trust it", 1: "not so, or it could not be done"}
DONE = {0: "done", 1: "it could not be done; the last line says why"}
BUNDLE_FILE = "bundle.pem"
DEVICE_PORT = 8083  # after mitmproxy's own 8080 and mitmweb's 8081
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
    for fault in faults or [f"{ours.name}, until {ours.certificate.not_valid_after_utc:%Y-%m-%d}"]:
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


def describe(parser: argparse.ArgumentParser) -> None:
    """Add the commands and their arguments."""
    set_help(parser, DESCRIPTION, EXAMPLES, EXIT_CODES)
    where = folders.certificates_folder()
    parser.add_argument("--folder", type=named_folder, help=f"where the authority is (default: {where})")
    commands = parser.add_subparsers(dest="certs_command", metavar="COMMAND", required=True)
    describe_authority(commands)
    describe_stores(commands)
    tunnel = add(commands, "tunnel", "make a certificate for an end of the reverse tunnel", certificates.run)
    certificates.describe(tunnel)
    parser.set_defaults(run_command=run_parsed)


def describe_authority(commands: Commands) -> None:
    """Add the commands that create, distribute and delete the authority."""
    made = add(commands, "make", "make an authority, with which the proxy signs from its next start", make, *MAKE)
    made.add_argument("--force", action="store_true", help="replace the one there")
    made.add_argument(
        "--permit",
        action="append",
        default=[],
        type=permitted,
        metavar="DOMAIN",
        help="let clients trust it only for this domain and its subdomains, or this network; may be repeated",
    )
    printed = add(commands, "env", "print the variables by which a shell's programs trust it", env, *ENV)
    printed.add_argument(
        "shell", nargs="?", default="sh", choices=SHELLS, help="default: sh, which is bash and zsh too"
    )
    served = add(commands, "serve", "serve it to phones and other machines: a page with a QR code", serve, *SERVE)
    served.add_argument("--port", type=port, default=DEVICE_PORT, help=f"default: {DEVICE_PORT}; 0 is one that is free")
    served.add_argument("--listen-host", default="127.0.0.1", metavar="ADDRESS", help="default: 127.0.0.1")
    add(commands, "undo", "remove it from every store, and delete it", undo, *UNDO)


def describe_stores(commands: Commands) -> None:
    """Add the commands that change and check trust stores."""
    everything = ", ".join(STORES + OTHER_SYSTEMS)
    added = add(commands, "trust", "add it to stores; env is for a shell's programs", trust, *TRUST)
    added.add_argument("store", nargs="+", type=store_or_system, metavar="STORE", help=everything)
    removed = add(commands, "untrust", "remove it from stores; without a name, from all", untrust, *UNTRUST)
    removed.add_argument("store", nargs="*", type=store_or_system, metavar="STORE", help=everything)
    tried = add(commands, "verify", "try it with real clients, and say which stores trust it", verify, *VERIFY)
    set_help(tried, f"{tried.description}", VERIFY, EXIT_CODES)
    tried.add_argument("store", nargs="*", type=store_name, metavar="STORE", help=", ".join(STORES))


def add(commands: Commands, name: str, help: str, act: Act, *examples: str) -> argparse.ArgumentParser:
    """Add a command."""
    parser = commands.add_parser(name, help=help, allow_abbrev=False)
    set_help(parser, f"{help[0].upper()}{help[1:]}.", examples, DONE)
    parser.set_defaults(act=act)
    return parser


def named_folder(text: str) -> Path:
    """Return a folder's path, for argparse. An empty text, as from an unset variable, is an error."""
    if not text:
        raise argparse.ArgumentTypeError("it is empty")
    return Path(text).absolute()


def permitted(text: str) -> name_constraints.Permitted:
    """Return a domain or a network, for argparse."""
    try:
        return name_constraints.parse_permitted(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def store_name(text: str, known: Sequence[str] = STORES) -> str:
    """Return a store's name, for argparse."""
    if text not in known:
        raise argparse.ArgumentTypeError(f"no store {text!r}; choose from {', '.join(known)}")
    return text


def store_or_system(text: str) -> str:
    """Return the name of a store or of another system, for argparse."""
    return store_name(text, STORES + OTHER_SYSTEMS)


def run_parsed(given: argparse.Namespace) -> int:
    """Run a command; return its exit code. Raise ValueError or OSError."""
    folder: Path = given.folder or folders.certificates_folder().absolute()
    return int(given.act(folder, given))
