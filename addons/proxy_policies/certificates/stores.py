"""Where programs look for the authorities they trust, and the commands that add and remove one there.

Nothing here runs a command: each store says which would.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

Command = tuple[str, ...]

STORES = ("debian", "fedora", "chromium", "firefox", "java")
"""What the user calls them."""

# A variable left over from elsewhere wins over one that is not set, so all are set. Node adds to its own
# authorities; the others replace theirs, hence the bundle.
BUNDLE_VARIABLES = (
    "SSL_CERT_FILE",
    "CURL_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "PIP_CERT",
)
EXTRA_VARIABLE = "NODE_EXTRA_CA_CERTS"


def environment(certificate: Path, bundle: Path) -> dict[str, str]:
    """Return the variables by which curl, Python, git, pip, Node and npm trust a certificate."""
    return dict.fromkeys(BUNDLE_VARIABLES, str(bundle)) | {EXTRA_VARIABLE: str(certificate)}


@dataclass(frozen=True)
class TrustStore:
    """A place that holds trusted authorities: how to add ours, remove it, and ask for it (exit code 0: it is there)."""

    trust: tuple[Command, ...]
    undo: tuple[Command, ...]
    ask: Command
    find: Command
    """Asks for what is left of one that has ended, or was interrupted, too."""
    as_root: bool = False
    database: Path | None = None
    """Of NSS, that is removed again where it was made for us and nothing else is in it."""


MADE_BY_US = "made-by-proxy-policies"
"""A file in an NSS database that was not there before."""
DEBIAN_FOLDER = Path("/usr/local/share/ca-certificates")
DEBIAN_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
FEDORA_FOLDER = Path("/etc/pki/ca-trust/source/anchors")
FEDORA_BUNDLE = Path("/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem")


def debian(certificate: Path, name: str) -> TrustStore:
    """Return the system's store of Debian and its kin: curl, git, wget, Go and much else read it."""
    copy = DEBIAN_FOLDER / f"{file_name(name)}.crt"
    return TrustStore(
        trust=(("install", "-m", "644", str(certificate), str(copy)), ("update-ca-certificates",)),
        undo=(("rm", "-f", str(copy)), ("update-ca-certificates", "--fresh")),
        ask=_verify(DEBIAN_BUNDLE, certificate),
        find=("test", "-e", str(copy)),
        as_root=True,
    )


def fedora(certificate: Path, name: str) -> TrustStore:
    """Return the system's store of Fedora and its kin (RHEL, CentOS, Rocky, Alma)."""
    copy = FEDORA_FOLDER / f"{file_name(name)}.pem"
    return TrustStore(
        trust=(("install", "-m", "644", str(certificate), str(copy)), ("update-ca-trust", "extract")),
        undo=(("rm", "-f", str(copy)), ("update-ca-trust", "extract")),
        ask=_verify(FEDORA_BUNDLE, certificate),
        find=("test", "-e", str(copy)),
        as_root=True,
    )


def file_name(name: str) -> str:
    """Return an authority's name as a file can have it: each has a file of its own in a folder of many."""
    return re.sub(r"[^\w.-]+", "-", name).lstrip(".-") or "authority"


def _verify(bundle: Path, certificate: Path) -> Command:
    return ("openssl", "verify", "-no_check_time", "-no-CApath", "-CAfile", str(bundle), str(certificate))


def nss(database: Path, certificate: Path, name: str) -> TrustStore:
    """Return a database of Mozilla's NSS, as Chromium on Linux and each Firefox profile has one."""
    at = ("certutil", "-d", f"sql:{database}")
    is_there = (database / "cert9.db").exists()
    # The mark comes first: what is interrupted afterwards is known not to be somebody else's.
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
    """Return where Chromium looks: since version 146 `~/.local/share/pki/nssdb`, unless the older one is there.

    The snap has a home of its own.
    """
    old, new = home / ".pki/nssdb", home / ".local/share/pki/nssdb"
    snap = home / "snap/chromium/current"
    return [old if old.exists() else new, *([snap / ".pki/nssdb"] if snap.exists() else [])]


def java(certificate: Path, name: str) -> TrustStore:
    """Return the store of the Java that is on the PATH; its password is Java's default."""
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
    """Return the stores of a machine by the name the user gives them; Firefox has one a profile."""
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
    """Where somebody types the commands: how to trust a certificate there, and how to undo that."""

    trust: Sequence[str]
    undo: Sequence[str]


def other_systems(file: str, name: str) -> dict[str, OtherSystem]:
    """Return what to type on systems whose stores nothing here reaches, beside a copy of the certificate."""
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
