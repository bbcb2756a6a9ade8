"""The works connected to home, and how home gets a data connection from one of them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from proxy_policies.reverse_tunnel.limits import MAX_LINES_PER_MINUTE
from proxy_policies.reverse_tunnel.options import Allowance
from proxy_policies.reverse_tunnel.protocol.command_protocol import HomeProtocol, OpenRequest
from proxy_policies.reverse_tunnel.protocol.handshake import Peer
from proxy_policies.reverse_tunnel.protocol.messages import (
    Claim,
    ProtocolError,
    Ready,
    Reason,
    Refusal,
    Refuse,
    Use,
    encode,
)
from proxy_policies.reverse_tunnel.throttled_log import ThrottledLog
from proxy_policies.reverse_tunnel.transport.connections import receive
from proxy_policies.reverse_tunnel.transport.framed import Framed

logger = logging.getLogger(__name__)

MAX_FRESH_CONNECTIONS = 3  # data connections requested while each ends without a message; ended spares are not counted
RETRY_DELAY = 0.2  # seconds between two requests
POOL_REFILL_DELAY = 0.02  # seconds: a new spare's handshake must not delay the client that took the last one
MAX_REPLACED_INSTANCES = 16  # earlier processes kept for each name
FAIL_OVER_TIMEOUT = 3.0  # seconds until the next work is tried: by then TCP has sent its first SYN twice (RFC 6298)
OPEN_TIMEOUT = 10.0  # seconds from a client's connection to its service's


@dataclass(eq=False)
class ConnectedWork:
    """A connected work: its command connection, its spare data connections, and the clients that wait for one."""

    peer: Peer
    command: Framed
    protocol: HomeProtocol
    log: ThrottledLog
    address: str = ""
    spares: deque[Framed] = field(default_factory=deque)
    _waiting: dict[str, asyncio.Future[Framed]] = field(default_factory=dict)
    since: float = field(default_factory=time.time)
    dismissed: str = ""  # why home has disconnected it

    @property
    def name(self) -> str:
        """The work's name."""
        return self.protocol.work

    async def open(self, call: OpenRequest) -> Framed:
        """Return a data connection on which the service is connected. Raise Refusal."""
        self.protocol.check(call.service)
        spares, why = len(self.spares), "went away"
        for number in range(spares + MAX_FRESH_CONNECTIONS):
            if number > spares:
                await asyncio.sleep(RETRY_DELAY)
            if (data := await self._obtain(call)) is None:
                break
            try:
                return await _ready(data)
            except ConnectionError as error:
                why = f"opens data connections that end at once: {error}"
        raise Refusal(Reason.NO_WORK, f"work {self.name} {why}")

    async def _obtain(self, call: OpenRequest) -> Framed | None:
        """Return a spare data connection, or else a new one; None if work is gone."""
        if self.spares:
            data = self.spares.popleft()
            data.send(encode(Use(call.service, call.client, call.server)))
            asyncio.get_running_loop().call_later(POOL_REFILL_DELAY, self.refill)
            return data
        return None if self.command.is_closing() else await self._begin(call)

    async def _begin(self, call: OpenRequest) -> Framed:
        begin = self.protocol.begin(call, time.monotonic())
        answer: asyncio.Future[Framed] = asyncio.get_running_loop().create_future()
        self._waiting[begin.token] = answer
        self.command.send(encode(begin))
        try:
            return await answer
        except BaseException:
            _abort_unused(answer)
            raise
        finally:
            del self._waiting[begin.token]
            self.protocol.pending.pop(begin.token, None)

    def claim(self, data: Framed, token: str) -> None:
        """Accept a data connection for the client that waits for it, or as a spare. Raise Refusal."""
        pending = self.protocol.claim(token, time.monotonic())
        data.start_keepalive(self.peer.heartbeat, self.peer.silence_timeout)
        if pending.call is None:
            self.spares.append(data)
            data.when_lost(self._remove_spare)
            return
        answer = self._waiting.get(token)
        if answer is None or answer.done():
            raise Refusal(Reason.STALE, "the client has disconnected")
        answer.set_result(data)

    def _remove_spare(self, data: Framed) -> None:
        with contextlib.suppress(ValueError):  # already used
            self.spares.remove(data)

    def refill(self) -> None:
        """Request the missing spare data connections."""
        missing = self.protocol.spares - len(self.spares) - self.protocol.spares_awaited
        for _ in range(missing):
            self.command.send(encode(self.protocol.spare(time.monotonic())))

    def maintain(self) -> None:
        """Remove expired tokens, and request missing spares. To be called about once a second."""
        self.protocol.expire(time.monotonic())
        self.refill()

    async def listen(self) -> None:
        """Handle work's messages until it is gone. Raise ConnectionError or ProtocolError."""
        while True:
            refused = self.protocol.receive(await receive(self.command))
            if refused is None:
                self._log_offer()
                self.refill()
            elif (answer := self._waiting.get(refused.token)) and not answer.done():
                answer.set_exception(Refusal(refused.reason, refused.text))

    def review(self, allows: Callable[[str], bool]) -> None:
        """Apply what home permits to the services that work offers."""
        before = self.protocol.denied
        self.protocol.review(allows)
        if self.protocol.denied != before:
            self._log_offer()

    def _log_offer(self) -> None:
        self.log.info(("offers", self.name), f"home: work {self.name} now offers {describe(self)}")

    def leave(self, reason: Refuse | None = None) -> None:
        """Disconnect work. Its open sessions continue; waiting clients are refused."""
        if reason is not None:
            self.dismissed = reason.text or reason.reason
            self.command.send(encode(reason))
        self.command.close()
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(Refusal(Reason.NO_WORK, f"work {self.name} went away"))
        for data in list(self.spares):
            data.close()
        self.spares.clear()


