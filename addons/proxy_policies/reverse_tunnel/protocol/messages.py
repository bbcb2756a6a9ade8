"""The messages between home and work: a dataclass and a frame type for each, JSON in the frame. Pure.

Unknown fields are ignored, so that later versions can add some; an unknown message type is an error.
"""

from __future__ import annotations

import enum
import json
import math
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Annotated, Any, get_type_hints

from proxy_policies.addresses import Address
from proxy_policies.log_lines import printable
from proxy_policies.reverse_tunnel.protocol.frames import Bytes, FrameKind, frame
from proxy_policies.reverse_tunnel.protocol.services import NAME

VERSION = 1
PROTOCOL = "proxy-policies tunnel"

_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")  # 32 random bytes, base64url
_HEX = re.compile(r"[0-9a-f]{64}")


class ProtocolError(ValueError):
    """The peer has violated the protocol."""


class Reason(enum.StrEnum):
    """Why something was refused, as logged."""

    NO_WORK = "no work connected"
    UNKNOWN = "service unknown"
    REFUSED = "service refused"
    TIMEOUT = "timed out"
    LIMIT = "limit reached"
    NOT_ALLOWED = "not allowed"
    VERSION = "version"
    SECRET = "wrong secret"  # noqa: S105
    STALE = "stale token"
    REPLACED = "replaced"
    RESTART = "home starts anew"
    PROTOCOL = "protocol"


class Refusal(ValueError):
    """A request was refused."""

    def __init__(self, reason: Reason, text: str = "") -> None:
        super().__init__(f"{reason}: {text}" if text else str(reason))
        self.reason, self.text = reason, text


# Readers of one JSON value each; they raise ValueError with what was expected.

type _Reader = Callable[[Any], Any]


def _reader(fits: Callable[[Any], bool], expected: str) -> _Reader:
    def read(value: Any) -> Any:
        if not fits(value):
            raise ValueError(expected)
        return value

    return read


def _matching(pattern: re.Pattern[str], *, empty: bool = False) -> _Reader:
    def fits(value: Any) -> bool:
        return isinstance(value, str) and (pattern.fullmatch(value) is not None or (empty and not value))

    return _reader(fits, f"text like {pattern.pattern}")


def _up_to(most: int) -> _Reader:
    return _reader(lambda value: type(value) is int and 0 <= value <= most, f"a number up to {most}")


def _list_of(read: _Reader, most: int) -> _Reader:
    def read_all(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list) or len(value) > most:
            raise ValueError(f"a list of up to {most}")
        return tuple(read(item) for item in value)

    return read_all


def _is_duration(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value) and 0 < value <= 3600


def _read_address(value: Any) -> Address | None:
    if value is None:
        return None
    if not isinstance(value, list) or len(value) != 2:
        raise ValueError("[host, port] or null")
    return _read_text(value[0]), _up_to(65535)(value[1])


def _read_reason(value: Any) -> Reason:
    return Reason(value) if value in tuple(Reason) else Reason.PROTOCOL


def _read_text(value: Any) -> str:
    """Return a text of the peer with control characters escaped, as it may be logged."""
    if not isinstance(value, str) or len(value) > 512:
        raise ValueError("a short text")
    return printable(value)


_read_name = _reader(lambda value: isinstance(value, str) and NAME.fullmatch(value) is not None, "a name")

Text = Annotated[str, _read_text]
Name = Annotated[str, _read_name]
Names = Annotated[tuple[str, ...], _list_of(_read_name, 256)]
Texts = Annotated[tuple[str, ...], _list_of(_read_text, 64)]
Nonce = Annotated[str, _matching(_HEX)]
Proof = Annotated[str, _matching(_HEX, empty=True)]
Token = Annotated[str, _matching(_TOKEN)]
TokenOrNone = Annotated[str, _matching(_TOKEN, empty=True)]
Number = Annotated[int, _up_to(1 << 16)]
Seconds = Annotated[float, _reader(_is_duration, "seconds, up to an hour")]
OptionalAddress = Annotated[Address | None, _read_address]
RefusalReason = Annotated[Reason, _read_reason]


