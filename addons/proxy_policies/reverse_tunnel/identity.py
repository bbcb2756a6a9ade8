"""How home and work authenticate each other: with certificates, a secret, or not at all.

FOLDER   TLS 1.3, both sides present a certificate of the tunnel's own authority; its name is the identity
secret   TLS 1.3 with a temporary certificate; both sides prove that they know the secret, bound to that certificate
none     plain text without authentication: for loopback, and networks that are already secure
"""

from __future__ import annotations

import datetime
import enum
import hashlib
import math
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path
from string import ascii_lowercase, ascii_uppercase, digits, punctuation, whitespace
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from proxy_policies.certificates import own_folder
from proxy_policies.certificates.authority import RENEWAL_PERIOD
from proxy_policies.options.files import parse_path, read_text
from proxy_policies.outbound import tcp_connect
from proxy_policies.reverse_tunnel import certificates
from proxy_policies.reverse_tunnel.protocol.messages import PROTOCOL
from proxy_policies.reverse_tunnel.protocol.services import NAME
from proxy_policies.script_paths import own_command

SCRYPT = {"n": 1 << 14, "r": 8, "p": 1}  # RFC 7914's interactive parameters: 50 ms and 16 MiB a guess
HINTS = {
    "home": "make one with: {command} certs tunnel home {name}",
    "work": "make one at home with: proxy-policies certs tunnel work {name}, and copy its folder here",
}
"""How to create a certificate: where the authority's key is."""
UNKNOWN_AUTHORITY_ERRORS = (18, 19, 20, 21)  # OpenSSL's X509_V_ERR_… for a chain that ends in an unknown authority
MIN_SECRET = 12  # characters; key stretching is not enough for a shorter one
MIN_BITS = 64.0
"""A secret with less entropy can be guessed offline by a false home, which receives a proof: 50 ms a guess and core."""
UNICODE = 1000
"""The assumed number of characters in a script other than ASCII."""
_ALPHABETS = (ascii_lowercase, ascii_uppercase, digits, punctuation + whitespace)


class Mode(enum.Enum):
    """How home and work authenticate each other."""

    CERTIFICATES = "certificates"
    SECRET = "secret"  # noqa: S105
    NONE = "none"


UNCERTIFIED = (Mode.SECRET.value, Mode.NONE.value)
"""The option values with which names are not certified."""


@dataclass(frozen=True)
class Credentials:
    """What one side presents and requires; `ends` is the end of its certificate.

    `digest` is that of home's own certificate, if a secret is bound to it.
    """

    mode: Mode
    context: ssl.SSLContext | None = None
    name: str | None = None
    key: bytes = b""
    digest: bytes = b""
    ends: datetime.datetime | None = None
    is_guessable: bool = False
    """True if the secret is weak."""


NO_CREDENTIALS = Credentials(Mode.NONE)


def load(kind: str, tls: str, secret: str) -> Credentials:
    """Return the credentials of a home or a work, from its options. Raise ValueError that says what is missing."""
    match tls:
        case Mode.NONE.value:
            return NO_CREDENTIALS
        case Mode.SECRET.value:
            return _with_secret(kind, read_secret(kind, secret))
    return _with_certificates(kind, find_folder(tls))


def file_states(tls: str) -> tuple[tuple[int, int, int], ...]:
    """Return a value that changes whenever a certificate's files do; empty if there are none."""
    if tls in UNCERTIFIED:
        return ()
    files = (find_folder(tls) / name for name in (certificates.CA, certificates.CERT, certificates.KEY))
    seen = [file.stat() for file in files if file.exists()]
    return tuple((stat.st_ino, stat.st_mtime_ns, stat.st_size) for stat in seen)


def expiry_warning(kind: str, credentials: Credentials, now: datetime.datetime) -> str:
    """Return the warning that a certificate expires soon, and how to renew it; "" if it does not."""
    if credentials.ends is None or credentials.ends - now > RENEWAL_PERIOD:
        return ""
    hint = HINTS[kind].format(name=credentials.name, command=own_command())
    return f"{kind}: the certificate of {credentials.name} ends on {credentials.ends:%Y-%m-%d}; {hint}"


def describe_failure(error: Exception, within: float) -> str:
    """Return why the two sides could not connect within so many seconds, with advice."""
    said = tcp_connect.reason(error, within)
    is_foreign = isinstance(error, ssl.SSLCertVerificationError) and error.verify_code in UNKNOWN_AUTHORITY_ERRORS
    return f"{said}; home's proxy-policies certs tunnel has to make both, home's and work's" if is_foreign else said


