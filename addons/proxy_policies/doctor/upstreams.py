"""Checks that the servers named by modes, as in `--mode reverse:http://127.0.0.1:9000`, can be connected to."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

from proxy_policies.doctor.finding import Finding, fail, ok
from proxy_policies.lazy_imports import lazy_imports
from proxy_policies.outbound import name_lookup, tcp_connect
from proxy_policies.reverse_tunnel.options import parse_internal

with lazy_imports():  # mitmproxy takes half a second
    from mitmproxy.proxy import mode_specs

TIMEOUT = 5.0  # seconds for the name and the connection


def look_at_upstreams(modes: Sequence[str]) -> Iterator[Finding]:
    """Check the servers of modes. Services of works are left out; an invalid mode is reported with the options."""
    for spec in modes:
        try:
            mode = mode_specs.ProxyMode.parse(spec)
        except ValueError:
            continue
        address: tuple[str, int] | None = getattr(mode, "address", None)
        if address is not None and parse_internal(address[0]) is None:
            yield _look_at(spec, *address, is_tcp=mode.transport_protocol != "udp")


def _look_at(spec: str, host: str, port: int, *, is_tcp: bool) -> Finding:
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
