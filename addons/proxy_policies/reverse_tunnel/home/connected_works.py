"""The works that are connected to home, and how home gets a data connection from one of them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from proxy_policies.reverse_tunnel.limits import LINES_AT_ONCE
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

FRESH_TRIES = 3  # data connections asked for in turn while each ends without a word; a spare that does costs none
TRY_AGAIN = 0.2  # seconds between two of them
POOL_REFILL_DELAY = (
    0.02  # seconds: a spare's handshake must not cost the client who took the last one what it saves him
)
INSTANCES = 16  # earlier processes of a name that are remembered
FAIL_OVER = 3.0  # seconds after which the next work is tried: TCP's first SYN is sent twice by then (RFC 6298)
OPEN_TIMEOUT = 10.0  # seconds from a client's arrival to its service's answer


@dataclass(eq=False)
class ConnectedWork:
    """One work: its command connection, the data connections it keeps ready, the clients that wait for one."""

    peer: Peer
    command: Framed
    protocol: HomeProtocol
    log: ThrottledLog
    address: str = ""
    spares: deque[Framed] = field(default_factory=deque)
    _waiting: dict[str, asyncio.Future[Framed]] = field(default_factory=dict)
    since: float = field(default_factory=time.time)
    dismissed: str = ""  # why home has sent it away

    @property
    def name(self) -> str:
        """Its identity."""
        return self.protocol.work

    async def open(self, call: OpenRequest) -> Framed:
        """Return a data connection whose service answers. Raises Refusal."""
        self.protocol.check(call.service)
        spares, why = len(self.spares), "went away"
        for number in range(spares + FRESH_TRIES):
            if number > spares:
                await asyncio.sleep(TRY_AGAIN)
            if (data := await self._obtain(call)) is None:
                break
            try:
                return await _ready(data)
            except ConnectionError as error:
                why = f"opens data connections that end at once: {error}"
        raise Refusal(Reason.NO_WORK, f"work {self.name} {why}")

    async def _obtain(self, call: OpenRequest) -> Framed | None:
        """Take a spare data connection, else ask for one; None when work is gone."""
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
        """Take a data connection in. Raises Refusal when nobody waits for it."""
        pending = self.protocol.claim(token, time.monotonic())
        data.start_keepalive(self.peer.heartbeat, self.peer.silence_timeout)
        if pending.call is None:
            self.spares.append(data)
            data.when_lost(self._forget)
            return
        answer = self._waiting.get(token)
        if answer is None or answer.done():
            raise Refusal(Reason.STALE, "the client has gone")
        answer.set_result(data)

    def _forget(self, data: Framed) -> None:
        with contextlib.suppress(ValueError):  # taken already
            self.spares.remove(data)

    def refill(self) -> None:
        """Ask for as many spare data connections as are missing."""
        missing = self.protocol.spares - len(self.spares) - self.protocol.spares_awaited
        for _ in range(missing):
            self.command.send(encode(self.protocol.spare(time.monotonic())))

    def tend(self) -> None:
        """Forget old tokens; keep the spares complete. To be called about once a second."""
        self.protocol.expire(time.monotonic())
        self.refill()

    async def listen(self) -> None:
        """Take in what work says until it is gone. Raises ConnectionError, ProtocolError."""
        while True:
            refused = self.protocol.receive(await receive(self.command))
            if refused is None:
                self.log.info(("offers", self.name), f"home: work {self.name} now offers {describe(self)}")
                self.refill()
            elif (answer := self._waiting.get(refused.token)) and not answer.done():
                answer.set_exception(Refusal(refused.reason, refused.text))

    def leave(self, reason: Refuse | None = None) -> None:
        """Let go of work. Its live sessions go on; clients that still wait are refused."""
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
    """End a data connection that came in the turn of the event loop in which its client left."""
    if answer.done() and not answer.cancelled() and answer.exception() is None:
        answer.result().abort()


async def _ready(data: Framed) -> Framed:
    """Wait for the service behind a data connection. Raises Refusal, ConnectionError."""
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
    except BaseException:  # the client's own time-out or end, too
        data.abort()
        raise


def describe(work: ConnectedWork) -> str:
    """Return what work offers."""
    offered = ", ".join(work.protocol.services) or "nothing"
    denied = ", ".join(work.protocol.denied)
    return f"{offered} (not allowed: {denied})" if denied else offered


class WorkRegistry:
    """All works that are connected, those first that clients are to be sent to first: the longest connected."""

    def __init__(self) -> None:
        self.log = ThrottledLog(logger, LINES_AT_ONCE)
        self._by_name: dict[str, ConnectedWork] = {}
        self._replaced: dict[str, deque[str]] = {}  # instances that had the place of the one that has it now

    def __iter__(self) -> Iterator[ConnectedWork]:
        """Go through them."""
        return iter(list(self._by_name.values()))

    def add(self, work: ConnectedWork) -> None:
        """Take a work in; one of the same name is replaced at once."""
        old = self._by_name.get(work.name)
        self._by_name[work.name] = work
        if old is None:
            return
        line = f"home: work {work.name} replaces its earlier command connection, from {old.address}"
        self.log.info(("replaces", work.name), line)
        if old.peer.instance and old.peer.instance != work.peer.instance:
            self._replaced.setdefault(work.name, deque(maxlen=INSTANCES)).append(old.peer.instance)
        old.leave(Refuse(Reason.REPLACED, f"by a newer command connection of the same name, from {work.address}"))

    def check_twin(self, peer: Peer, address: str) -> None:
        """Refuse a process that comes back to a place which a later one has taken, and keeps.

        A restart never comes back; two machines that have one name would take the place from each other for ever.
        """
        if peer.instance in self._replaced.get(peer.name, ()):
            there = self._by_name[peer.name].address
            raise Refusal(
                Reason.REPLACED,
                f"two machines are work {peer.name}, {there} and {address}; give each a name of its own",
            )

    def remove(self, work: ConnectedWork) -> bool:
        """Let a work go; whether it was still the one of its name."""
        work.leave()
        if self._by_name.get(work.name) is not work:
            return False
        del self._by_name[work.name]
        self._replaced.pop(work.name, None)
        return True

    def dismiss(self, reason: Refuse, allowance: Allowance | None = None) -> None:
        """Send away those that may offer nothing any more; all of them without an allowance."""
        for work in self:
            if allowance is None or not allowance.knows(work.name):
                work.leave(reason)

    @property
    def awaited(self) -> int:
        """How many data connections are on their way."""
        return sum(len(work.protocol.pending) for work in self)

    def find(self, service: str, name: str = "") -> list[ConnectedWork]:
        """Return the work of that name, or else those that offer the service. Raises Refusal."""
        if name:
            if name not in self._by_name:
                raise Refusal(Reason.NO_WORK, f"no work {name} is connected")
            return [self._by_name[name]]
        if not self._by_name:
            raise Refusal(Reason.NO_WORK, f"none offers {service}")
        if found := [work for work in self if service in work.protocol.services]:
            return found
        raise Refusal(Reason.UNKNOWN, f"no work offers {service}")

    def put_last(self, work: ConnectedWork) -> None:
        """Send clients to the others first, from now on."""
        if self._by_name.get(work.name) is work:
            self._by_name[work.name] = self._by_name.pop(work.name)

    def claim(self, data: Framed, claim: Claim, certified: str | None) -> None:
        """Take a data connection in. Raises Refusal."""
        if certified is not None and certified != claim.work:
            raise Refusal(Reason.NOT_ALLOWED, f"the certificate says {certified}, not {claim.work}")
        work = self._by_name.get(claim.work)
        if work is None:
            raise Refusal(Reason.STALE, f"no work {claim.work} is connected")
        work.claim(data, claim.token)
