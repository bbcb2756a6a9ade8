"""Work: connects to home, and links data connections to services.

Work opens no port, and connects only to home and to the services that it offers. Does not import mitmproxy.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from proxy_policies.addresses import Address, format_target
from proxy_policies.background.tasks import Tasks
from proxy_policies.outbound import tcp_connect
from proxy_policies.proxy_protocol import header
from proxy_policies.reverse_tunnel.identity import (
    NO_CREDENTIALS,
    Credentials,
    Mode,
    describe_failure,
    peer_digest,
    peer_name,
)
from proxy_policies.reverse_tunnel.limits import (
    HANDSHAKE_TIMEOUT,
    MAX_LINES_PER_MINUTE,
    MAX_SHORT_CONNECTIONS,
    STABLE_AFTER,
    retry_delay,
)
from proxy_policies.reverse_tunnel.options import HomeAddress
from proxy_policies.reverse_tunnel.protocol.command_protocol import OpenRequest, WorkProtocol
from proxy_policies.reverse_tunnel.protocol.handshake import Peer, Terms, WorkHandshake
from proxy_policies.reverse_tunnel.protocol.messages import (
    Begin,
    Claim,
    Message,
    ProtocolError,
    Ready,
    Reason,
    Refusal,
    Refuse,
    Spare,
    Use,
    encode,
)
from proxy_policies.reverse_tunnel.protocol.services import Service
from proxy_policies.reverse_tunnel.throttled_log import ThrottledLog
from proxy_policies.reverse_tunnel.transport import connections
from proxy_policies.reverse_tunnel.transport.connections import receive
from proxy_policies.reverse_tunnel.transport.framed import Framed
from proxy_policies.reverse_tunnel.transport.transport_relay import EndNames, relay_transports

logger = logging.getLogger(__name__)

END_NAMES = EndNames("home", "the service", "work")

DATA_TRIES = 6
DATA_PAUSE = 0.2  # seconds, at most, between two tries: together less than home waits (`OPEN_TIMEOUT`)
REPLACED_BACKOFF = 16  # the failures that being replaced counts as: another process has the name


@dataclass(frozen=True)
class WorkConfig:
    """The options. If `home` is None, work is off."""

    home: HomeAddress | None = None
    name: str = "work"
    credentials: Credentials = NO_CREDENTIALS
    heartbeat: float = 4.0
    services: Mapping[str, Service] = field(default_factory=dict)
    spares: int = 2

    @property
    def peer_facing(self) -> tuple[HomeAddress | None, str, Credentials, float]:
        """The part that home depends on: if it changes, work must connect again."""
        return self.home, self.name, self.credentials, self.heartbeat


@dataclass
class CommandConnection:
    """An open command connection."""

    framed: Framed
    peer: Peer
    protocol: WorkProtocol
    digest: bytes  # of home's certificate, which must be the same on data connections


class WorkAgent:
    """One work. `apply` starts it, changes it while it runs, and without `home` ends it."""

    def __init__(self) -> None:
        self.config = WorkConfig()
        self._command: CommandConnection | None = None
        self._connecting, self._data = Tasks("work"), Tasks("work")
        self.failure = ""
        """Why there is no command connection."""
        self._logged: str | None = None  # the last reason that was logged
        self._log, self._changes = ThrottledLog(logger), ThrottledLog(logger, MAX_LINES_PER_MINUTE)
        self._instance = secrets.token_hex(8)
        self._last_connected = -math.inf  # the last time of an open command connection, in seconds of the loop's clock
        self._short_connections = 0  # successive short command connections
        self.sessions = 0
        """The number of open sessions, and of those being opened."""

    async def apply(self, config: WorkConfig) -> None:
        """Apply the options; open sessions continue."""
        old, self.config = self.config, config
        if config.peer_facing != old.peer_facing:
            await self._connecting.cancel()
            if config.home is not None:
                self._connecting.spawn(self._keep_connected(config.home))
        elif self._command is not None and (config.services, config.spares) != (old.services, old.spares):
            self._command.protocol.services, self._command.protocol.spares = config.services, config.spares
            self._command.framed.send(encode(self._command.protocol.offer()))
            self._changes.info("offers", f"work: now offers {', '.join(config.services) or 'nothing'}")

    def renew(self, credentials: Credentials) -> None:
        """Use a renewed certificate of the same name from now on; open connections continue."""
        self.config = replace(self.config, credentials=credentials)

    async def leave(self) -> None:
        """Leave home, which then sends no more clients; open sessions continue."""
        await self._connecting.cancel()

    async def close(self) -> None:
        """End everything."""
        await self.apply(WorkConfig())
        await self._data.cancel()

    @property
    def home(self) -> str:
        """The name of the connected home; "" if not connected."""
        return self._command.peer.name if self._command else ""

    # The command connection

    async def _keep_connected(self, home: HomeAddress) -> None:
        failures = 0
        loop = asyncio.get_running_loop()
        while True:
            start = loop.time()
            try:
                await self._connect(home)
            except Exception as error:  # after any error, try again
                failures = 0 if self._last_connected > start else failures + 1
                self._log_failure(home.address, error)
                if _is_replaced(error):
                    failures, self._last_connected = REPLACED_BACKOFF, -math.inf
            await asyncio.sleep(retry_delay(failures, random.random(), loop.time() - self._last_connected))  # noqa: S311

    def _log_failure(self, home: Address, error: Exception) -> None:
        """Log that home cannot be reached, if that or its reason is new."""
        self.failure = trouble = describe_failure(error, connections.CONNECT_TIMEOUT)
        line = f"work: no connection to home {format_target(*home[:2])}: {trouble}; trying again"
        if self._logged != trouble and self._changes.warning("no connection", line):
            self._logged = trouble

    def _log_connected(self, home: Address, command: CommandConnection) -> None:
        """Log that home is connected, if that is new."""
        self.failure = ""
        offered = ", ".join(command.protocol.services) or "nothing"
        line = f"work: connected to home {command.peer.name} at {format_target(*home[:2])}, offers {offered}"
        if self._logged != "" and self._changes.info("connected", line):
            self._logged = ""

    async def _connect(self, home: HomeAddress) -> None:
        """Connect, and serve home's requests until the connection ends. Raise OSError, Refusal or ProtocolError."""
        framed = await connections.dial_framed(home.address, self.config.credentials)
        try:
            async with asyncio.timeout(HANDSHAKE_TIMEOUT):
                try:
                    command = await self._handshake_on(framed, home.name)
                except ConnectionError as error:
                    raise ConnectionResetError(f"{error} in the handshake; does home accept this identity?") from None
            framed.start_keepalive(command.peer.heartbeat, command.peer.silence_timeout)
            framed.send(encode(command.protocol.offer()))
            await self._serve_home(home.address, command)
        finally:
            framed.close()

    async def _serve_home(self, home: Address, command: CommandConnection) -> None:
        start = asyncio.get_running_loop().time()
        self._command = command
        self._log_connected(home, command)
        try:
            while True:
                request = command.protocol.receive(await receive(command.framed))
                self._data.spawn(self._answer(home, command, request))
        finally:
            self._command = None
            self._note_end(start)

    def _note_end(self, start: float) -> None:
        """Note the end of a command connection; several short ones count as failures."""
        now = asyncio.get_running_loop().time()
        self._short_connections = 0 if now - start >= STABLE_AFTER else self._short_connections + 1
        if self._short_connections <= MAX_SHORT_CONNECTIONS:
            self._last_connected = now

    async def _handshake_on(self, framed: Framed, wanted: str) -> CommandConnection:
        credentials, config = self.config.credentials, self.config
        certified = peer_name(framed.lower) if credentials.mode is Mode.CERTIFICATES else None
        if wanted and certified != wanted:
            raise Refusal(Reason.NOT_ALLOWED, f"the certificate says {certified}, work_home says {wanted}")
        digest = peer_digest(framed.lower)
        nonce = secrets.token_hex(32)
        terms = Terms(config.name, config.heartbeat, nonce, credentials.key, digest, self._instance)
        handshake = WorkHandshake(terms, certified)
        message: Message | None = handshake.start()
        while message is not None:
            framed.send(encode(message))
            message = handshake.receive(await receive(framed))
        if handshake.peer is None:  # for the type checker
            raise ProtocolError("the handshake stopped")
        return CommandConnection(framed, handshake.peer, WorkProtocol(config.services, config.spares), digest)

    # Data connections

    async def _answer(self, home: Address, command: CommandConnection, request: Begin | Spare) -> None:
        """Open a data connection that home requested, and serve it."""
        framed: Framed | None = None
        try:
            framed = await self._claim(home, command, request.token)
            await self._serve(framed, await _open_request(framed, request))
        except Exception as error:  # after any error, home needs an answer
            refusal = error if isinstance(error, Refusal) else _refusal(error)
            if framed is None:
                command.framed.send(
                    encode(Refuse(refusal.reason, f"no data connection: {refusal}"[:500], request.token))
                )
            else:
                framed.send(encode(Refuse(refusal.reason, refusal.text[:500])))
            logger.debug(f"work: data connection: {error!r}")
        finally:
            if framed is not None:
                framed.close()

    async def _claim(self, home: Address, command: CommandConnection, token: str) -> Framed:
        framed = await self._dial(home)
        if not self._is_home_of(command, framed):
            framed.abort()
            raise ConnectionAbortedError("home shows another certificate than on the command connection")
        framed.start_keepalive(command.peer.heartbeat, command.peer.silence_timeout)
        framed.send(encode(Claim(self.config.name, token)))
        return framed

    async def _dial(self, home: Address) -> Framed:
        """Open a data connection; try again if it is closed: in a flood, home closes any that is not authenticated."""
        for _ in range(DATA_TRIES - 1):
            try:
                return await connections.dial_framed(home, self.config.credentials)
            except ConnectionError:
                await asyncio.sleep(random.uniform(0, DATA_PAUSE))  # noqa: S311 -- a pause, no secret
        return await connections.dial_framed(home, self.config.credentials)

    def _is_home_of(self, command: CommandConnection, framed: Framed) -> bool:
        """Return whether a connection is to the same home: by its certified name, as its certificate may be renewed."""
        if self.config.credentials.mode is Mode.CERTIFICATES:
            return peer_name(framed.lower) == command.peer.name
        return peer_digest(framed.lower) == command.digest

    async def _serve(self, framed: Framed, call: OpenRequest) -> None:
        """Open the service, and link it with the data connection."""
        self.sessions += 1
        try:
            await self._link(framed, call)
        except Refusal as refusal:
            self._log.warning((call.service, refusal.reason), f"work: {call.service}: {refusal}")
            framed.send(encode(Refuse(refusal.reason, refusal.text[:500])))
        finally:
            self.sessions -= 1

    async def _link(self, framed: Framed, call: OpenRequest) -> None:
        transport = await self._open_service(call)
        framed.send(encode(Ready()))
        start = time.monotonic()
        counts = await relay_transports(framed, transport, names=END_NAMES)
        logger.info(f"work: {_shown_client(call)} left {call.service}: {counts.account(time.monotonic() - start)}")

    async def _open_service(self, call: OpenRequest) -> Any:
        service = WorkProtocol(self.config.services, 0).service(call.service)
        try:
            transport = await connections.dial_bare(service.address)
        except Exception as error:  # after any error, home gets a refusal
            raise _refusal(error, format_target(*service.address[:2])) from None
        if service.proxy:
            transport.write(header.write(call.client, call.server))
        return transport


def _refusal(error: Exception, whose: str = "work") -> Refusal:
    """Return the refusal for home from an error of a service, or of work itself."""
    if isinstance(error, TimeoutError):
        return Refusal(Reason.TIMEOUT, f"{whose} does not answer")
    return Refusal(Reason.REFUSED, f"{whose}: {tcp_connect.reason(error, None)}")


def _is_replaced(error: Exception) -> bool:
    return isinstance(error, Refusal) and error.reason is Reason.REPLACED


def _shown_client(call: OpenRequest) -> str:
    return format_target(*call.client[:2]) if call.client else "home itself"


async def _open_request(framed: Framed, request: Begin | Spare) -> OpenRequest:
    """Return the client's request; on a spare connection, wait for it. Raise ConnectionError or ProtocolError."""
    asked = request if isinstance(request, Begin) else await receive(framed)
    if not isinstance(asked, Begin | Use):
        raise ProtocolError(f"{type(asked).__name__} on a spare data connection")
    return OpenRequest(asked.service, asked.client, asked.server)
