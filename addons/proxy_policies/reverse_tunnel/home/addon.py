"""The tunnel's end for clients, as an addon."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from mitmproxy import ctx, http
from mitmproxy.addonmanager import Loader
from mitmproxy.connection import Server
from mitmproxy.proxy import mode_specs
from mitmproxy.proxy.server_hooks import ServerConnectionHookData

from proxy_policies.addresses import Address, Network, format_target, is_loopback
from proxy_policies.background.tasks import in_background
from proxy_policies.control.command_results import LineResult
from proxy_policies.fast_paths import NO_OBJECTION
from proxy_policies.hook_conditions import only_if
from proxy_policies.lazy_imports import lazy_imports
from proxy_policies.outbound import dial
from proxy_policies.reverse_tunnel import options
from proxy_policies.reverse_tunnel.tunnel_end import ONE_END, TunnelEnd
from proxy_policies.settings import Setting, as_text, parse_size

with lazy_imports():
    from proxy_policies.reverse_tunnel import identity
    from proxy_policies.reverse_tunnel.home import server, session_flows, status
    from proxy_policies.reverse_tunnel.protocol import messages


def _open_proxies() -> str:
    """Return the addresses, other than loopback, on which this proxy accepts requests without credentials."""
    options = ctx.options
    if not options.server or options.proxyauth or (options.block_private and options.block_global):
        return ""
    modes = [mode_specs.ProxyMode.parse(mode) for mode in options.mode]
    addresses = [
        (mode.listen_host(options.listen_host), mode.listen_port(options.listen_port) or 0)
        for mode in modes
        if isinstance(mode, mode_specs.RegularMode | mode_specs.UpstreamMode | mode_specs.Socks5Mode)
    ]
    return ", ".join(format_target(host or "*", port) for host, port in addresses if not is_loopback(host))


def _balancers() -> Sequence[Network]:
    """Return the networks of load balancers that send PROXY headers."""
    protocol = ctx.master.addons.get("proxy-protocol")
    networks: Sequence[Network] = protocol.proxy_protocol if protocol else ()
    return networks


class Home(TunnelEnd):
    """Accepts works and clients, and handles requests for `SERVICE.WORK.internal`."""

    name = kind = "home"
    fast_paths = NO_OBJECTION
    home_listen = Setting(
        "",
        options.parse_listen,
        "Reverse tunnel: listen for works on PORT (of 127.0.0.1), HOST:PORT or *:PORT; ,proxy behind a balancer.",
        single_process=ONE_END,
    )
    home_clients = Setting(
        (),
        options.parse_clients,
        "Reverse tunnel: address for clients of a service, [HOST:]PORT=SERVICE[@WORK][,proxy]; may be repeated.",
    )
    home_tls = Setting(
        "certs/home",
        as_text,
        "Reverse tunnel: home's certificate folder, or secret (needs home_secret), or none (plaintext).",
    )
    home_secret = Setting("", as_text, "Reverse tunnel: secret shared with works, or @FILE to read it from.")
    home_allow = Setting(
        (),
        options.parse_allow,
        "Reverse tunnel: services a work may offer, WORK=SERVICE,SERVICE as globs; unset: all.",
    )
    home_limits = Setting(
        "", options.parse_limits, "Reverse tunnel: service=SESSIONS,client=SESSIONS,rate=BYTES a second per session."
    )
    home_keep = Setting("0", parse_size, "Reverse tunnel: how much of a session's data to keep in its flow.")

    @cached_property
    def _home(self) -> server.HomeServer:
        """The home without mitmproxy, created when first used."""
        return server.HomeServer(session_flows.SessionFlows(lambda: ctx.master.addons.get(self.kind).home_keep))

    @property
    def is_on(self) -> bool:
        """Return whether home_listen is set."""
        return self.home_listen is not None

    def credentials_options(self) -> tuple[str, str]:
        """Return home_tls and home_secret."""
        return self.home_tls, self.home_secret

    def plaintext_address(self) -> Address | None:
        """Return the address on which home listens for works."""
        return self.home_listen.address if self.home_listen else None

    async def apply(self) -> None:
        """Apply the options."""
        config = server.HomeConfig(
            self.home_listen,
            self.credentials,
            self.tunnel_heartbeat,
            self.home_clients,
            self.home_allow,
            self.home_limits,
            _balancers(),
        )
        await self._home.apply(config)

    @in_background
    async def running(self) -> None:
        """Start, and route internal names."""
        await super().running()
        dial.add_route(self._route)

    @in_background
    async def done(self) -> None:
        """End, and route internal names no more."""
        dial.remove_route(self._route)
        await super().done()

    def go_on(self, former: Home) -> None:
        """Use the works and sessions of an addon that ends now."""
        self._home = former._home

    def renew(self, credentials: identity.Credentials) -> None:
        """Use a renewed certificate of the same name."""
        self._home.renew(credentials)

    def warnings(self) -> Iterator[str]:
        """Return warnings that no works or clients can connect, or that too many can."""
        if self.home_clients and not self.is_on:
            yield "home_clients is set but home_listen is not: home does not listen"
        if self._is_behind_balancer and not _balancers():
            yield "home listens behind a balancer (,proxy), but proxy_protocol names none: it accepts no PROXY header"
        if not self.is_on and not self.home_clients and "work_home" not in ctx.options:  # home's script alone
            yield "home_listen is not set: no work can dial in; home --listen '*:PORT' --client PORT=SERVICE"
        if self.is_on and self.home_allow.rules and self.home_tls in identity.UNCERTIFIED:
            yield (
                f"with home_tls={self.home_tls}, home_allow relies on names that works choose themselves: any work can "
                "use any name; certificates prove a work's name: proxy-policies certs tunnel work NAME"
            )
        if self.is_on and (listening := _open_proxies()):
            yield (
                f"the proxy also listens on {listening} without proxyauth: everyone who can reach it can reach every "
                "service of every work; --listen-host 127.0.0.1 limits it to this machine, -n starts no proxy"
            )

    @property
    def _is_behind_balancer(self) -> bool:
        return any(listener.proxy for listener in (self.home_listen, *self.home_clients.values()) if listener)

    async def stop_accepting(self) -> None:
        """Close the listeners for clients. Works stay connected, for requests of this proxy in progress."""
        await self._home.close_client_listeners()

    def is_serving(self) -> bool:
        """Return whether a client's session is open; those of this proxy are counted with its own clients."""
        return any(session.client for session in self._home.sessions)

    async def end(self) -> None:
        """End everything."""
        await self._home.close()

    # SERVICE.WORK.internal

    def _route(self, host: str, port: int) -> Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]] | None:
        names = options.parse_internal(host) if self.is_on else None
        return self._connect(*names) if names else None

    async def _connect(self, service: str, work: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        try:
            return await self._home.connect(service, work)
        except messages.Refusal as refusal:
            raise ConnectionRefusedError(str(refusal)) from None

    @only_if("home_listen")
    def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Send no request for an internal name to an upstream proxy."""
        if flow.server_conn.via is None:
            return
        address = flow.request.host, flow.request.port
        if self.is_on and options.parse_internal(address[0]):
            flow.server_conn = Server(address=address)  # a new one, as this client's other requests use the old one
            flow.request.authority = ""  # origin-form, RFC 9112 section 3.2.1
            flow.request.headers.pop("Proxy-Authorization", None)

    http_connect = requestheaders

    @only_if("home_listen")
    def server_connect(self, data: ServerConnectionHookData) -> None:
        """Refuse UDP: the tunnel does not support it, and the name must not be sent to a DNS server."""
        if self._is_internal(data.server) and data.server.transport_protocol == "udp":
            data.server.error = "the reverse tunnel carries TCP only"

    @only_if("home_listen")
    def error(self, flow: http.HTTPFlow) -> None:
        """Let the next request on this connection connect again: mitmproxy would repeat the error without trying."""
        if self._is_internal(flow.server_conn):
            flow.server_conn.error = None

    def _is_internal(self, server: Server) -> bool:
        address = server.address
        return self.is_on and address is not None and options.parse_internal(address[0]) is not None

    # Commands

    def load(self, loader: Loader) -> None:
        """Declare the commands."""
        super().load(loader)
        loader.add_command("tunnel.close", self.close)

    def status(self) -> tuple[list[str], dict[str, Any]]:
        """Return lines on the connected works, their services, and the open sessions."""
        return status.status(self._home)

    async def statistics(self) -> Mapping[str, int]:
        """Return the numbers of connected works and open sessions; empty if home is not enabled."""
        return {"works": len(list(self._home.works)), "sessions": len(list(self._home.sessions))} if self.is_on else {}

    def close(self, which: str) -> str:
        """End sessions: a number of tunnel.status, a service, service@work, a work, or all."""
        closed = self._home.sessions.close(which)
        error = "" if closed or which == "all" else f"no open session matches {which!r}; tunnel status lists them"
        return LineResult(f"closed {closed}", {"closed": closed}, error)