def _abort_unused(answer: asyncio.Future[Framed]) -> None:
    """Close a data connection that arrived in the same turn of the event loop in which its client left."""
    if answer.done() and not answer.cancelled() and answer.exception() is None:
        answer.result().abort()


async def _ready(data: Framed) -> Framed:
    """Return a data connection once its service is connected. Raise Refusal or ConnectionError."""
    try:
        match await receive(data):
            case Ready():
                return data
            case Refuse() as refuse:
                raise Refusal(refuse.reason, refuse.text)
            case message:
                raise Refusal(Reason.PROTOCOL, f"{type(message).__name__} on a data connection")
    except ProtocolError as error:
        data.abort()
        raise Refusal(Reason.PROTOCOL, str(error)) from None
    except BaseException:  # also a time-out, or the client's end
        data.abort()
        raise


def describe(work: ConnectedWork) -> str:
    """Return the services that work offers, for messages."""
    offered = ", ".join(work.protocol.services) or "nothing"
    denied = ", ".join(work.protocol.denied)
    return f"{offered} (not allowed: {denied})" if denied else offered


class WorkRegistry:
    """All connected works, in the order in which they are used: the longest connected first."""

    def __init__(self) -> None:
        self.log = ThrottledLog(logger, MAX_LINES_PER_MINUTE)
        self._by_name: dict[str, ConnectedWork] = {}
        self._replaced: dict[str, deque[str]] = {}  # earlier instances of each name

    def __iter__(self) -> Iterator[ConnectedWork]:
        """Return an iterator over the works."""
        return iter(list(self._by_name.values()))

    def add(self, work: ConnectedWork) -> None:
        """Add a work; it replaces one of the same name at once."""
        old = self._by_name.get(work.name)
        self._by_name[work.name] = work
        if old is None:
            return
        line = f"home: work {work.name} replaces its earlier command connection, from {old.address}"
        self.log.info(("replaces", work.name), line)
        if old.peer.instance and old.peer.instance != work.peer.instance:
            self._replaced.setdefault(work.name, deque(maxlen=MAX_REPLACED_INSTANCES)).append(old.peer.instance)
        old.leave(Refuse(Reason.REPLACED, f"by a newer command connection of the same name, from {work.address}"))

    def check_twin(self, peer: Peer, address: str) -> None:
        """Raise Refusal for a process that was replaced by a later one, which is still connected.

        After a restart, the old process never returns; but two machines with one name would replace each other forever.
        """
        if peer.instance in self._replaced.get(peer.name, ()):
            there = self._by_name[peer.name].address
            raise Refusal(
                Reason.REPLACED,
                f"two machines are work {peer.name}, {there} and {address}; give each a name of its own",
            )

    def remove(self, work: ConnectedWork) -> bool:
        """Remove a work; return whether it was still the current one of its name."""
        work.leave()
        if self._by_name.get(work.name) is not work:
            return False
        del self._by_name[work.name]
        self._replaced.pop(work.name, None)
        return True

    def dismiss(self, reason: Refuse, allowance: Allowance | None = None) -> None:
        """Disconnect works that may no longer offer anything; without an allowance, all."""
        for work in self:
            if allowance is None or not allowance.permits_any(work.name):
                work.leave(reason)

    @property
    def awaited(self) -> int:
        """The number of data connections on their way."""
        return sum(len(work.protocol.pending) for work in self)

    def find(self, service: str, name: str = "") -> list[ConnectedWork]:
        """Return the work of this name; without a name, those that offer the service, or one that may not.

        Raise Refusal if there is none.
        """
        if name:
            if name not in self._by_name:
                raise Refusal(Reason.NO_WORK, f"no work {name} is connected")
            return [self._by_name[name]]
        if not self._by_name:
            raise Refusal(Reason.NO_WORK, f"none offers {service}")
        if found := [work for work in self if service in work.protocol.services]:
            return found
        if denied := [work for work in self if service in work.protocol.denied]:
            return denied[:1]
        raise Refusal(Reason.UNKNOWN, f"no work offers {service}")

    def put_last(self, work: ConnectedWork) -> None:
        """Use the other works first from now on."""
        if self._by_name.get(work.name) is work:
            self._by_name[work.name] = self._by_name.pop(work.name)

    def claim(self, data: Framed, claim: Claim, certified: str | None) -> None:
        """Accept a work's data connection. Raise Refusal."""
        if certified is not None and certified != claim.work:
            raise Refusal(Reason.NOT_ALLOWED, f"the certificate says {certified}, not {claim.work}")
        work = self._by_name.get(claim.work)
        if work is None:
            raise Refusal(Reason.STALE, f"no work {claim.work} is connected")
        work.claim(data, claim.token)
