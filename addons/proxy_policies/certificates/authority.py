"""A certificate authority for one person's proxy, in the files that mitmproxy reads.

    mitmproxy-ca.pem        key and certificate: what mitmproxy signs with (secret)
    mitmproxy-ca.p12        the same, for programs that want PKCS #12 (secret)
    mitmproxy-ca-cert.pem   the certificate: what clients trust
    mitmproxy-ca-cert.cer   the same, as Android wants it called
    mitmproxy-ca-cert.p12   the same, as Windows wants it

Each authority has a name of its own: two of one name and different keys confuse browsers, and a name is how
it is found again in a trust store.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_network
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from proxy_policies.script_paths import own_command

KEY_FILE = "mitmproxy-ca.pem"
CERTIFICATE_FILE = "mitmproxy-ca-cert.pem"
SECRET_FILES = (KEY_FILE, "mitmproxy-ca.p12")
DH_FILE = "mitmproxy-dhparam.pem"  # mitmproxy writes it beside the others
PUBLIC_FILES = (CERTIFICATE_FILE, "mitmproxy-ca-cert.cer", "mitmproxy-ca-cert.p12")

KEY_SIZE = 2048  # mitmproxy's: it signs every host's certificate, and serves with, this one key
LIFETIME = timedelta(days=3650)  # mitmproxy's
SOON = timedelta(days=30)  # Let's Encrypt renews that long before the end
CLOCK_SKEW = timedelta(days=2)  # mitmproxy's: clients whose clock is late


@dataclass(frozen=True)
class Authority:
    """A key and the certificate it signed for itself."""

    key: rsa.RSAPrivateKey
    certificate: x509.Certificate

    @property
    def name(self) -> str:
        """The common name."""
        return str(self.certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)

    @property
    def permitted(self) -> list[str]:
        """The domains that it may sign for; none where it may for all."""
        try:
            constraints = self.certificate.extensions.get_extension_for_class(x509.NameConstraints).value
        except x509.ExtensionNotFound:
            return []
        return [str(name.value) for name in constraints.permitted_subtrees or () if isinstance(name, x509.DNSName)]

    def ends_soon(self, now: datetime) -> bool:
        """Return whether it is time to make another."""
        return self.certificate.not_valid_after_utc - now < SOON


def make_authority(name: str, now: datetime, permitted: Sequence[str] = ()) -> Authority:
    """Make an authority that may sign servers' certificates, and nothing else (RFC 5280 4.2.1).

    Where domains are permitted, it may for these and those below them alone, and for no IP address.
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
        builder = builder.add_extension(only_for(permitted), critical=True)
    return Authority(key, builder.sign(key, hashes.SHA256()))


def only_for(domains: Sequence[str]) -> x509.NameConstraints:
    """Return the constraint to some domains (RFC 5280 4.2.1.10); what is not of a kind named is not constrained."""
    every_address = [x509.IPAddress(ip_network(network)) for network in ("0.0.0.0/0", "::/0")]
    return x509.NameConstraints([x509.DNSName(domain) for domain in domains], every_address)


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
    """Write the files, replacing others; secrets are readable by their owner alone from the first byte."""
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
    for name, content in contents.items():
        write_file(folder / name, content, 0o600 if name in SECRET_FILES else 0o644)


def _pkcs12(certificate: x509.Certificate, key: rsa.RSAPrivateKey | None) -> bytes:
    return pkcs12.serialize_key_and_certificates(
        b"proxy-policies", key, certificate, None, serialization.NoEncryption()
    )


def write_file(path: Path, content: bytes, mode: int) -> None:
    """Replace a file whole: a link is replaced, not followed, and the mode is what it says, whatever the umask."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        os.fchmod(file.fileno(), mode)
        file.write(content)
    draft.replace(path)


def read_authority(folder: Path) -> Authority:
    """Read what mitmproxy would sign with; raises ValueError where that is missing or broken."""
    try:
        content = (folder / KEY_FILE).read_bytes()
    except OSError as error:
        why = f"{own_command()} certs make makes one" if isinstance(error, FileNotFoundError) else error.strerror
        raise ValueError(f"no certificate authority in {folder}: {why}") from None
    try:
        key = serialization.load_pem_private_key(content, None)
        certificate = x509.load_pem_x509_certificate(content)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{folder / KEY_FILE} is not a key with its certificate: {error}") from None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ValueError(f"{folder / KEY_FILE}: mitmproxy signs with an RSA key only")
    return Authority(key, certificate)


def problems(folder: Path, authority: Authority, now: datetime) -> Iterator[str]:
    """Return what is wrong with an authority and its files."""
    certificate = authority.certificate
    if certificate.public_key() != authority.key.public_key():
        yield f"the key in {KEY_FILE} is not the certificate's"
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if not begin <= now < end:
        yield f"valid from {begin:%Y-%m-%d} to {end:%Y-%m-%d} only"
    for name in SECRET_FILES:
        path = folder / name
        if path.exists() and path.stat().st_mode & 0o077:
            yield f"{name} can be read by others: chmod 600 it"
    shown = folder / CERTIFICATE_FILE
    if not shown.exists() or x509.load_pem_x509_certificate(shown.read_bytes()) != certificate:
        yield f"{CERTIFICATE_FILE}, which clients trust, is not what {KEY_FILE} signs with"


def remove_authority(folder: Path) -> None:
    """Delete the files."""
    for name in (*SECRET_FILES, *PUBLIC_FILES, DH_FILE):
        (folder / name).unlink(missing_ok=True)
