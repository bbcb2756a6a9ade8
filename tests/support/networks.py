"""A network namespace in which one user's connections are redirected to a proxy (Linux, root)."""

import ctypes
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.mitmdump import Mitmdump
from tests.support.programs import need

USER = "nobody"
"""The user whose connections are redirected; those of the proxy, which is root's, are not."""
UID = 65534


@contextmanager
def own_network() -> Iterator[None]:
    """Enter a network namespace that has only a loopback device; sockets and children created here stay in it."""
    need("ip")
    if os.geteuid() != 0:
        pytest.skip("needs root, to make a network namespace")
    outside = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        os.unshare(os.CLONE_NEWNET)
    except OSError as error:
        os.close(outside)
        pytest.skip(f"needs a network namespace: {error}")
    try:
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Mitmdump, "is_forked", False)  # the fork server is outside
            yield
    finally:
        os.setns(outside, os.CLONE_NEWNET)
        os.close(outside)


def redirect(port: int, to: int) -> None:
    """Send the user's connections to a port of any address to the proxy at another."""
    owner = ["-m", "owner", "--uid-owner", USER]
    rule = ["-p", "tcp", "--dport", str(port), *owner, "-j", "REDIRECT", "--to-ports", str(to)]
    subprocess.run([need("iptables"), "-w", "-t", "nat", "-A", "OUTPUT", *rule], check=True)


def dial(port: int) -> socket.socket:
    """Connect to a port of 127.0.0.1 as the user whose connections are redirected: a socket belongs to its creator.

    Only this thread changes its user meanwhile: `os.seteuid` would interrupt all others.
    """
    libc = ctypes.CDLL(None)
    before = libc.setfsuid(UID)
    try:
        sock = socket.socket()
    finally:
        libc.setfsuid(before)
    sock.settimeout(100)
    sock.connect(("127.0.0.1", port))
    return sock


def drop(address: str, port: int) -> None:
    """Drop what is sent to an IPv6 address, as happens where IPv6 is broken."""
    rule = ["-p", "tcp", "-d", address, "--dport", str(port), "-j", "DROP"]
    subprocess.run([need("ip6tables"), "-w", "-A", "OUTPUT", *rule], check=True)


def cut_off(port: int) -> None:
    """Drop what is sent to and from a port, as a firewall does that has forgotten its connections."""
    for side in ("--dport", "--sport"):
        rule = ["-p", "tcp", side, str(port), "-j", "DROP"]
        subprocess.run([need("iptables"), "-w", "-A", "OUTPUT", *rule], check=True)


def knowing(hosts: Path) -> tuple[str, ...]:
    """Return the beginning of a command line that runs a command with another /etc/hosts."""
    return (need("unshare"), "-m", "sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"', str(hosts))