def find_folder(text: str) -> Path:
    """Return the path of a folder of certificates; a relative one is also looked for in the project."""
    folder = parse_path(text) or Path()
    return folder if folder.exists() else own_folder.certificates_folder().parent / folder


def read_secret(kind: str, text: str) -> str:
    """Return a secret, given itself or as `@FILE`. Raise ValueError, which never quotes it."""
    secret = _read_file(text[1:]) if text.startswith("@") else text.strip()
    if len(secret) < MIN_SECRET:
        raise ValueError(f"{kind}_tls=secret needs {kind}_secret, {MIN_SECRET} characters or more, or @FILE")
    return secret


def entropy_bits(secret: str) -> float:
    """Return an upper bound of a secret's entropy in bits; a repeated character counts half, words are not detected."""
    pool = sum(len(kind) for kind in _ALPHABETS if set(kind) & set(secret)) or UNICODE
    different = len(set(secret))
    return (different + (len(secret) - different) / 2) * math.log2(pool)


def _read_file(text: str) -> str:
    try:
        path = parse_path(text)
        return read_text(path, allow_pipe=True).strip() if path else ""
    except ValueError as error:
        raise ValueError(f"cannot read the secret: {error}") from None


def _context(kind: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if kind == "home" else ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False  # home's name is its identity, not its host name
    if kind == "home":
        context.num_tickets = 0  # no resumption: each connection is authorised
    return context


def _with_secret(kind: str, secret: str) -> Credentials:
    key = hashlib.scrypt(secret.encode(), salt=PROTOCOL.encode(), dklen=32, **SCRYPT)
    context = _context(kind)
    context.verify_mode = ssl.CERT_NONE  # the proofs cover the certificate
    is_guessable = entropy_bits(secret) < MIN_BITS
    if kind == "work":
        return Credentials(Mode.SECRET, context, key=key, is_guessable=is_guessable)
    pair = certificates.make_leaf("home", "home")
    with tempfile.TemporaryDirectory() as folder:
        pair.save(Path(folder))
        context.load_cert_chain(Path(folder, certificates.CERT), Path(folder, certificates.KEY))
    digest = digest_of(pair.certificate)
    return Credentials(Mode.SECRET, context, key=key, digest=digest, is_guessable=is_guessable)


def _with_certificates(kind: str, folder: Path) -> Credentials:
    files = [folder / name for name in (certificates.CA, certificates.CERT, certificates.KEY)]
    hint = HINTS[kind].format(name="NAME", command=own_command())
    if not all(file.exists() for file in files):
        raise ValueError(f"no certificate in {folder}; {hint}")
    context = _context(kind)
    context.verify_mode = ssl.CERT_REQUIRED
    try:
        certificate = x509.load_pem_x509_certificate(files[1].read_bytes())
        context.load_verify_locations(files[0])
        context.load_cert_chain(files[1], files[2])
    except (OSError, ValueError) as error:
        raise ValueError(f"cannot use the certificate in {folder}: {error}; {hint}") from None
    name = certificates.name_of(certificate)
    if not NAME.fullmatch(name) or certificate.not_valid_after_utc < datetime.datetime.now(datetime.UTC):
        raise ValueError(f"the certificate of {name} in {folder} is invalid or expired; {hint}")
    if kind not in certificates.kinds_of(certificate):
        raise ValueError(f"the certificate of {name} in {folder} is not for a {kind}; {hint}")
    return Credentials(Mode.CERTIFICATES, context, name, ends=certificate.not_valid_after_utc)


def digest_of(certificate: x509.Certificate) -> bytes:
    """Return the SHA-256 digest of a certificate."""
    return hashlib.sha256(certificate.public_bytes(serialization.Encoding.DER)).digest()


def peer_digest(transport: Any) -> bytes:
    """Return the digest of the peer's certificate; empty without TLS."""
    tls = transport.get_extra_info("ssl_object")
    shown = tls.getpeercert(binary_form=True) if tls is not None else None
    return hashlib.sha256(shown).digest() if shown else b""


def peer_name(transport: Any) -> str | None:
    """Return the name in the peer's certificate; None if none was required."""
    tls = transport.get_extra_info("ssl_object")
    shown = tls.getpeercert() if tls is not None else None
    names = [value for part in (shown or {}).get("subject", ()) for key, value in part if key == "commonName"]
    return names[0] if names else None
