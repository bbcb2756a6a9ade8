"""Rejects values of mitmproxy's options that it accepts, and fails at when it first uses them."""

from __future__ import annotations

import errno
import functools
import ipaddress
import os
import ssl
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mitmproxy import ctx
from mitmproxy.utils import human
from OpenSSL import SSL

from proxy_policies.options.files import error_of_input, expand_home, parse_path_to_write
from proxy_policies.settings import reject
from proxy_policies.start_up.option_errors import wrong_choices

KEY_SIZES = range(1024, 16385)
"""Bits of an RSA key: the least that cryptography makes, and the most that OpenSSL can use."""


class OptionChecks:
    """Checks changed values, at start and later."""

    name = "option_checks"

    def configure(self, updated: set[str]) -> None:
        """Reject a value that is not among an option's choices, or cannot be used."""
        for line in wrong_choices(updated):
            reject(line)
        for option in updated.intersection(ERRORS, ctx.options.keys()):
            value = getattr(ctx.options, option)
            if value not in (None, "", ()) and (error := ERRORS[option](value)):
                reject(f"option {option}={value!r}: {error}")


def _error_of_key_size(bits: int) -> str:
    return "" if bits in KEY_SIZES else f"write a number of bits from {KEY_SIZES[0]} to {KEY_SIZES[-1]}"


def _error_of_seconds(seconds: int) -> str:
    return "" if seconds > 0 else "write a number of seconds above 0"


def _error_of_size(text: str) -> str:
    return "write a size such as 512k or 10m" if (human.parse_size(text) or 0) < 0 else ""


def _error_of_name_servers(addresses: Sequence[str]) -> str:
    try:
        for address in addresses:
            ipaddress.ip_address(address)
    except ValueError:
        return f"{address!r} is not an IP address"
    return ""


def _error_of_versions(end: str, _: str) -> str:
    """Return what is wrong with the versions of TLS for clients, or for servers: none may be left."""
    lowest, highest = f"tls_version_{end}_min", f"tls_version_{end}_max"
    unbounded, *versions = ctx.options._options[lowest].choices
    low, high = getattr(ctx.options, lowest), getattr(ctx.options, highest)
    if unbounded in (low, high) or not {low, high} <= set(versions) or versions.index(low) <= versions.index(high):
        return ""
    return f"with {lowest}={low} and {highest}={high}, no version is left"


def _error_of_output(path: str) -> str:
    """Return why a file cannot be written when mitmproxy ends; `-` is standard output."""
    if path == "-":
        return ""
    try:
        parse_path_to_write(path)
    except ValueError as error:
        return str(error)
    return os.strerror(errno.EISDIR) if expand_home(path).is_dir() else ""


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


ERRORS: Mapping[str, Callable[[Any], str]] = {
    "body_size_limit": _error_of_size,
    "ciphers_client": _error_of_ciphers,
    "ciphers_server": _error_of_ciphers,
    "client_certs": _error_of_client_certs,
    "dns_name_servers": _error_of_name_servers,
    "hardump": _error_of_output,
    "key_size": _error_of_key_size,
    "protobuf_definitions": error_of_input,
    "rfile": error_of_input,
    "ssl_verify_upstream_trusted_ca": _error_of_file,
    "ssl_verify_upstream_trusted_confdir": _error_of_folder,
    "stream_large_bodies": _error_of_size,
    "tcp_timeout": _error_of_seconds,
    "tls_version_client_max": functools.partial(_error_of_versions, "client"),
    "tls_version_client_min": functools.partial(_error_of_versions, "client"),
    "tls_version_server_max": functools.partial(_error_of_versions, "server"),
    "tls_version_server_min": functools.partial(_error_of_versions, "server"),
}
"""By option: a function that returns what is wrong with a value, "" if nothing."""
