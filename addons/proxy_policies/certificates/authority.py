"""A certificate authority (CA) for a proxy, in the files that mitmproxy reads.

    mitmproxy-ca.pem        key and certificate: what mitmproxy signs with (secret)
    mitmproxy-ca.p12        the same, for programs that need PKCS #12 (secret)
    mitmproxy-ca-cert.pem   the certificate, which clients trust
    mitmproxy-ca-cert.cer   the same, with the extension that Android needs
    mitmproxy-ca-cert.p12   the same, in the format that Windows needs

Each authority has a unique name: browsers are confused by two with the same name and different keys, and it is found
by its name in a trust store.
"""

import os
import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from proxy_policies.certificates import name_constraints
from proxy_policies.certificates.own_folder import certs_command

KEY_FILE = "mitmproxy-ca.pem"
CERTIFICATE_FILE = "mitmproxy-ca-cert.pem"
SECRET_FILES = (KEY_FILE, "mitmproxy-ca.p12")
DH_FILE = "mitmproxy-dhparam.pem"  # written by mitmproxy
PUBLIC_FILES = (CERTIFICATE_FILE, "mitmproxy-ca-cert.cer", "mitmproxy-ca-cert.p12")

KEY_SIZE = 2048  # mitmproxy's: it signs every host's certificate, and serves with, this one key
ENCRYPTED = (b"BEGIN ENCRYPTED PRIVATE KEY", b"Proc-Type: 4,ENCRYPTED")  # PKCS #8 (RFC 7468, section 11), OpenSSL's
LIFETIME = timedelta(days=3650)  # mitmproxy's
RENEWAL_PERIOD = timedelta(days=30)  # before the end, as Let's Encrypt recommends
CLOCK_SKEW = timedelta(days=2)  # mitmproxy's: for clients whose clocks are slow

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
"""The kinds of keys that mitmproxy can sign with."""


@dataclass(frozen=True)
class Authority:
    """A key and its self-signed certificate."""

    key: Key
    certificate: x509.Certificate

    @property
    def name(self) -> str:
        """The common name."""
        return name_of(self.certificate)

    @property
    def permitted(self) -> list[str]:
        """The domains and networks it is limited to; empty if it is not limited."""
        return name_constraints.described(name_constraints.constraints_of(self.certificate))


def make_authority(name: str, now: datetime, permitted: Sequence[name_constraints.Permitted] = ()) -> Authority:
    """Return a new authority that can sign only servers' certificates (RFC 5280, section 4.2.1).

    With `permitted`, it can sign only for these domains with their subdomains, and for addresses in these networks.
    """
    key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_SIZE)
    subject = x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, name), x509.NameAttribute(NameOID.ORGANIZATION_NAME, "proxy-policies")]
    )
    builder = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(signing_only(), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if permitted:
        builder = builder.add_extension(name_constraints.only_for(permitted), critical=True)
    return Authority(key, builder.sign(key, hashes.SHA256()))


def signing_only() -> x509.KeyUsage:
    """Return the key usage of a CA: signing certificates and revocation lists, nothing else."""
    return x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )


def write_authority(folder: Path, authority: Authority) -> None:
    """Write the files, replacing existing ones; secret files are never readable by others."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    certificate = authority.certificate.public_bytes(serialization.Encoding.PEM)
    key = authority.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    contents = dict.fromkeys((CERTIFICATE_FILE, "mitmproxy-ca-cert.cer"), certificate) | {
        KEY_FILE: key + certificate,
        "mitmproxy-ca.p12": _pkcs12(authority.certificate, authority.key),
        "mitmproxy-ca-cert.p12": _pkcs12(authority.certificate, None),
    }
    write_files({folder / name: content for name, content in contents.items()})


def _pkcs12(certificate: x509.Certificate, key: Key | None) -> bytes:
    return pkcs12.serialize_key_and_certificates(
        b"proxy-policies", key, certificate, None, serialization.NoEncryption()
    )


def write_files(contents: Mapping[Path, bytes], secret: Collection[str] = SECRET_FILES) -> None:
    """Write all files under temporary names, then rename them; an interruption before that changes nothing.

    Only the owner can read those with secret names, whatever the umask. A symbolic link is replaced, not followed.
    """
    drafts = {path: path.with_name(f".{path.name}.{os.getpid()}") for path in contents}
    try:
        for path, content in contents.items():
            _write(drafts[path], content, 0o600 if path.name in secret else 0o644)
        for path, draft in drafts.items():
            draft.replace(path)
    finally:
        for draft in drafts.values():
            draft.unlink(missing_ok=True)


def _write(path: Path, content: bytes, mode: int) -> None:
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        os.fchmod(file.fileno(), mode)
        file.write(content)


def name_of(certificate: x509.Certificate) -> str:
    """Return the common name of a certificate's subject, or its whole name if it has none."""
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else certificate.subject.rfc4514_string()


