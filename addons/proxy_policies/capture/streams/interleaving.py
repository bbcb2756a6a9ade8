"""In which order both sides of a gRPC call spoke: a client may wait for an answer before its next message.

What the times of the frames say is what was waited for, or came by chance just so: either order is kept.
"""

from dataclasses import dataclass
from enum import Enum

from proxy_policies.capture.model import Entry, Request, Response, header
from proxy_policies.capture.streams.arrivals import pieces
from proxy_policies.capture.streams.messages import is_grpc


class Kind(Enum):
    """What a side did."""

    CLIENT = "the client sent a message"
    CLIENT_END = "the client ended its part"
    HEAD = "the server sent its head"
    SERVER = "the server sent a message"
    SERVER_END = "the server ended"

    @property
    def is_client(self) -> bool:
        """Return whether it was the client that did it."""
        return self in (Kind.CLIENT, Kind.CLIENT_END)


@dataclass(frozen=True, slots=True)
class Step:
    """What a side did, when (seconds since the epoch), and the octets of the message."""

    kind: Kind
    time: float
    data: bytes = b""


def interleaving(entry: Entry) -> list[Step]:
    """Return what both sides of a call did, in order; what came at the same time is the client's first."""
    steps = _messages(entry.request, Kind.CLIENT)
    ended = entry.times.request_end
    if ended is not None and not entry.request.body.cut:
        steps.append(Step(Kind.CLIENT_END, max([ended, *(step.time for step in steps)])))
    began = entry.times.response_start or entry.times.request_start
    answered = [Step(Kind.HEAD, began), *_messages(entry.response, Kind.SERVER)]
    last = max(step.time for step in answered)
    if entry.response.body.cut != "client":
        answered.append(Step(Kind.SERVER_END, max(entry.times.response_end or last, last)))
    return sorted([*steps, *answered], key=lambda step: step.time)


def is_interleaved(entry: Entry) -> bool:
    """Return whether the server of a gRPC call spoke before its client was through."""
    body = entry.request.body
    if not (is_grpc(entry.request) and body.frame_times and entry.response.status and body.wire is None):
        return False
    kinds = [step.kind for step in interleaving(entry)]
    return any(kind.is_client for kind in kinds[kinds.index(Kind.HEAD) :])


def awaited(entry: Entry) -> list[tuple[bytes, int]]:
    """Return the client's messages, each with how much of its answer had come before: the head, and messages.

    The last is its end, of no octets.
    """
    found, count = [], 0
    for step in interleaving(entry):
        if step.kind.is_client:
            found.append((step.data, count))
        count += not step.kind.is_client
    return found


def _messages(message: Request | Response, kind: Kind) -> list[Step]:
    body = message.body
    times = body.frame_times
    parts = pieces(body.content, header(message.headers, "content-type") or "")
    return [Step(kind, times[min(number, len(times) - 1)], part) for number, part in enumerate(parts)] if times else []
