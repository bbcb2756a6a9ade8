"""Rejects CAs, client certificates and ciphers that mitmproxy cannot use: it would end, or fail at each connection."""

import os
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path

from mitmproxy import ctx
from OpenSSL import SSL

from proxy_policies.certificates import authority, folders
from proxy_policies.options.files import expand_home
from proxy_policies.settings import reject


class ConfdirCheck:
    """Checks the CA's files before mitmproxy reads them, at start and when their options change."""

    name = "confdir_check"

    def configure(self, updated: set[str]) -> None:
        """Reject a confdir without a CA if none can be created there, and a CA that cannot be read."""
        if not updated & {"confdir", "cert_passphrase"}:
            return
        confdir = expand_home(ctx.options.confdir)
        key = confdir / authority.KEY_FILE
        try:
            folders.require_confdir(confdir)
            if key.exists():
                authority.require_passphrase(key, ctx.options.cert_passphrase)
        except (OSError, ValueError) as error:
            reject(str(error))


FILE, FOLDER = "ssl_verify_upstream_trusted_ca", "ssl_verify_upstream_trusted_confdir"


class TlsOptionsCheck:
    """Checks the values that mitmproxy first uses for a connection, at start and when their options change."""

    name = "tls_options_check"

    def configure(self, updated: set[str]) -> None:
        """Reject a file or folder that cannot be read, or lacks what is needed, and a list without a cipher."""
        for option, error_of in ERRORS.items():
            value = getattr(ctx.options, option, None)
            if option in updated and value and (error := error_of(value)):
                reject(f"option {option}={value!r}: {error}")


def _error_of_file(path: str) -> str:
    """Return why OpenSSL cannot load trusted certificates from a file; "" if it can."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except ssl.SSLError:
        return "no certificates in PEM format"
    except OSError as error:
        return str(error.strerror)
    return ""


def _error_of_folder(path: str) -> str:
    try:
        with os.scandir(path):
            return ""
    except OSError as error:
        return str(error.strerror)


def _error_of_client_certs(text: str) -> str:
    """Return why a certificate cannot be shown to servers; a folder has one per server, read when needed."""
    path = expand_home(text)
    try:
        if not path.is_dir():
            _load_identity(path)
    except OSError as error:
        return str(error.strerror)
    except SSL.Error:
        return "no private key and certificate in PEM format"
    return ""


def _load_identity(path: Path) -> None:
    path.read_bytes()  # OpenSSL's error does not say what is wrong with the file
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.use_privatekey_file(str(path))
    context.use_certificate_chain_file(str(path))
    context.check_privatekey()


def _error_of_ciphers(text: str) -> str:
    try:
        SSL.Context(SSL.TLS_METHOD).set_cipher_list(text.encode())
    except SSL.Error:
        return "OpenSSL knows no such cipher; write a list as `openssl ciphers` prints it"
    return ""


ERRORS: Mapping[str, Callable[[str], str]] = {
    FILE: _error_of_file,
    FOLDER: _error_of_folder,
    "client_certs": _error_of_client_certs,
    "ciphers_client": _error_of_ciphers,
    "ciphers_server": _error_of_ciphers,
}
"""By option: a function that returns what is wrong with a value, "" if nothing."""
