"""Which messages are streams, and of how many frames."""

from proxy_policies.capture.model import Body, Response
from proxy_policies.capture.streams.messages import frame_count, is_grpc, is_stream


def response(content: bytes, content_type: str) -> Response:
    return Response(200, "", (("Content-Type", content_type),), Body(content))


def test_frames_that_say_something_are_counted() -> None:
    events = response(b": alive\n\ndata: 1\n\ndata: 2\n\ndata", "text/event-stream")
    assert (is_stream(events), is_grpc(events), frame_count(events)) == (True, False, 2)
    call = response(b"\0\0\0\0\0", "application/grpc")
    assert (is_stream(call), is_grpc(call), frame_count(call)) == (True, True, 1)
    page = response(b"\n\n", "text/html")
    assert (is_stream(page), is_grpc(page), frame_count(page)) == (False, False, 0)
