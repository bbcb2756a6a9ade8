"""Authenticates the peers at home's command listener: works, and their data connections."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import secrets
import socket
from collections.abc import Awaitable, Callable, Iterator

from proxy_policies.addresses import Address
from proxy_policies.background.tasks import Tasks
from proxy_policies.limits.guesses import Guesses
from proxy_policies.reverse_tunnel.home.connected_works import ConnectedWork, WorkRegistry
from proxy_policies.reverse_tunnel.identity import NO_CREDENTIALS, Credentials, Mode, describe_failure, peer_name
from proxy_policies.reverse_tunnel.limits import HANDSHAKE_TIMEOUT, HandshakeLimiter, PeerStage, network_of
from proxy_policies.reverse_tunnel.options import ALLOW_ALL, Allowance
from proxy_policies.reverse_tunnel.protocol.command_protocol import HomeProtocol
from proxy_policies.reverse_tunnel.protocol.handshake import HomeHandshake, Peer, Terms
from proxy_policies.reverse_tunnel.protocol.messages import (
    Claim,
    Hello,
    Message,
    ProtocolError,
    Reason,
    Refusal,
    Refuse,
    encode,
)
from proxy_policies.reverse_tunnel.throttled_log import ThrottledLog
from proxy_policies.reverse_tunnel.transport import connections
from proxy_policies.reverse_tunnel.transport.connections import receive
from proxy_policies.reverse_tunnel.transport.framed import Framed

logger = logging.getLogger(__name__)


class Handshakes:
    """The handshakes of peers; `serve` is called with each work that has authenticated itself, and its address."""

    def __init__(self, works: WorkRegistry, serve: Callable[[ConnectedWork, Address], Awaitable[None]]) -> None:
        self._works, self._serve = works, serve
        self._credentials: Credentials = NO_CREDENTIALS
        self._heartbeat = 0.0
        self._allowance: Allowance = ALLOW_ALL
        self.limiter = HandshakeLimiter()
        self._unauthenticated: dict[int, asyncio.Task[None]] = {}
        self._guesses, self._log, self._tasks = Guesses(), ThrottledLog(logger), Tasks("home")

    def configure(self, credentials: Credentials, heartbeat: float, allowance: Allowance) -> None:
        """Set what home presents to works, and what it permits them, from now on."""
        self._credentials, self._heartbeat, self._allowance = credentials, heartbeat, allowance

    async def close(self) -> None:
        """End all connections of works, and all handshakes."""
        await self._tasks.cancel()

    def accept(self, sock: socket.socket, address: Address) -> None:
        """Authenticate a peer; close another, unauthenticated one if there are too many."""
        chance = random.random()  # noqa: S311 -- predicting which peer is closed is of no use
        number, evicted = self.limiter.enter(address[0], chance, self._works.awaited)
        if evicted is not None and (evicted_task := self._unauthenticated.get(evicted)) is not None:
            evicted_task.cancel()
        task = self._tasks.spawn(self._authenticate(number, sock, address), eager=True)
        if not task.done():
            self._unauthenticated[number] = task

    async def _authenticate(self, number: int, sock: socket.socket, address: Address) -> None:
        """Authenticate a peer, with a time-out; serve a command connection until it ends."""
        work: ConnectedWork | None = None
        try:
            async with asyncio.timeout(HANDSHAKE_TIMEOUT):
                framed = await self._encrypt(number, sock)
                work = await self._identify(framed, address[0])
        except Refusal as refusal:
            kind = refusal.reason, network_of(address[0])
            self._log.warning(kind, f"home: refused {address[0]}: {refusal}")
        except Exception as error:  # an unauthenticated peer must not cause worse than a log line
            why = (
                "handshake timed out" if isinstance(error, TimeoutError) else describe_failure(error, HANDSHAKE_TIMEOUT)
            )
            self._log.warning("unauthenticated", f"home: closed unauthenticated connection from {address[0]}: {why}")
        finally:
            self._authenticated(number)
        if work is not None:
            await self._serve(work, address)

    async def _encrypt(self, number: int, sock: socket.socket) -> Framed:
        """Return the framed connection to a peer that has sent data, after the TLS handshake, if any. Raise OSError."""
        credentials = self._credentials
        await connections.wait_for_data(sock)
        self.limiter.advance(number, PeerStage.SENT_DATA)
        framed = await connections.accept_framed(sock, credentials)
        if credentials.mode is Mode.CERTIFICATES:
            self._authenticated(number)
        elif credentials.mode is Mode.SECRET:
            self.limiter.advance(number, PeerStage.ENCRYPTED)
        return framed

    def _authenticated(self, number: int) -> None:
        """Stop counting a peer as unauthenticated: it is authenticated, or gone."""
        self.limiter.leave(number)
        self._unauthenticated.pop(number, None)

    async def _identify(self, framed: Framed, address: str) -> ConnectedWork | None:
        """Return the work of a command connection, None for a data connection, by the first frame.

        Raise OSError, ProtocolError or Refusal.
        """
        certified = peer_name(framed.lower) if self._credentials.mode is Mode.CERTIFICATES else None
        try:
            match await receive(framed):
                case Hello() as hello:
                    return await self._handshake_on(framed, hello, certified, address)
                case Claim() as claim:
                    self._works.claim(framed, claim, certified)
                    return None
                case message:
                    raise ProtocolError(f"{type(message).__name__} as first message")
        except Refusal as refusal:
            framed.send(encode(Refuse(refusal.reason, refusal.text)))
            framed.close()
            raise
        except BaseException:
            framed.abort()
            raise

    async def _handshake_on(self, framed: Framed, hello: Hello, certified: str | None, address: str) -> ConnectedWork:
        ours = self._credentials
        terms = Terms(ours.name or "home", self._heartbeat, secrets.token_hex(32), ours.key, ours.digest)
        handshake = HomeHandshake(terms, certified)
        framed.send(encode(handshake.receive(hello)))
        while handshake.peer is None:
            message = await receive(framed)
            framed.send(encode(await self._reply(handshake, message, address)))
        return await self._receive_offer(framed, handshake.peer, address)

    async def _reply(self, handshake: HomeHandshake, message: Message, address: str) -> Message:
        """Return the answer to a work's message; WELCOME only if it may offer anything. Raise Refusal."""
        with self._delay_wrong_secrets(address):
            await asyncio.sleep(self._guesses.delay(address, asyncio.get_running_loop().time()))
            answer = handshake.receive(message)
        if handshake.peer is not None:
            self._check_admission(handshake.peer, address)
        return answer

    def _check_admission(self, peer: Peer, address: str) -> None:
        """Raise Refusal for a work that must not be welcomed."""
        if not self._allowance.permits_any(peer.name):
            raise Refusal(Reason.NOT_ALLOWED, f"home_allow does not list work {peer.name}")
        self._works.check_twin(peer, address)

    @contextlib.contextmanager
    def _delay_wrong_secrets(self, address: str) -> Iterator[None]:
        try:
            yield
        except Refusal as refusal:
            if refusal.reason is Reason.SECRET:
                self._guesses.wrong(address, asyncio.get_running_loop().time())
            raise

    async def _receive_offer(self, framed: Framed, peer: Peer, address: str) -> ConnectedWork:
        session = HomeProtocol(peer.name, lambda service: self._allowance.permits(peer.name, service))
        session.receive(await receive(framed))
        return ConnectedWork(peer, framed, session, self._works.log, address)
