"""Home: where works dial in and clients come. Links 1, 2, 3 and 6 of the six; no mitmproxy in here."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import socket
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from proxy_policies import tcp_connect
from proxy_policies.relay.framed import Framed, open_streams
from proxy_policies.relay.transports import Pace, link
from proxy_policies.reverse_tunnel import connections
from proxy_policies.reverse_tunnel.connections import Listener, receive
from proxy_policies.reverse_tunnel.handshake import HomeHandshake, Peer, Terms
from proxy_policies.reverse_tunnel.identity import NO_CREDENTIALS, Credentials, Mode, in_words, peer_name
from proxy_policies.reverse_tunnel.limits import (
    NO_LIMITS,
    PROVE_WITHIN,
    Gate,
    Guesses,
    Limits,
    Pacer,
    Throttles,
    network_of,
)
from proxy_policies.reverse_tunnel.messages import (
    Claim,
    Hello,
    ProtocolError,
    Reason,
    Refusal,
    Refuse,
    encode,
)
from proxy_policies.reverse_tunnel.names import Address
from proxy_policies.reverse_tunnel.pacing import Paced
from proxy_policies.reverse_tunnel.services import EVERYBODY, Allowance, Entrance
from proxy_policies.reverse_tunnel.session import Call, HomeSession
from proxy_policies.reverse_tunnel.tasks import Tasks
from proxy_policies.reverse_tunnel.visits import Nobody, Visit, Visits, Watcher, cancel_current
from proxy_policies.reverse_tunnel.works import FAIL_OVER, OPEN_WITHIN, Work, Works, describe

logger = logging.getLogger(__name__)

TEND = 1.0  # seconds


@dataclass(frozen=True)
class HomeConfig:
    """What the options say. `listen` None: no home."""

    listen: Address | None = None
    credentials: Credentials = NO_CREDENTIALS
    heartbeat: float = 4.0
    entrances: Mapping[Address, Entrance] = field(default_factory=dict)
    allowance: Allowance = EVERYBODY
    limits: Limits = NO_LIMITS

    @property
    def trunk(self) -> tuple[Address | None, Credentials, float]:
        """What works see of it: when this changes, they have to come anew."""
        return self.listen, self.credentials, self.heartbeat


class Home:
    """One home. `apply` starts it, changes it live, and with no `listen` ends it."""

    def __init__(self, watcher: Watcher | None = None) -> None:
        self.works = Works()
        self.visits = Visits()
        self._watcher = watcher or Nobody()
        self._config = HomeConfig()
        self._gate, self._guesses, self._throttles = Gate(), Guesses(), Throttles()
        self._strangers: dict[int, asyncio.Task[None]] = {}
        self._trunk: Listener | None = None
        self._entrances: dict[Address, tuple[Entrance, Listener]] = {}
        self._commands, self._clients = Tasks(), Tasks()

    async def apply(self, config: HomeConfig) -> None:
        """Become what the options say; live sessions live on."""
        old, self._config = self._config, config
        if config.trunk != old.trunk:
            await self._open_trunk(config)
        self.visits.limit(config.limits)
        self._review(config.allowance)
        await self._open_entrances(config.entrances if config.listen else {})

    def renew(self, credentials: Credentials) -> None:
        """Show another certificate of the same name from now on; connections that stand live on."""
        self._config = replace(self._config, credentials=credentials)

    async def close(self) -> None:
        """End everything."""
        await self.apply(HomeConfig())
        await self._clients.cancel()
        for visit in self.visits:
            visit.close()

    async def _open_trunk(self, config: HomeConfig) -> None:
        if self._trunk is not None:
            await self._trunk.close()
            self.works.dismiss(Refuse(Reason.RESTART))
            await self._commands.cancel()
            self._trunk = None
        if config.listen is not None:
            self._trunk = Listener(config.listen, "home", self._greet)
            await self._trunk.open()
            self._commands.spawn(self._tend())

    async def _open_entrances(self, wanted: Mapping[Address, Entrance]) -> None:
        for address, (entrance, listener) in list(self._entrances.items()):
            if wanted.get(address) != entrance:
                del self._entrances[address]
                await listener.close()
        for address, entrance in wanted.items():
            if address not in self._entrances:
                self._entrances[address] = entrance, await self._open_entrance(entrance)

    async def _open_entrance(self, entrance: Entrance) -> Listener:
        def come_in(sock: socket.socket, client: Address) -> None:
            self._clients.spawn(self._serve(sock, client, entrance))

        listener = Listener(entrance.address, f"home: {entrance}", come_in)
        await listener.open()
        return listener

    def _review(self, allowance: Allowance) -> None:
        for work in self.works:
            work.session.review(lambda service, name=work.name: allowance.permits(name, service))  # type: ignore[misc]
        self.works.dismiss(Refuse(Reason.NOT_ALLOWED, "home no longer lets this work in"), allowance)

    async def _tend(self) -> None:
        while True:
            await asyncio.sleep(TEND)
            for work in self.works:
                work.tend()

    # Strangers at the port that works dial

    def _greet(self, sock: socket.socket, address: Address) -> None:
        number, evicted = self._gate.enter(address[0], self.works.awaited)
        if evicted is not None and (task := self._strangers.get(evicted)) is not None:
            task.cancel()
        self._strangers[number] = self._commands.spawn(self._admit(number, sock, address))

    async def _admit(self, number: int, sock: socket.socket, address: Address) -> None:
        """Find out who it is, within the time that a stranger has; keep a command connection until it ends."""
        work: Work | None = None
        try:
            async with asyncio.timeout(PROVE_WITHIN):
                framed = await connections.accept_framed(sock, self._config.credentials)
                work = await self._identify(framed, address[0])
        except Refusal as refusal:
            kind = refusal.reason, network_of(address[0])
            self._warn(kind, f"home: refused {address[0]}: {refusal}")
        except Exception as error:  # whatever a stranger brings about
            why = "said nothing in time" if isinstance(error, TimeoutError) else in_words(error, PROVE_WITHIN)
            self._warn("stranger", f"home: closed on a stranger from {address[0]}: {why}")
        finally:
            self._gate.leave(number)
            del self._strangers[number]
        if work is not None:
            await self._attend(work, address)

    def _warn(self, kind: Hashable, line: str) -> None:
        """Log what a peer brings about, of each kind a line in a while."""
        if said := self._throttles.admit(kind, line, asyncio.get_running_loop().time()):
            logger.warning(said)

    async def _identify(self, framed: Framed, address: str) -> Work | None:
        """Hear the first frame; a data connection is taken in here. Raises OSError, ProtocolError, Refusal."""
        certified = peer_name(framed.lower) if self._config.credentials.mode is Mode.CERTIFICATES else None
        try:
            match await receive(framed):
                case Hello() as hello:
                    return await self._shake_hands(framed, hello, certified, address)
                case Claim() as claim:
                    self.works.claim(framed, claim, certified)
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

    async def _shake_hands(self, framed: Framed, hello: Hello, certified: str | None, address: str) -> Work:
        credentials = self._config.credentials
        terms = Terms(
            credentials.name or "home",
            self._config.heartbeat,
            secrets.token_hex(32),
            credentials.key,
            credentials.digest,
        )
        handshake = HomeHandshake(terms, certified)
        framed.send(encode(handshake.receive(hello)))
        while handshake.peer is None:
            said = await receive(framed)
            with self._slow_to_guessers(address):
                await asyncio.sleep(self._guesses.delay(address, asyncio.get_running_loop().time()))
                framed.send(encode(handshake.receive(said)))
        return await self._hear_offer(framed, handshake.peer, address)

    @contextlib.contextmanager
    def _slow_to_guessers(self, address: str) -> Iterator[None]:
        try:
            yield
        except Refusal as refusal:
            if refusal.reason is Reason.SECRET:
                self._guesses.wrong(address, asyncio.get_running_loop().time())
            raise

    async def _hear_offer(self, framed: Framed, peer: Peer, address: str) -> Work:
        allowance = self._config.allowance
        if not allowance.knows(peer.name):
            raise Refusal(Reason.NOT_ALLOWED, f"home_allow does not list work {peer.name}")
        self.works.check_twin(peer, address)
        session = HomeSession(peer.name, lambda service: self._config.allowance.permits(peer.name, service))
        session.receive(await receive(framed))
        return Work(peer, framed, session, address)

    async def _attend(self, work: Work, address: Address) -> None:
        """Keep a command connection until it ends."""
        work.command.start_heart(work.peer.heartbeat, work.peer.patience)
        self.works.add(work)
        logger.info(f"home: work {work.name} connected from {address[0]}, offers {describe(work)}")
        work.refill()
        reason = "home ends"
        try:
            await work.listen()
        except (OSError, ProtocolError) as error:
            reason = tcp_connect.reason(error, None)
        finally:
            if self.works.remove(work):
                logger.info(f"home: work {work.name} disconnected: {reason}")

    # Clients

    async def open(self, call: Call, work: str = "") -> Framed:
        """Return a data connection on which the service answers, from the first work that has one. Raises Refusal."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        *others, last = self.works.find(call.service, work)
        for candidate in others:
            try:
                return await _open_within(FAIL_OVER, candidate, call)
            except Refusal as refusal:
                logger.info(f"home: work {candidate.name} has no {call.service}, the next is tried: {refusal}")
                self.works.put_last(candidate)
        return await _open_within(max(FAIL_OVER, OPEN_WITHIN + began - loop.time()), last, call)

    async def connect(self, service: str, work: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a service for somebody in this process, as a stream pair. Raises Refusal."""
        visit = Visit(service, work, None, None, lambda: None)
        self.visits.enter(visit)
        try:
            data = await self.open(Call(service), work)
        except BaseException as error:
            self.visits.leave(visit)
            if isinstance(error, Refusal):
                self._warn((visit.target, error.reason), f"home: refused this proxy to {visit.target}: {error}")
            raise
        visit.close = data.abort
        data.on_lost = lambda _: self.visits.leave(visit)
        pace = self._pace()
        return open_streams(Paced(data, pace) if pace else data)

    async def _serve(self, sock: socket.socket, client: Address, entrance: Entrance) -> None:
        """Serve one client: links 2, 3 and 6."""
        call = Call(entrance.service, client, sock.getsockname()[:2])
        transport = await connections.accept_bare(sock)
        visit = Visit(entrance.service, entrance.work, client, call.server, cancel_current())
        await self._watcher.opened(visit)
        try:
            self.visits.enter(visit)
            data = await self.open(call, entrance.work)
            await self._watcher.linked(visit)
            await link(transport, data, counts=visit.counts, pace=self._pace(), tap=visit.tap)
        except Refusal as refusal:
            visit.counts.error = str(refusal)
            kind = visit.target, refusal.reason
            self._warn(kind, f"home: refused {visit.source} to {visit.target}: {refusal}")
        except asyncio.CancelledError:
            visit.counts.error = "closed by this proxy"
            logger.info(f"home: closed {visit.source} to {visit.target}: {visit.account()}")
        else:
            logger.info(f"home: {visit.source} left {visit.target}: {visit.account()}")
        finally:
            transport.abort()
            self.visits.leave(visit)
        await self._watcher.closed(visit)

    def _pace(self) -> Pace | None:
        if not self.visits.rate:
            return None
        loop = asyncio.get_running_loop()
        pacer = Pacer(self.visits.rate, loop.time())
        return lambda size: pacer.pause(size, loop.time())


async def _open_within(seconds: float, work: Work, call: Call) -> Framed:
    try:
        async with asyncio.timeout(seconds):
            return await work.open(call)
    except TimeoutError:
        raise Refusal(Reason.TIMEOUT, f"{call.service} did not answer within {seconds:g} s") from None
