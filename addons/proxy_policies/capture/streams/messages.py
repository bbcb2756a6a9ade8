"""Whether messages are streams, and the number of their frames."""

from proxy_policies.capture.model import Request, Response, header
from proxy_policies.capture.streams.frames import FrameFormat, declared_framing, framing_of, has_content, split


def _content_type(message: Request | Response) -> str:
    return header(message.headers, "content-type") or ""


def is_stream(message: Request | Response) -> bool:
    """Return whether a message's body has frames."""
    return framing_of(message.body.content, _content_type(message)) is not None


def is_grpc(message: Request | Response) -> bool:
    """Return whether a message is of gRPC, or of a protocol with its framing."""
    return declared_framing(_content_type(message)) is FrameFormat.MESSAGES


def frame_count(message: Request | Response) -> int:
    """Return the number of complete frames with content of a body."""
    framing = framing_of(message.body.content, _content_type(message))
    if framing is None:
        return 0
    return sum(has_content(frame, framing) for frame in split(message.body.content, framing)[0])
