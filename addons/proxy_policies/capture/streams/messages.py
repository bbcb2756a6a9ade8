"""Which messages are streams."""

from proxy_policies.capture.model import Request, Response, header
from proxy_policies.capture.streams.frames import Framing, declared_framing, framing_of, says_something, split


def _content_type(message: Request | Response) -> str:
    return header(message.headers, "content-type") or ""


def is_stream(message: Request | Response) -> bool:
    """Return whether a message's body is parted into frames."""
    return framing_of(message.body.content, _content_type(message)) is not None


def is_grpc(message: Request | Response) -> bool:
    """Return whether a message is gRPC's, or another's that is framed like it."""
    return declared_framing(_content_type(message)) is Framing.MESSAGES


def frame_count(message: Request | Response) -> int:
    """Return how many whole frames a body has that say something."""
    framing = framing_of(message.body.content, _content_type(message))
    if framing is None:
        return 0
    return sum(says_something(frame, framing) for frame in split(message.body.content, framing)[0])
