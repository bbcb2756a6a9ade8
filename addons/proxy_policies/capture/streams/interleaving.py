"""The order in which both sides of a gRPC call sent: a client may wait for a response before its next message.

The order is that of the frames' times, as it is not known which side waited for the other.
"""

from dataclasses import dataclass
from enum import Enum

from proxy_policies.capture.model import Entry, Request, Response, header
from proxy_policies.capture.streams.arrivals import pieces
from proxy_policies.capture.streams.messages import is_grpc


class StepKind(Enum):
    """The kind of a step."""

    CLIENT = "the client sent a message"
    CLIENT_END = "the client ended its part"
    HEAD = "the server sent its head"
    SERVER = "the server sent a message"
    SERVER_END = "the server ended"

    @property
    def is_client(self) -> bool:
        """Return whether it is a step of the client."""
        return self in (StepKind.CLIENT, StepKind.CLIENT_END)


@dataclass(frozen=True, slots=True)
class CallStep:
    """A step of one side, its time in seconds since the epoch, and the message."""

    kind: StepKind
    time: float
    data: bytes = b""


def interleaving(entry: Entry) -> list[CallStep]:
    """Return the steps of both sides of a call in order; of those at the same time, the client's first."""
    steps = _messages(entry.request, StepKind.CLIENT)
    ended = entry.times.request_end
    if ended is not None and not entry.request.body.cut:
        steps.append(CallStep(StepKind.CLIENT_END, max([ended, *(step.time for step in steps)])))
    start = entry.times.response_start or entry.times.request_start
    response = [CallStep(StepKind.HEAD, start), *_messages(entry.response, StepKind.SERVER)]
    last = max(step.time for step in response)
    if entry.response.body.cut != "client":
        response.append(CallStep(StepKind.SERVER_END, max(entry.times.response_end or last, last)))
    return sorted([*steps, *response], key=lambda step: step.time)


def is_interleaved(entry: Entry) -> bool:
    """Return whether the server of a gRPC call responded before the client had sent everything."""
    body = entry.request.body
    if not (is_grpc(entry.request) and body.frame_times and entry.response.status and body.wire is None):
        return False
    kinds = [step.kind for step in interleaving(entry)]
    return any(kind.is_client for kind in kinds[kinds.index(StepKind.HEAD) :])


def client_waits(entry: Entry) -> list[tuple[bytes, int]]:
    """Return the client's messages, each with the number of parts of the response before it: head, and messages.

    The last one is the empty end of the request.
    """
    waits, count = [], 0
    for step in interleaving(entry):
        if step.kind.is_client:
            waits.append((step.data, count))
        count += not step.kind.is_client
    return waits


def _messages(message: Request | Response, kind: StepKind) -> list[CallStep]:
    body = message.body
    times = body.frame_times
    parts = pieces(body.content, header(message.headers, "content-type") or "")
    return (
        [CallStep(kind, times[min(number, len(times) - 1)], part) for number, part in enumerate(parts)] if times else []
    )
