"""The state of a command connection after its handshake, for either side. Pure.

Home requests data connections with tokens, each valid once and for a short time. It names services only by name: no
address is ever sent from home to work.
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
    """Return a random token."""
    return secrets.token_urlsafe(32)


@dataclass(frozen=True)
class OpenRequest:
    """A client's request for a service, with the addresses of its connection."""

    service: str
    client: Address | None = None
    server: Address | None = None


@dataclass(frozen=True)
class PendingToken:
    """A data connection that home has requested: for which call (None: a spare), and until when."""

    call: OpenRequest | None
    expires: float


@dataclass
class HomeProtocol:
    """Home's state of one work. Times are in seconds of the caller's clock."""

    work: str
    allows: Callable[[str], bool]
    make_token: Callable[[], str] = new_token
    services: tuple[str, ...] = ()
    denied: tuple[str, ...] = ()
    spares: int = 0
    pending: dict[str, PendingToken] = field(default_factory=dict)
    _offered: tuple[str, ...] = ()

    def receive(self, message: Message) -> Refuse | None:
        """Handle work's message; return a refusal of one of our requests. Raise ProtocolError."""
        match message:
            case Offer():
                self._offered, self.spares = message.services, min(message.spares, MAX_SPARES)
                self.review(self.allows)
                return None
            case Refuse():
                self.pending.pop(message.token, None)
                return message
        raise ProtocolError(f"{type(message).__name__} is not allowed on a command connection")

    def review(self, allows: Callable[[str], bool]) -> None:
        """Divide work's services into permitted and denied ones."""
        self.allows = allows
        self.services = tuple(name for name in self._offered if allows(name))
        self.denied = tuple(name for name in self._offered if not allows(name))

    def begin(self, call: OpenRequest, now: float) -> Begin:
        """Return the request for a data connection for a call. Raise Refusal."""
        self.check(call.service)
        return Begin(self._new_token(call, now), call.service, call.client, call.server)

    def check(self, service: str) -> None:
        """Raise Refusal unless the service is offered and permitted."""
        if service in self.denied:
            raise Refusal(Reason.NOT_ALLOWED, f"work {self.work} may not offer {service}")
        if service not in self.services:
            raise Refusal(Reason.UNKNOWN, f"work {self.work} offers no {service}")

    def spare(self, now: float) -> Spare:
        """Return the request for a spare data connection."""
        return Spare(self._new_token(None, now))

    def _new_token(self, call: OpenRequest | None, now: float) -> str:
        token = self.make_token()
        self.pending[token] = PendingToken(call, now + TOKEN_LIFETIME)
        return token

    def claim(self, token: str, now: float) -> PendingToken:
        """Return what a token was made for, and invalidate it. Raise Refusal if it is unknown, used or expired."""
        pending = self.pending.pop(token, None)
        if pending is None or pending.expires < now:
            raise Refusal(Reason.STALE, "no client waits for this data connection")
        return pending

    def expire(self, now: float) -> None:
        """Remove expired tokens."""
        self.pending = {token: pending for token, pending in self.pending.items() if pending.expires >= now}

    @property
    def spares_awaited(self) -> int:
        """The number of spare data connections on their way."""
        return sum(pending.call is None for pending in self.pending.values())


@dataclass
class WorkProtocol:
    """Work's state while its command connection is open."""

    services: Mapping[str, Service]
    spares: int

    def offer(self) -> Offer:
        """Return the message with our services."""
        return Offer(tuple(self.services), self.spares)

    def receive(self, message: Message) -> Begin | Spare:
        """Return home's request. Raise Refusal if home disconnects us, or ProtocolError."""
        match message:
            case Begin() | Spare():
                return message
            case Refuse():
                raise Refusal(message.reason, message.text)
        raise ProtocolError(f"{type(message).__name__} is not allowed on a command connection")

    def service(self, name: str) -> Service:
        """Return the service of this name. Raise Refusal."""
        service = self.services.get(name)
        if service is None:
            raise Refusal(Reason.UNKNOWN, f"this work offers no {name}")
        return service
