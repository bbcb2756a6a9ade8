"""A command connection at work, seen from either side, with no sockets: what may be asked, and what was. Pure.

Home asks for data connections by tokens, each good for one claim within a short life. Work knows its services by name
and nothing else: an address never travels from home to work.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from proxy_policies.addresses import Address
from proxy_policies.reverse_tunnel.protocol.messages import (
    Begin,
    Message,
    Offer,
    ProtocolError,
    Reason,
    Refusal,
    Refuse,
    Spare,
)
from proxy_policies.reverse_tunnel.protocol.services import MAX_SPARES, Service

TOKEN_LIFETIME = 10.0  # seconds


def new_token() -> str:
    """Make a token that nobody can guess."""
    return secrets.token_urlsafe(32)


@dataclass(frozen=True)
class OpenRequest:
    """What a client wants: a service, for whom, and where it came in."""

    service: str
    client: Address | None = None
    server: Address | None = None


@dataclass(frozen=True)
class PendingToken:
    """A data connection that home has asked for: for which call (None: a spare), until when."""

    call: OpenRequest | None
    expires: float


@dataclass
class HomeProtocol:
    """What home knows of one work. Times in seconds of the caller's clock."""

    work: str
    allows: Callable[[str], bool]
    make_token: Callable[[], str] = new_token
    services: tuple[str, ...] = ()
    denied: tuple[str, ...] = ()
    spares: int = 0
    pending: dict[str, PendingToken] = field(default_factory=dict)
    _offered: tuple[str, ...] = ()

    def receive(self, message: Message) -> Refuse | None:
        """Take in what work says; a refused request is handed on. Raises ProtocolError."""
        match message:
            case Offer():
                self._offered, self.spares = message.services, min(message.spares, MAX_SPARES)
                self.review(self.allows)
                return None
            case Refuse():
                self.pending.pop(message.token, None)
                return message
        raise ProtocolError(f"{type(message).__name__} has no place on a command connection")

    def review(self, allows: Callable[[str], bool]) -> None:
        """Sort what work offers into what it may and what it may not."""
        self.allows = allows
        self.services = tuple(name for name in self._offered if allows(name))
        self.denied = tuple(name for name in self._offered if not allows(name))

    def begin(self, call: OpenRequest, now: float) -> Begin:
        """Ask for a data connection for a call. Raises Refusal."""
        self.check(call.service)
        return Begin(self._new_token(call, now), call.service, call.client, call.server)

    def check(self, service: str) -> None:
        """Raise Refusal unless the service is to be had."""
        if service in self.denied:
            raise Refusal(Reason.NOT_ALLOWED, f"work {self.work} may not offer {service}")
        if service not in self.services:
            raise Refusal(Reason.UNKNOWN, f"work {self.work} offers no {service}")

    def spare(self, now: float) -> Spare:
        """Ask for a data connection ahead of its client."""
        return Spare(self._new_token(None, now))

    def _new_token(self, call: OpenRequest | None, now: float) -> str:
        token = self.make_token()
        self.pending[token] = PendingToken(call, now + TOKEN_LIFETIME)
        return token

    def claim(self, token: str, now: float) -> PendingToken:
        """Use a token up. Raises Refusal for one that is unknown, used or too old."""
        pending = self.pending.pop(token, None)
        if pending is None or pending.expires < now:
            raise Refusal(Reason.STALE, "nobody waits for this data connection")
        return pending

    def expire(self, now: float) -> None:
        """Forget the tokens that are too old."""
        self.pending = {token: pending for token, pending in self.pending.items() if pending.expires >= now}

    @property
    def spares_awaited(self) -> int:
        """How many spare data connections are on their way."""
        return sum(pending.call is None for pending in self.pending.values())


@dataclass
class WorkProtocol:
    """What work knows while its command connection stands."""

    services: Mapping[str, Service]
    spares: int

    def offer(self) -> Offer:
        """Return what there is."""
        return Offer(tuple(self.services), self.spares)

    def receive(self, message: Message) -> Begin | Spare:
        """Return what home asks for. Raises Refusal when home sends us away, ProtocolError."""
        match message:
            case Begin() | Spare():
                return message
            case Refuse():
                raise Refusal(message.reason, message.text)
        raise ProtocolError(f"{type(message).__name__} has no place on a command connection")

    def service(self, name: str) -> Service:
        """Return the service of that name. Raises Refusal."""
        service = self.services.get(name)
        if service is None:
            raise Refusal(Reason.UNKNOWN, f"this work offers no {name}")
        return service