def read_certificate(folder: Path) -> x509.Certificate:
    """Return the certificate; its key is not needed. Raise ValueError if it is missing or invalid."""
    name = CERTIFICATE_FILE if (folder / CERTIFICATE_FILE).exists() else KEY_FILE  # which also contains it
    content = _read(folder, name)
    try:
        return x509.load_pem_x509_certificate(content)
    except ValueError as error:
        raise ValueError(f"{folder / name} has no certificate: {_first_sentence(error)}") from None


def _read(folder: Path, name: str) -> bytes:
    try:
        return (folder / name).read_bytes()
    except OSError as error:
        why = f"{certs_command(folder)} make makes one" if isinstance(error, FileNotFoundError) else error.strerror
        raise ValueError(f"no certificate authority in {folder}: {why}") from None


def _first_sentence(error: Exception) -> str:
    """Return the text of cryptography's error without the URL of its FAQ."""
    return str(error).partition(". See ")[0]


def read_authority(folder: Path) -> Authority:
    """Return the authority that mitmproxy would sign with. Raise ValueError if it is missing or invalid."""
    content = _read(folder, KEY_FILE)
    try:
        key = serialization.load_pem_private_key(content, None)
        certificate = x509.load_pem_x509_certificate(content)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        line = f"{folder / KEY_FILE} is not a key with its certificate: {_first_sentence(error)}"
        raise ValueError(line) from None
    if not isinstance(key, Key):
        raise ValueError(f"{folder / KEY_FILE}: mitmproxy signs with an RSA or EC key only")
    return Authority(key, certificate)


def is_encrypted(key_file: Path) -> bool:
    """Return whether a key has a passphrase; False if it cannot be read."""
    try:
        content = key_file.read_bytes()
    except OSError:
        return False
    return any(mark in content for mark in ENCRYPTED)


def require_passphrase(key_file: Path, passphrase: str | None) -> None:
    """Raise ValueError if the passphrase does not decrypt the key, OSError if the key cannot be read."""
    if not is_encrypted(key_file):
        return
    try:
        serialization.load_pem_private_key(key_file.read_bytes(), passphrase.encode() if passphrase else None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        line = f"{key_file} has a passphrase, which --set cert_passphrase must give: {_first_sentence(error)}"
        raise ValueError(line) from None


def problems(folder: Path, authority: Authority, now: datetime) -> Iterator[tuple[str, str]]:
    """Return the problems of an authority and its files, each with advice."""
    certificate = authority.certificate
    another = f"{certs_command(folder)} make --force makes another, which every client must trust"
    if certificate.public_key() != authority.key.public_key():
        yield f"the key in {KEY_FILE} is not the certificate's", another
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if not begin <= now < end:
        yield f"valid from {begin:%Y-%m-%d} to {end:%Y-%m-%d} only", "set the clock" if now < begin else another
    for name in SECRET_FILES:
        path = folder / name
        if path.exists() and path.stat().st_mode & 0o077:
            yield f"{name} can be read by others", shlex.join(["chmod", "600", str(path)])
    if not _is_published(folder, certificate):
        yield f"{CERTIFICATE_FILE}, which clients trust, is not what {KEY_FILE} signs with", another


def _is_published(folder: Path, certificate: x509.Certificate) -> bool:
    """Return whether this certificate is in the file for clients."""
    try:
        return (folder / CERTIFICATE_FILE).exists() and read_certificate(folder) == certificate
    except ValueError:
        return False


def has_files(folder: Path) -> bool:
    """Return whether there are files of an authority, complete or not."""
    return any((folder / name).exists() for name in (*SECRET_FILES, *PUBLIC_FILES))


def remove_authority(folder: Path) -> None:
    """Delete the files, and temporary files of interrupted writes."""
    left = [path for name in (*SECRET_FILES, *PUBLIC_FILES) for path in folder.glob(f".{name}.*")]
    for path in (*left, *(folder / name for name in (*SECRET_FILES, *PUBLIC_FILES, DH_FILE))):
        path.unlink(missing_ok=True)
