"""The handshake of a command connection: names, and proofs of the secret. Pure; the nonces are arguments.

Work proves first, so that home gives an unauthenticated peer nothing to guess from. Both proofs cover the digest of
home's certificate on this connection: a man in the middle has another one, and neither proof is valid.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

from proxy_policies.reverse_tunnel.protocol.messages import (
    PROTOCOL,
    VERSION,
    Challenge,
    Hello,
    Message,
    ProtocolError,
    Prove,
    Reason,
    Refusal,
    Refuse,
    Welcome,
)

CAPABILITIES: tuple[str, ...] = ()  # none yet; a later version may add "udp"
MAX_MISSED_HEARTBEATS = 3  # missing heartbeats after which a peer counts as lost


@dataclass(frozen=True)
class Peer:
    """The peer after the handshake. `heartbeat` and `silence_timeout` are in seconds."""

    name: str
    heartbeat: float
    silence_timeout: float
    capabilities: frozenset[str] = frozenset()
    instance: str = ""


@dataclass(frozen=True)
class Terms:
    """One side's name, heartbeat in seconds, key derived from the secret, and the digest of home's certificate."""

    name: str
    heartbeat: float
    nonce: str
    key: bytes = b""
    digest: bytes = b""
    instance: str = ""

    def proof(self, role: str, work: str, nonces: tuple[str, str]) -> str:
        """Return the proof of the key for `role` ("work" or "home"); empty without a key."""
        if not self.key:
            return ""
        said = "\n".join((PROTOCOL, role, work, *nonces, self.digest.hex()))
        return hmac.new(self.key, said.encode(), hashlib.sha256).hexdigest()

    def peer(self, name: str, said: Hello | Challenge) -> Peer:
        """Return the peer described by its message."""
        silence_timeout = MAX_MISSED_HEARTBEATS * max(self.heartbeat, said.heartbeat)
        capabilities = frozenset(CAPABILITIES).intersection(said.capabilities)
        instance = said.instance if isinstance(said, Hello) else ""
        return Peer(name, self.heartbeat, silence_timeout, capabilities, instance)


def _check(proof: str, expected: str) -> None:
    if not hmac.compare_digest(proof, expected):
        raise Refusal(Reason.SECRET, "home and work do not have the same secret, or the connection is intercepted")


def _check_name(name: str, certified: str | None) -> None:
    if certified is not None and name != certified:
        raise Refusal(Reason.NOT_ALLOWED, f"the certificate says {certified}, not {name}")


def _check_version(version: int, whose: str) -> None:
    if version != VERSION:
        raise Refusal(Reason.VERSION, f"{whose} speaks version {version}, this side speaks {VERSION}")


class HomeHandshake:
    """Home's side. `certified` is the name in work's certificate, None if none is required."""

    def __init__(self, terms: Terms, certified: str | None = None) -> None:
        self.peer: Peer | None = None
        self._terms, self._certified = terms, certified
        self._hello: Hello | None = None

    def receive(self, message: Message) -> Message:
        """Return the answer; `peer` is set once the handshake is complete. Raise Refusal or ProtocolError."""
        match message:
            case Hello() if self._hello is None:
                return self._greet(message)
            case Prove() if self._hello is not None and self.peer is None:
                return self._welcome(self._hello, message)
        raise ProtocolError(f"{type(message).__name__} is not allowed in the handshake")

    def _greet(self, hello: Hello) -> Challenge:
        if hello.protocol != PROTOCOL:
            raise ProtocolError("another protocol")
        _check_version(hello.version, "work")
        _check_name(hello.name, self._certified)
        self._hello = hello
        return Challenge(self._terms.nonce, self._terms.heartbeat, capabilities=CAPABILITIES)

    def _welcome(self, hello: Hello, prove: Prove) -> Welcome:
        nonces = self._terms.nonce, hello.nonce
        _check(prove.proof, self._terms.proof("work", hello.name, nonces))
        self.peer = self._terms.peer(hello.name, hello)
        return Welcome(self._terms.proof("home", hello.name, nonces), self._terms.name)


class WorkHandshake:
    """Work's side. `certified` is the name in home's certificate, None if certificates are not used."""

    def __init__(self, terms: Terms, certified: str | None = None) -> None:
        self.peer: Peer | None = None
        self._terms, self._certified = terms, certified
        self._challenge: Challenge | None = None

    def start(self) -> Hello:
        """Return the first message."""
        terms = self._terms
        return Hello(terms.name, terms.nonce, terms.heartbeat, capabilities=CAPABILITIES, instance=terms.instance)

    def receive(self, message: Message) -> Message | None:
        """Return the answer, None at the end, when `peer` is set. Raise Refusal or ProtocolError."""
        match message:
            case Refuse():
                raise Refusal(message.reason, message.text)
            case Challenge() if self._challenge is None:
                _check_version(message.version, "home")
                self._challenge = message
                return Prove(self._terms.proof("work", self._terms.name, (message.nonce, self._terms.nonce)))
            case Welcome() if self._challenge is not None and self.peer is None:
                nonces = self._challenge.nonce, self._terms.nonce
                _check(message.proof, self._terms.proof("home", self._terms.name, nonces))
                _check_name(message.home, self._certified)
                self.peer = self._terms.peer(message.home, self._challenge)
                return None
        raise ProtocolError(f"{type(message).__name__} is not allowed in the handshake")