@dataclass(frozen=True, slots=True)
class Hello:
    """Work opens a command connection. `heartbeat` in seconds; `instance` differs between processes of one name."""

    name: Name
    nonce: Nonce
    heartbeat: Seconds
    version: Number = VERSION
    capabilities: Texts = ()
    protocol: Text = PROTOCOL
    instance: Text = ""


@dataclass(frozen=True, slots=True)
class Challenge:
    """Home answers, and requests the proof."""

    nonce: Nonce
    heartbeat: Seconds
    version: Number = VERSION
    capabilities: Texts = ()


@dataclass(frozen=True, slots=True)
class Prove:
    """Work proves that it knows the secret; empty if there is none."""

    proof: Proof


@dataclass(frozen=True, slots=True)
class Welcome:
    """Home proves the same, and sends its name."""

    proof: Proof
    home: Name = "home"


@dataclass(frozen=True, slots=True)
class Offer:
    """Work's services, and the number of spare data connections it wishes to keep."""

    services: Names
    spares: Number = 0


@dataclass(frozen=True, slots=True)
class Begin:
    """Begin data connect: open a data connection for this service. `client` connected to `server`, if known."""

    token: Token
    service: Name
    client: OptionalAddress = None
    server: OptionalAddress = None


@dataclass(frozen=True, slots=True)
class Spare:
    """Open a data connection that waits for its client."""

    token: Token


@dataclass(frozen=True, slots=True)
class Refuse:
    """A refusal with its reason; `token` identifies the request, if needed."""

    reason: RefusalReason
    text: Text = ""
    token: TokenOrNone = ""


@dataclass(frozen=True, slots=True)
class Claim:
    """The first frame of a data connection: the request that it answers."""

    work: Name
    token: Token


@dataclass(frozen=True, slots=True)
class Use:
    """This spare data connection is now used for a client."""

    service: Name
    client: OptionalAddress = None
    server: OptionalAddress = None


@dataclass(frozen=True, slots=True)
class Ready:
    """The service connection is open; the stream starts."""


type Message = Hello | Challenge | Prove | Welcome | Offer | Begin | Spare | Refuse | Claim | Use | Ready

_TYPES: dict[int, type[Message]] = {
    16: Hello,
    17: Challenge,
    18: Prove,
    19: Welcome,
    20: Offer,
    21: Begin,
    22: Spare,
    23: Refuse,
    24: Claim,
    25: Use,
    26: Ready,
}
_KINDS = {message: kind for kind, message in _TYPES.items()}
_READERS: dict[type[Message], dict[str, _Reader]] = {
    message: {name: hint.__metadata__[0] for name, hint in get_type_hints(message, include_extras=True).items()}
    for message in _TYPES.values()
}


def encode(message: Message) -> bytes:
    """Return a message as one frame."""
    return frame(_KINDS[type(message)], json.dumps(asdict(message), separators=(",", ":")).encode())


def decode(kind: int, payload: Bytes) -> Message:
    """Return the message in a frame. Raise ProtocolError."""
    if kind == FrameKind.RST:
        return Refuse(Reason.PROTOCOL, printable(bytes(payload).decode(errors="replace")[:512]))
    message = _TYPES.get(kind)
    if message is None:
        raise ProtocolError(f"a frame of type {kind} is not a message")
    return _build(message, _object(payload))


def _object(payload: Bytes) -> dict[str, Any]:
    try:
        value = json.loads(bytes(payload))
    except (ValueError, RecursionError) as error:
        raise ProtocolError("a message is a JSON object") from error
    if not isinstance(value, dict):
        raise ProtocolError("a message is a JSON object")
    return value


def _build(message: type[Message], values: dict[str, Any]) -> Message:
    known = {}
    for name, read in _READERS[message].items():
        if name in values:
            try:
                known[name] = read(values[name])
            except ValueError as error:
                raise ProtocolError(f"{message.__name__}: {name} must be {error}") from None
    try:
        return message(**known)
    except TypeError:
        raise ProtocolError(f"{message.__name__}: a field is missing") from None
