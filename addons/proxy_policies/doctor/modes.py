"""Checks what each mode listens on, and that the server it names, as in `reverse:http://127.0.0.1:9000`, answers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

from proxy_policies.doctor import trial_run
from proxy_policies.doctor.finding import Finding, fail, ok
from proxy_policies.lazy_imports import lazy_imports
from proxy_policies.outbound import name_lookup, tcp_connect
from proxy_policies.reverse_tunnel.options import parse_internal

with lazy_imports():  # mitmproxy takes half a second
    from mitmproxy.proxy import mode_specs

REGULAR = "regular"
"""mitmproxy's default."""
TIMEOUT = 5.0  # seconds for the name and the connection


def look_at_modes(modes: Sequence[str], host: str, port: int | None, confdir: Path) -> Iterator[Finding]:
    """Check the ports and the servers of modes; an invalid mode is reported with the options.

    `host` and `port` are for modes that do not name theirs; without `port`, each mode has a default.
    """
    for spec in modes or [REGULAR]:
        try:
            mode = mode_specs.ProxyMode.parse(spec)
        except ValueError:
            continue
        is_tcp = mode.transport_protocol != "udp"
        own_port = mode.listen_port(port)
        if is_tcp and own_port is not None:
            yield from trial_run.look_at_port(mode.listen_host(host), own_port, confdir)
        address: tuple[str, int] | None = getattr(mode, "address", None)
        if address is not None and parse_internal(address[0]) is None:  # not a service of a work
            yield _look_at_server(spec, *address, is_tcp=is_tcp)


def _look_at_server(spec: str, host: str, port: int, *, is_tcp: bool) -> Finding:
    try:
        asyncio.run(_connect(host, port) if is_tcp else _look_up(host, port))
    except (OSError, UnicodeError) as error:
        why = tcp_connect.reason(error, TIMEOUT)
        return fail("upstream", f"{spec}: {host}:{port}: {why}", "start it, or name another after --mode")
    return ok("upstream", f"{spec} {'accepts connections' if is_tcp else 'resolves'}")


async def _connect(host: str, port: int) -> None:
    (await tcp_connect.connect(host, port, timeout=TIMEOUT)).close()


async def _look_up(host: str, port: int) -> None:
    await name_lookup.look_up(host, port, timeout=TIMEOUT)
