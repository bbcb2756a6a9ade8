"""Home: accepts works and clients, and links each client with a data connection. Does not import mitmproxy."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from proxy_policies.addresses import Address, Network, format_target, in_networks
from proxy_policies.background.tasks import Tasks
from proxy_policies.outbound import tcp_connect
from proxy_policies.reverse_tunnel.home.connected_works import (
    FAIL_OVER_TIMEOUT,
    OPEN_TIMEOUT,
    ConnectedWork,
    WorkRegistry,
    describe,
)
from proxy_policies.reverse_tunnel.home.handshakes import Handshakes
from proxy_policies.reverse_tunnel.home.sessions import (
    NullObserver,
    Session,
    SessionObserver,
    SessionTable,
    cancel_current,
)
from proxy_policies.reverse_tunnel.identity import NO_CREDENTIALS, Credentials
from proxy_policies.reverse_tunnel.limits import (
    NO_LIMITS,
    RateLimiter,
    SessionLimits,
)
from proxy_policies.reverse_tunnel.options import (
    ALLOW_ALL,
    Allowance,
    ClientListener,
    CommandListener,
)
from proxy_policies.reverse_tunnel.protocol.command_protocol import OpenRequest
from proxy_policies.reverse_tunnel.protocol.messages import (
    ProtocolError,
    Reason,
    Refusal,
    Refuse,
)
from proxy_policies.reverse_tunnel.throttled_log import ThrottledLog
from proxy_policies.reverse_tunnel.transport import connections
from proxy_policies.reverse_tunnel.transport.connections import Listener
from proxy_policies.reverse_tunnel.transport.framed import Framed, open_streams
from proxy_policies.reverse_tunnel.transport.rate_limited import RateLimitedTransport
from proxy_policies.reverse_tunnel.transport.transport_relay import EndNames, Pace, relay_transports

logger = logging.getLogger(__name__)

END_NAMES = EndNames("the client", "work", "home")

MAINTENANCE_INTERVAL = 1.0  # seconds


@dataclass(frozen=True)
class HomeConfig:
    """The options. If `listen` is None, home is off."""

    listen: CommandListener | None = None
    credentials: Credentials = NO_CREDENTIALS
    heartbeat: float = 4.0
    client_listeners: Mapping[Address, ClientListener] = field(default_factory=dict)
    allowance: Allowance = ALLOW_ALL
    limits: SessionLimits = NO_LIMITS
    balancers: Sequence[Network] = ()

    @property
    def peer_facing(self) -> tuple[CommandListener | None, Credentials, float]:
        """The part that works depend on: if it changes, they must connect again."""
        return self.listen, self.credentials, self.heartbeat


class HomeServer:
    """One home. `apply` starts it, changes it while it runs, and without `listen` ends it."""

    def __init__(self, observer: SessionObserver | None = None) -> None:
        self.works = WorkRegistry()
        self.sessions = SessionTable()
        self._observer = observer or NullObserver()
        self._config = HomeConfig()
        self._log = ThrottledLog(logger)
        self._handshakes = Handshakes(self.works, self._serve_command)
        self._command_listener: Listener | None = None
        self._client_listeners: dict[Address, tuple[ClientListener, Listener]] = {}
        self._maintenance, self._clients = Tasks("home"), Tasks("home")

    async def apply(self, config: HomeConfig) -> None:
        """Apply the options; open sessions continue."""
        old = self._config
        self._configure(config)
        if config.peer_facing != old.peer_facing:
            await self._open_command_listener(config)
        self.sessions.limit(config.limits)
        self._review(config.allowance)
        await self._open_client_listeners(config.client_listeners if config.listen else {})

    def renew(self, credentials: Credentials) -> None:
        """Use a renewed certificate of the same name from now on; open connections continue."""
        self._configure(replace(self._config, credentials=credentials))

    def _configure(self, config: HomeConfig) -> None:
        self._config = config
        self._handshakes.configure(config.credentials, config.heartbeat, config.allowance)

    async def close_client_listeners(self) -> None:
        """Accept no more clients; open sessions continue, and works stay connected."""
        await self._open_client_listeners({})

    async def close(self) -> None:
        """End everything."""
        await self.apply(HomeConfig())
        await self._clients.cancel()
        for session in self.sessions:
            session.close()

    async def _open_command_listener(self, config: HomeConfig) -> None:
        if self._command_listener is not None:
            await self._command_listener.close()
            self.works.dismiss(Refuse(Reason.RESTART))
            await self._handshakes.close()
            await self._maintenance.cancel()
            self._command_listener = None
        if config.listen is not None:
            is_balancer = self._balancers_at(config.listen)
            self._command_listener = Listener(config.listen.address, "home", self._handshakes.accept, is_balancer)
            await self._command_listener.open()
            self._maintenance.spawn(self._maintain())

    async def _open_client_listeners(self, wanted: Mapping[Address, ClientListener]) -> None:
        for address, (client_listener, listener) in list(self._client_listeners.items()):
            if wanted.get(address) != client_listener:
                del self._client_listeners[address]
                await listener.close()
        for address, client_listener in wanted.items():
            if address not in self._client_listeners:
                self._client_listeners[address] = client_listener, await self._open_client_listener(client_listener)

    async def _open_client_listener(self, client_listener: ClientListener) -> Listener:
        def accept(sock: socket.socket, client: Address) -> None:
            self._clients.spawn(self._serve(sock, client, client_listener), eager=True)

        is_balancer = self._balancers_at(client_listener)
        listener = Listener(client_listener.address, f"home: {client_listener}", accept, is_balancer)
        await listener.open()
        return listener

    def _balancers_at(self, listener: CommandListener | ClientListener) -> Callable[[str], bool]:
        """Return a function that says whether connections from an address begin with a PROXY header."""
        return lambda address: listener.proxy and in_networks(address, self._config.balancers)

    def _review(self, allowance: Allowance) -> None:
        for work in self.works:
            work.review(lambda service, name=work.name: allowance.permits(name, service))  # type: ignore[misc]
        self.works.dismiss(Refuse(Reason.NOT_ALLOWED, "rejected by home_allow"), allowance)

    async def _maintain(self) -> None:
        while True:
            await asyncio.sleep(MAINTENANCE_INTERVAL)
            for work in self.works:
                work.maintain()

    # Works

    async def _serve_command(self, work: ConnectedWork, address: Address) -> None:
        """Serve a command connection until it ends."""
        work.command.start_keepalive(work.peer.heartbeat, work.peer.silence_timeout)
        self.works.add(work)
        line = f"home: work {work.name} connected from {address[0]}, offers {describe(work)}"
        self.works.log.info(("connected", work.name), line)
        work.refill()
        reason = "home ends"
        try:
            await work.listen()
        except (OSError, ProtocolError) as error:
            reason = work.dismissed or tcp_connect.reason(error, None)
        finally:
            if self.works.remove(work):
                self.works.log.info(("disconnected", work.name), f"home: work {work.name} disconnected: {reason}")

    # Clients

    async def open(self, call: OpenRequest, work: str = "") -> Framed:
        """Return a data connection on which the service is connected, from the first work that can. Raise Refusal."""
        loop = asyncio.get_running_loop()
        start = loop.time()
        *others, last = self.works.find(call.service, work)
        for candidate in others:
            try:
                return await _open_within(FAIL_OVER_TIMEOUT, candidate, call)
            except Refusal as refusal:
                line = f"home: work {candidate.name} has no {call.service}, the next is tried: {refusal}"
                self._log.info((candidate.name, call.service), line)
                self.works.put_last(candidate)
        return await _open_within(max(FAIL_OVER_TIMEOUT, OPEN_TIMEOUT + start - loop.time()), last, call)

    async def connect(self, service: str, work: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Return a stream pair to a service, for this process. Raise Refusal."""
        session = Session(service, work, None, None, lambda: None)
        self.sessions.enter(session)
        try:
            data = await self.open(OpenRequest(service), work)
        except BaseException as error:
            self.sessions.leave(session)
            if isinstance(error, Refusal):
                self._log.warning(
                    (session.target, error.reason), f"home: refused this proxy to {session.target}: {error}"
                )
            raise
        session.close = data.abort
        data.when_lost(lambda _: self.sessions.leave(session))
        pace = self._pace()
        return open_streams(RateLimitedTransport(data, pace) if pace else data)

    async def _serve(self, sock: socket.socket, client: Address, client_listener: ClientListener) -> None:
        """Serve one client: get a data connection from a work, and link both."""
        try:
            call = OpenRequest(client_listener.service, client, sock.getsockname()[:2])
            transport = await connections.accept_bare(sock)
        except OSError as error:
            sock.close()
            logger.debug(f"home: {format_target(*client[:2])} disconnected at once: {error}")
            return
        session = Session(client_listener.service, client_listener.work, client, call.server, cancel_current())
        try:
            await self._observer.opened(session)
            self.sessions.enter(session)
            data = await self._open_linked(session, call)
            await relay_transports(
                transport, data, counts=session.counts, pace=self._pace(), tap=session.tap, names=END_NAMES
            )
        except Refusal as refusal:
            session.counts.error = str(refusal)
            kind = session.target, refusal.reason
            self._log.warning(kind, f"home: refused {session.source} to {session.target}: {refusal}")
        except asyncio.CancelledError:
            session.counts.error = "closed by this proxy"
            logger.info(f"home: closed {session.source} to {session.target}: {session.account()}")
        else:
            logger.info(f"home: {session.source} left {session.target}: {session.account()}")
        finally:
            transport.abort()
            self.sessions.leave(session)
        await self._observer.closed(session)

    async def _open_linked(self, session: Session, call: OpenRequest) -> Framed:
        """Return a data connection as `open` does, after notifying the observer."""
        data = await self.open(call, session.work)
        try:
            await self._observer.linked(session)
        except BaseException:
            data.abort()
            raise
        return data

    def _pace(self) -> Pace | None:
        if not self.sessions.rate:
            return None
        loop = asyncio.get_running_loop()
        pacer = RateLimiter(self.sessions.rate, loop.time())
        return lambda size: pacer.pause(size, loop.time())


async def _open_within(seconds: float, work: ConnectedWork, call: OpenRequest) -> Framed:
    try:
        async with asyncio.timeout(seconds):
            return await work.open(call)
    except TimeoutError:
        raise Refusal(Reason.TIMEOUT, f"{call.service} did not answer within {seconds:g} s") from None
