"""Opens TCP connections to the proxy's origins, home's address and work's services. Does not import mitmproxy.

If an address is silent for a quarter of a second, the next is tried in parallel (RFC 8305).
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Iterator, Sequence
from typing import Any

from proxy_policies.addresses import is_address
from proxy_policies.byte_streams.socket_options import send_at_once
from proxy_policies.lazy_imports import lazy_imports
from proxy_policies.outbound.name_lookup import AddressInfo, look_up

with lazy_imports():
    import aiohappyeyeballs

NEXT_ADDRESS = 0.25
"""Seconds before the next of several addresses is tried in parallel (RFC 8305, section 5)."""


async def connect(
    host: str, port: int, *, timeout: float | None = None, local_addr: tuple[Any, ...] | None = None
) -> socket.socket:
    """Connect a bare, non-blocking socket that sends at once, from `local_addr` if given.

    `timeout` is in seconds, including name look-up. Raises OSError, including TimeoutError, or UnicodeError for an
    invalid name.
    """
    async with asyncio.timeout(timeout):
        sock = await _connect(host, port, timeout, local_addr)
    send_at_once(sock)
    return sock


async def _connect(host: str, port: int, timeout: float | None, local_addr: tuple[Any, ...] | None) -> socket.socket:
    if not host:  # getaddrinfo(3) takes it for this machine
        raise socket.gaierror(socket.EAI_NONAME, "no host")
    if local_addr is None and "%" not in host and is_address(host):
        return await _connect_to(socket.AF_INET6 if ":" in host else socket.AF_INET, (host, port))
    found = await look_up(host, port, timeout=timeout)
    ours = await look_up(*local_addr[:2]) if local_addr else None
    return await _race(found, ours)


async def _race(found: Sequence[AddressInfo], ours: Sequence[AddressInfo] | None) -> socket.socket:
    if ours is None and len(found) == 1:
        return await _connect_to(found[0][0], found[0][4])
    # asyncio's own happy_eyeballs_delay fails an assertion on Python 3.13.0 with mitmproxy's eager tasks
    return await aiohappyeyeballs.start_connection(found, local_addr_infos=ours, happy_eyeballs_delay=NEXT_ADDRESS)


async def _connect_to(family: int, address: Any) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, address)
    except BaseException:
        sock.close()
        raise
    return sock


_REASONS = {
    errno.ECONNREFUSED: "connection refused",
    errno.ETIMEDOUT: "no answer",
    errno.ENETUNREACH: "network unreachable",
    errno.EHOSTUNREACH: "host unreachable",
    errno.ECONNRESET: "connection reset",
    errno.EPIPE: "connection closed",
    errno.EMFILE: "too many open files",
    errno.ENFILE: "too many open files on this machine",
}


def reason(error: BaseException, timeout: float | None) -> str:
    """Return in plain words why a connection failed, never an empty text; `timeout` is the time limit in seconds."""
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(dict.fromkeys(reason(leaf, timeout) for leaf in _leaves(error)))
    if isinstance(error, socket.gaierror):
        is_later = error.errno == socket.EAI_AGAIN
        return "the name server does not answer" if is_later else "the name does not resolve"
    if isinstance(error, TimeoutError) and error.errno is None:
        return str(error) or f"no answer within {timeout or 0:g} s"
    if isinstance(error, ssl.SSLError):
        return _tls_reason(error)
    if isinstance(error, OSError):
        return _REASONS.get(error.errno or 0) or error.strerror or str(error) or type(error).__name__
    if isinstance(error, UnicodeError | OverflowError):
        return "not a valid name or port"
    return str(error) or type(error).__name__


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


_TLS_REASONS = {
    "TLSV1_ALERT_UNKNOWN_CA": "the other side does not know the authority of our certificate",
    "SSLV3_ALERT_BAD_CERTIFICATE": "the other side does not take our certificate; is the clock right at both ends?",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "our certificate is over, by the other side's clock",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "the other side does not take our certificate",
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": "our certificate is for another purpose",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "the other side asks for a certificate",
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "it shows no certificate",
    "WRONG_VERSION_NUMBER": "it does not speak TLS",
    "HTTP_REQUEST": "it speaks HTTP, not TLS",
    "UNSUPPORTED_PROTOCOL": "it speaks an old version of TLS only",
}
"""By OpenSSL's name of the error; alerts (RFC 8446, section 6.2) are sent by the other side."""


def _tls_reason(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        clock = "; is the clock right?" if "valid" in error.verify_message or "expired" in error.verify_message else ""
        return f"its certificate is invalid: {error.verify_message}{clock}"
    name: str = getattr(error, "reason", None) or ""
    return _TLS_REASONS.get(name) or f"TLS failed: {name.replace('_', ' ').lower() or type(error).__name__}"
