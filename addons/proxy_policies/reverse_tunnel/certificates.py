"""Creates the tunnel's certificates: one authority, and for each home and work a certificate with its name.

    proxy-policies certs tunnel home NAME [FOLDER]
    proxy-policies certs tunnel work NAME [FOLDER]

A folder contains ca.pem, cert.pem and key.pem (mode 0600). The authority's key is in `tunnel-ca` beside them, and is
used by this module only. A certificate for home is not valid for work, nor the reverse (RFC 5280, section 4.2.1.12).
"""

from __future__ import annotations

import argparse
import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from proxy_policies.certificates.authority import signing_only, write_files
from proxy_policies.reverse_tunnel.options import parse_name
from proxy_policies.script_paths import own_command
from proxy_policies.terminal.argument_parser import set_help

EXAMPLES = (
    "certs tunnel home paris              a certificate for the reverse tunnel's home",
    "certs tunnel work office             one for a work; copy certs/work to where it runs",
    "certs tunnel work lab certs/lab      a second work, in a folder of its own",
)
KINDS = {"home": ExtendedKeyUsageOID.SERVER_AUTH, "work": ExtendedKeyUsageOID.CLIENT_AUTH}
FILES = CA, CERT, KEY = "ca.pem", "cert.pem", "key.pem"
AUTHORITY = "tunnel-ca"
CA_LIFE = datetime.timedelta(days=3650)
LIFE = datetime.timedelta(days=825)  # the former limit of browsers; the same command renews a certificate


@dataclass(frozen=True)
class CertifiedKey:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Return the pair that `save` wrote. Raise ValueError."""
        key = serialization.load_pem_private_key((folder / KEY).read_bytes(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError(f"{folder / KEY} is not a key of ours")
        return cls(x509.load_pem_x509_certificate((folder / CERT).read_bytes()), key)

    def save(self, folder: Path) -> None:
        """Write cert.pem and key.pem."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        key = self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        write_files({folder / KEY: key, folder / CERT: pem(self.certificate)}, FILES)


def pem(certificate: x509.Certificate) -> bytes:
    """Return a certificate as PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def _sign(
    name: str, life: datetime.timedelta, issuer: CertifiedKey | None, extensions: Sequence[x509.ExtensionType]
) -> CertifiedKey:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))  # clocks differ
        .not_valid_after(now + life)
    )
    signer = (issuer.key if issuer else key).public_key()
    identifiers = [
        x509.SubjectKeyIdentifier.from_public_key(key.public_key()),
        x509.AuthorityKeyIdentifier.from_issuer_public_key(signer),
    ]
    for identifier in identifiers:
        builder = builder.add_extension(identifier, critical=False)
    for extension in extensions:
        builder = builder.add_extension(extension, critical=not isinstance(extension, x509.SubjectAlternativeName))
    return CertifiedKey(builder.sign(issuer.key if issuer else key, hashes.SHA256()), key)


def make_tunnel_authority() -> CertifiedKey:
    """Return a new certificate authority."""
    return _sign(
        "proxy-policies tunnel", CA_LIFE, None, [x509.BasicConstraints(ca=True, path_length=0), signing_only()]
    )


def make_leaf(kind: str, name: str, authority: CertifiedKey | None = None) -> CertifiedKey:
    """Return a new certificate for a home or a work; self-signed if there is no authority."""
    names = x509.SubjectAlternativeName([x509.DNSName(name)])
    constraints = x509.BasicConstraints(ca=False, path_length=None)
    return _sign(name, LIFE, authority, [constraints, x509.ExtendedKeyUsage([KINDS[kind]]), names])


def name_of(certificate: x509.Certificate) -> str:
    """Return the name in a certificate, which is its owner's identity. Raise ValueError if it has none."""
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    if not names:
        raise ValueError("the certificate has no common name, which is its owner's identity")
    return str(names[0].value)


def kinds_of(certificate: x509.Certificate) -> list[str]:
    """Return whether a certificate is valid for a home, a work, both or neither."""
    try:
        purposes = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return list(KINDS)  # without the extension, TLS accepts it for any use
    return [kind for kind, purpose in KINDS.items() if purpose in purposes]


def make(kind: str, name: str, folder: Path) -> Path:
    """Create or renew the certificate of a home or a work in `folder`, and the authority beside it if needed.

    Raise ValueError for an invalid kind or name, or if the folder has a certificate with another name.
    """
    if kind not in KINDS:
        raise ValueError(f"{kind!r} is neither home nor work")
    parse_name(name)
    if (folder / CERT).exists() and (owner := name_of(CertifiedKey.load(folder).certificate)) != name:
        other = f"name another folder for {name}: {own_command()} certs tunnel {kind} {name} FOLDER"
        raise ValueError(f"{folder} has the certificate of {owner}; {other}")
    root = folder.parent / AUTHORITY
    if not (root / KEY).exists():
        make_tunnel_authority().save(root)
    authority = CertifiedKey.load(root)
    make_leaf(kind, name, authority).save(folder)
    write_files({folder / CA: pem(authority.certificate)}, FILES)
    return folder


def describe(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `proxy-policies certs tunnel`."""
    what = "Make a certificate for home or work; made again under the same name it is renewed."
    set_help(parser, what, EXAMPLES, {0: "made", 1: "it could not be made; the last line says why"})
    parser.add_argument("kind", choices=KINDS, help="which end of the tunnel it is for")
    parser.add_argument("name", help="the identity: lower-case letters, digits and hyphens")
    parser.add_argument("target", nargs="?", type=Path, metavar="FOLDER", help="where to put it (default: certs/KIND)")


def run(folder: Path, given: argparse.Namespace) -> int:
    """Create a certificate, by default in a subfolder of `folder`; return the exit code."""
    made = make(given.kind, given.name, given.target or folder / given.kind)
    print(f"{given.kind} {given.name}: {made}")
    if given.kind == "work":
        print(f"Copy {made} to where work runs, as certs/work or where work_tls says, over a channel you trust:")
        print(f"{KEY} in it is work's identity.")
    return 0
