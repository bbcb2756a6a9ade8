"""The two ends of the tunnel as addons: `Home` where the clients are, `Work` behind the firewall."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from functools import cached_property

from mitmproxy import ctx, http
from mitmproxy.addonmanager import Loader
from mitmproxy.connection import Server
from mitmproxy.proxy import mode_specs
from mitmproxy.proxy.server_hooks import ServerConnectionHookData

from proxy_policies.addresses import Address, Network, format_target, is_loopback
from proxy_policies.background import Tasks, in_background
from proxy_policies.fast_paths import NO_OBJECTION
from proxy_policies.hook_conditions import only_if
from proxy_policies.lazy_imports import lazy_imports
from proxy_policies.outbound import dial
from proxy_policies.reverse_tunnel import options
from proxy_policies.reverse_tunnel.open_files import raise_open_file_limit
from proxy_policies.reverse_tunnel.reloaded_credentials import FollowedCredentials
from proxy_policies.settings import Setting, as_text, parse_size, reject

with lazy_imports():
    from proxy_policies.reverse_tunnel import home, identity, session_flows, status, work
    from proxy_policies.reverse_tunnel.protocol import messages

logger = logging.getLogger(__name__)

LOOK_EVERY = 5.0  # seconds between looks at the certificate's files
END_WITHIN = 2.0  # seconds that mitmproxy waits for us when it ends
ONE_END = "a tunnel ends in one process; run a proxy of its own for it"
HEARTBEAT = "Reverse tunnel: heartbeat; a peer that is silent for three of them (home's or work's, the longer) is gone."


class _TunnelAddon(ABC):
    """What both ends share: options become a config, which is applied in the loop, one after the other."""

    tunnel_heartbeat = Setting("4s", options.parse_heartbeat, HEARTBEAT)
    kind = ""

    def __init__(self) -> None:
        self._credentials = FollowedCredentials(self.kind, self.renew)
        self._tasks = Tasks(self.kind)
        self._lock = asyncio.Lock()
        self._is_running = False
        self._has_begun = False
        self._doubts: set[str] = set()
        """Those that were said, and hold."""

    def configure(self, updated: set[str]) -> None:
        """Take changed options up; what is wrong with certificates or secrets is said at once."""
        if updated & {f"{self.kind}_{name}" for name in ("tls", "secret", "home", "listen")} and self.is_on:
            try:
                self._credentials.load(*self.credentials_options())
            except ValueError as error:
                reject(str(error))
                return
            self.warn_if_plaintext()
            if self.credentials.is_guessable:
                logger.warning(f"{self.kind}_secret can be guessed; a random one: openssl rand -hex 16")
        if self._is_running:
            self._tasks.spawn(self._take_up(updated))

    async def _take_up(self, updated: set[str]) -> None:
        """Do what changed options say, once every policy knows them."""
        self._say_doubts()
        if any(name.startswith((f"{self.kind}_", "tunnel_", "proxy_protocol")) for name in updated):
            await self._apply_if_wanted()

    async def _follow_certificate(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY)
            if self.is_on and self._credentials.look_again(*self.credentials_options()):
                self._tasks.spawn(self._apply())

    def _say_doubts(self) -> None:
        """Warn of what is doubtful by now, and was not yet."""
        doubts = list(self.doubts())
        for line in doubts:
            if line not in self._doubts:
                logger.warning(f"{self.kind}: {line}")
        self._doubts = set(doubts)

    @property
    def credentials(self) -> identity.Credentials:
        """Who we are, once this end has been on."""
        return self._credentials.current

    @in_background
    async def running(self) -> None:
        """Start."""
        self._is_running = True
        self._tasks.spawn(self._follow_certificate())
        self._say_doubts()
        if self.is_on:
            raise_open_file_limit()
        await self._apply_if_wanted()

    @in_background
    async def done(self) -> None:
        """End."""
        self._is_running = False
        await self._tasks.cancel()
        if self._has_begun:
            async with asyncio.timeout(END_WITHIN):
                await self.end()

    async def drain(self) -> None:
        """Begin no session any more; those that live go on."""
        async with self._lock:
            await self.stop_beginning()

    async def _apply_if_wanted(self) -> None:
        if self._is_running and (self._has_begun or self.is_on):
            await self._apply()

    async def _apply(self) -> None:
        if self.is_on and not self._credentials.is_known:
            return  # nobody could tell who we are, nor we who asks; why is said where they were to be loaded
        self._has_begun = True
        async with self._lock:
            await self.apply()

    @property
    @abstractmethod
    def is_on(self) -> bool:
        """Return whether this end is wanted."""

    @abstractmethod
    def credentials_options(self) -> tuple[str, str]:
        """Return the options that say who we are."""

    @abstractmethod
    def plaintext_address(self) -> Address | None:
        """Return the address that plain bytes would go over."""

    def warn_if_plaintext(self) -> None:
        """Warn where the connection is neither encrypted nor authenticated."""
        address = self.plaintext_address()
        if self.credentials.mode is identity.Mode.NONE and address and not is_loopback(address[0]):
            shown = format_target(*address)
            logger.warning(f"{self.kind}_tls=none: the tunnel over {shown} is neither encrypted nor authenticated")

    @abstractmethod
    def doubts(self) -> Iterator[str]:
        """Return what to warn of: options that were hardly meant."""

    @abstractmethod
    async def apply(self) -> None:
        """Do what the options say."""

    @abstractmethod
    def renew(self, credentials: identity.Credentials) -> None:
        """Show another certificate of the same name."""

    @abstractmethod
    async def stop_beginning(self) -> None:
        """Let no client in any more."""

    @abstractmethod
    def is_serving(self) -> bool:
        """Return whether a session lives."""

    @abstractmethod
    async def end(self) -> None:
        """End everything."""


def _open_proxies() -> str:
    """Return where anybody may ask this proxy for any name: addresses beyond loopback, without credentials."""
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
    """Return the networks of load balancers that say by PROXY protocol whom a connection is from."""
    protocol = ctx.master.addons.get("proxy-protocol")
    networks: Sequence[Network] = protocol.proxy_protocol if protocol else ()
    return networks


class Home(_TunnelAddon):
    """Where works dial in, clients come, and `SERVICE.WORK.internal` leads."""

    name = kind = "home"
    fast_paths = NO_OBJECTION
    home_listen = Setting(
        "",
        options.parse_listen,
        "Reverse tunnel: where works dial in, PORT of 127.0.0.1, HOST:PORT or *:PORT; ,proxy behind a balancer.",
        single_process=ONE_END,
    )
    home_clients = Setting(
        (), options.parse_clients, "Reverse tunnel: where clients come, [HOST:]PORT=SERVICE[@WORK][,proxy]; repeat it."
    )
    home_tls = Setting(
        "certs/home", as_text, "Reverse tunnel: home's certificate folder, secret (needs home_secret), or none (plain)."
    )
    home_secret = Setting("", as_text, "Reverse tunnel: the secret shared with works, or @FILE that holds it.")
    home_allow = Setting(
        (),
        options.parse_allow,
        "Reverse tunnel: what a work may offer, WORK=SERVICE,SERVICE, both globs; unset: all.",
    )
    home_limits = Setting(
        "", options.parse_limits, "Reverse tunnel: service=SESSIONS,client=SESSIONS,rate=BYTES a second per session."
    )
    home_keep = Setting("0", parse_size, "Reverse tunnel: how much of a session's content its flow keeps.")

    @cached_property
    def _home(self) -> home.Home:
        """The end itself."""
        return home.Home(session_flows.Flows(lambda: self.home_keep))

    @property
    def is_on(self) -> bool:
        """Return whether works may dial in."""
        return self.home_listen is not None

    def credentials_options(self) -> tuple[str, str]:
        """Return how works make sure of us."""
        return self.home_tls, self.home_secret

    def plaintext_address(self) -> Address | None:
        """Return where works dial in."""
        return self.home_listen.address if self.home_listen else None

    async def apply(self) -> None:
        """Do what the options say."""
        config = home.HomeConfig(
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
        """Start, and show the way to internal names."""
        await super().running()
        dial.add_route(self._route)

    @in_background
    async def done(self) -> None:
        """End, and the way with it."""
        dial.remove_route(self._route)
        await super().done()

    def renew(self, credentials: identity.Credentials) -> None:
        """Show works another certificate of the same name."""
        self._home.renew(credentials)

    def doubts(self) -> Iterator[str]:
        """Warn that no clients can connect, or that too many can."""
        if self.home_clients and not self.is_on:
            yield "home_clients is set and home_listen is not: nothing listens"
        if self._is_behind_balancer and not _balancers():
            yield "home listens for load balancers (proxy), and proxy_protocol names none: nobody is taken for one"
        if not self.is_on and not self.home_clients and "work_home" not in ctx.options:  # home's script alone
            yield "home_listen is not set: no work can dial in; home --listen '*:PORT' --client PORT=SERVICE"
        if self.is_on and (listening := _open_proxies()):
            yield (
                f"the proxy listens on {listening} too, without proxyauth: whoever reaches it reaches every service of "
                "every work; --listen-host 127.0.0.1 keeps it to this machine, -n starts none"
            )

    @property
    def _is_behind_balancer(self) -> bool:
        return any(listener.proxy for listener in (self.home_listen, *self.home_clients.values()) if listener)

    async def stop_beginning(self) -> None:
        """Close the clients' ports. Works stay: what the proxy has begun may want a service yet."""
        await self._home.close_client_listeners()

    def is_serving(self) -> bool:
        """Return whether a client's session lives; the proxy's own are seen by their clients."""
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

    @only_if("is_on")
    def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Ask no upstream proxy for an internal name."""
        if flow.server_conn.via is None:
            return
        address = flow.request.host, flow.request.port
        if self.is_on and options.parse_internal(address[0]):
            flow.server_conn = Server(address=address)  # the old one is the way of this client's other requests
            flow.request.authority = ""  # origin-form, RFC 9112 section 3.2.1

    http_connect = requestheaders

    @only_if("is_on")
    def server_connect(self, data: ServerConnectionHookData) -> None:
        """Refuse UDP: no service takes it, and the name must not reach the DNS."""
        if self._is_internal(data.server) and data.server.transport_protocol == "udp":
            data.server.error = "the reverse tunnel carries TCP only"

    @only_if("is_on")
    def error(self, flow: http.HTTPFlow) -> None:
        """Let the next request on this connection try again: mitmproxy would not, and work may be back by then."""
        if self._is_internal(flow.server_conn):
            flow.server_conn.error = None

    def _is_internal(self, server: Server) -> bool:
        address = server.address
        return self.is_on and address is not None and options.parse_internal(address[0]) is not None

    # Commands

    def load(self, loader: Loader) -> None:
        """Offer the commands."""
        loader.add_command("tunnel.status", self.status)
        loader.add_command("tunnel.close", self.close)

    def status(self) -> Sequence[str]:
        """Return which works are connected, what they offer, and which sessions live."""
        return status.status(self._home)

    async def statistics(self) -> Mapping[str, int]:
        """Return how many works are connected, and how many sessions live; nothing when home is not on."""
        return {"works": len(list(self._home.works)), "sessions": len(list(self._home.sessions))} if self.is_on else {}

    def close(self, which: str) -> str:
        """End sessions: a number of tunnel.status, a service, service@work, a work, or all."""
        return f"closed {self._home.sessions.close(which)}"


class Work(_TunnelAddon):
    """Dials home, and offers services."""

    name = kind = "work"
    fast_paths = NO_OBJECTION
    work_home = Setting(
        "", options.parse_home, "Reverse tunnel: where home is, HOST:PORT or NAME@HOST:PORT.", single_process=ONE_END
    )
    work_name = Setting("work", options.parse_name, "Reverse tunnel: work's name, where no certificate says it.")
    work_services = Setting(
        (), options.parse_services, "Reverse tunnel: what to offer, SERVICE=HOST:PORT[,proxy] (PROXY v2); repeat it."
    )
    work_tls = Setting(
        "certs/work", as_text, "Reverse tunnel: work's certificate folder, secret (needs work_secret), or none (plain)."
    )
    work_secret = Setting("", as_text, "Reverse tunnel: the secret shared with home, or @FILE that holds it.")
    work_pool = Setting("2", options.parse_spares, "Reverse tunnel: data connections to keep ready, 0 to 16.")

    @cached_property
    def _work(self) -> work.Work:
        """The end itself."""
        return work.Work()

    def configure(self, updated: set[str]) -> None:
        """Take changed options up, unless home is to have a name that nothing certifies."""
        if self.work_home and self.work_home.name and self.work_tls in identity.UNCERTIFIED:
            reject(f"work_home names home {self.work_home.name}, which takes certificates; work_tls={self.work_tls}")
            return
        super().configure(updated)

    @property
    def is_on(self) -> bool:
        """Return whether there is a home to dial."""
        return self.work_home is not None

    def credentials_options(self) -> tuple[str, str]:
        """Return how home makes sure of us."""
        return self.work_tls, self.work_secret

    def plaintext_address(self) -> Address | None:
        """Return where home is."""
        return self.work_home.address if self.work_home else None

    async def apply(self) -> None:
        """Do what the options say."""
        config = work.WorkConfig(
            self.work_home,
            self.credentials.name or self.work_name,
            self.credentials,
            self.tunnel_heartbeat,
            self.work_services,
            self.work_pool,
        )
        await self._work.apply(config)

    def renew(self, credentials: identity.Credentials) -> None:
        """Show home another certificate of the same name."""
        self._work.renew(credentials)

    def doubts(self) -> Iterator[str]:
        """Warn that no service is offered."""
        if self.work_services and not self.is_on:
            yield "work_services is set and work_home is not: nothing is offered"
        elif not self.is_on and "home_listen" not in ctx.options:  # work's script alone
            yield "work_home is not set: nothing is offered; work --home HOST:PORT --service NAME=HOST:PORT"

    async def stop_beginning(self) -> None:
        """Leave home, which sends clients elsewhere then."""
        await self._work.leave()

    def is_serving(self) -> bool:
        """Return whether a session with a service lives."""
        return self._work.is_serving

    async def end(self) -> None:
        """End everything."""
        await self._work.close()
