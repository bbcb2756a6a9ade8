"""Trust stores of programs, and the commands that add and remove an authority there. Runs no command."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

StoreCommand = tuple[str, ...]

STORES = ("debian", "fedora", "chromium", "firefox", "java")
"""The names of stores on the command line."""

BUNDLE_VARIABLES = (
    "SSL_CERT_FILE",
    "CURL_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "PIP_CERT",
    "AWS_CA_BUNDLE",
    "CARGO_HTTP_CAINFO",
    "DENO_CERT",
    "NIX_SSL_CERT_FILE",
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
)
"""Each client reads its own, and prefers it to others: so all are set. The bundle replaces its authorities."""
EXTRA_VARIABLE = "NODE_EXTRA_CA_CERTS"
"""Names a file with further authorities."""


def ca_variables(certificate: Path, bundle: Path) -> dict[str, str]:
    """Return the environment variables that make programs trust a certificate, which is also in the bundle."""
    return dict.fromkeys(BUNDLE_VARIABLES, str(bundle)) | {EXTRA_VARIABLE: str(certificate)}


@dataclass(frozen=True)
class TrustStore:
    """A trust store: the commands to add our authority, remove it, and check for it (exit code 0: it is trusted)."""

    trust: tuple[StoreCommand, ...]
    undo: tuple[StoreCommand, ...]
    ask: StoreCommand
    find: StoreCommand
    """Exit code 0: the authority is in the store, even if it has expired, or adding it was interrupted."""
    as_root: bool = False
    database: Path | None = None
    """An NSS database, which is removed if it was made for us and is empty."""
    copies: "tuple[TrustStore, ...]" = ()
    """Stores to which a hook of this one copies an authority that it does not remove again."""


MADE_BY_US = "made-by-proxy-policies"
"""A file that marks an NSS database as made for us."""
DEBIAN_FOLDER = Path("/usr/local/share/ca-certificates")
DEBIAN_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
FEDORA_FOLDER = Path("/etc/pki/ca-trust/source/anchors")
FEDORA_BUNDLE = Path("/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem")


def debian(certificate: Path, name: str) -> TrustStore:
    """Return the system's store on Debian and its derivatives, which curl, git, wget, Go and others read."""
    copy = DEBIAN_FOLDER / f"{file_name(name)}.crt"
    return TrustStore(
        trust=(("install", "-m", "644", str(certificate), str(copy)), ("update-ca-certificates",)),
        undo=(("rm", "-f", str(copy)), ("update-ca-certificates", "--fresh")),
        ask=_verify(DEBIAN_BUNDLE, certificate),
        find=("test", "-e", str(copy)),
        as_root=True,
        copies=(java(certificate, f"debian:{copy.stem}.pem"),),  # by ca-certificates-java
    )


def fedora(certificate: Path, name: str) -> TrustStore:
    """Return the system's store on Fedora and its relatives (RHEL, CentOS, Rocky, Alma)."""
    copy = FEDORA_FOLDER / f"{file_name(name)}.pem"
    return TrustStore(
        trust=(("install", "-m", "644", str(certificate), str(copy)), ("update-ca-trust", "extract")),
        undo=(("rm", "-f", str(copy)), ("update-ca-trust", "extract")),
        ask=_verify(FEDORA_BUNDLE, certificate),
        find=("test", "-e", str(copy)),
        as_root=True,
    )


def file_name(name: str) -> str:
    """Return an authority's name as a file name."""
    return re.sub(r"[^\w.-]+", "-", name).lstrip(".-") or "authority"


def _verify(bundle: Path, certificate: Path) -> StoreCommand:
    return ("openssl", "verify", "-no_check_time", "-no-CApath", "-CAfile", str(bundle), str(certificate))


def nss(database: Path, certificate: Path, name: str) -> TrustStore:
    """Return the store in an NSS database, which Chromium on Linux and each Firefox profile have."""
    at = ("certutil", "-d", f"sql:{database}")
    is_there = (database / "cert9.db").exists()
    # The mark is made first, so that an interrupted database is known to be ours.
    making = (("install", "-D", "-m", "644", "/dev/null", str(database / MADE_BY_US)), (*at, "-N", "--empty-password"))
    make = () if is_there else making
    return TrustStore(
        trust=(*make, (*at, "-A", "-t", "C,,", "-n", name, "-i", str(certificate))),
        undo=((*at, "-D", "-n", name),),
        ask=(*at, "-V", "-u", "L", "-n", name),
        find=(*at, "-L", "-n", name),
        database=database,
    )


def chromium_databases(home: Path) -> list[Path]:
    """Return Chromium's databases: since version 146 `~/.local/share/pki/nssdb`, unless the older one exists.

    The snap has another home folder.
    """
    old, new = home / ".pki/nssdb", home / ".local/share/pki/nssdb"
    snap = home / "snap/chromium/current"
    return [old if old.exists() else new, *([snap / ".pki/nssdb"] if snap.exists() else [])]


def java(certificate: Path, name: str) -> TrustStore:
    """Return the store of the Java on the PATH; its password is Java's default."""
    keytool, of_ours = ("keytool", "-cacerts", "-storepass", "changeit"), ("-alias", name.lower())
    ask = (*keytool, "-list", *of_ours)
    return TrustStore(
        trust=((*keytool, "-importcert", "-noprompt", *of_ours, "-file", str(certificate)),),
        undo=((*keytool, "-delete", *of_ours),),
        ask=ask,
        find=ask,
        as_root=True,
    )


def stores(home: Path, certificate: Path, name: str) -> dict[str, list[TrustStore]]:
    """Return the stores of this machine by name; Firefox has one for each profile."""
    profiles: Iterable[Path] = (
        database.parent
        for folder in (".mozilla/firefox", ".config/mozilla/firefox", "snap/firefox/common/.mozilla/firefox")
        for database in sorted((home / folder).glob("*/cert9.db"))
    )
    return {
        "debian": [debian(certificate, name)],
        "fedora": [fedora(certificate, name)],
        "chromium": [nss(database, certificate, name) for database in chromium_databases(home)],
        "firefox": [nss(profile, certificate, name) for profile in profiles],
        "java": [java(certificate, name)],
    }


@dataclass(frozen=True)
class OtherSystem:
    """The commands to trust a certificate on another system, and to undo that."""

    trust: Sequence[str]
    undo: Sequence[str]


def other_systems(file: str, name: str) -> dict[str, OtherSystem]:
    """Return the commands for other systems, to be typed beside a copy of the certificate."""
    keychain = "/Library/Keychains/System.keychain"
    return {
        "macos": OtherSystem(
            trust=(f"sudo security add-trusted-cert -d -r trustRoot -k {keychain} {file}",),
            undo=(
                f"sudo security remove-trusted-cert -d {file}",
                f'sudo security delete-certificate -c "{name}" {keychain}',
            ),
        ),
        "windows": OtherSystem(
            trust=(f"certutil -user -addstore Root {file}",),
            undo=(f'certutil -user -delstore Root "{name}"',),
        ),
    }


OTHER_SYSTEMS = tuple(other_systems("", ""))
