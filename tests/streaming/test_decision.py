"""What decides whether a body is streamed."""

import pytest
from mitmproxy import http
from mitmproxy.test import tflow

from proxy_policies.streaming.decision import is_endless, known_length, length_of


def message(**fields: str) -> http.Message:
    made = http.Response.make(200)
    made.headers = http.Headers([(name.replace("_", "-").encode(), value.encode()) for name, value in fields.items()])
    return made


@pytest.mark.parametrize(
    ("fields", "length"),
    [
        ({"content_length": "12"}, 12),
        ({"content_length": "0"}, 0),
        ({}, None),
        ({"content_length": "12", "transfer_encoding": "chunked"}, None),
        ({"content_length": "-1"}, None),
        ({"content_length": "1e3"}, None),
        ({"content_length": "\u0661"}, None),
    ],
)
def test_declared_lengths(fields: dict[str, str], length: int | None) -> None:
    assert known_length(message(**fields)) == length


@pytest.mark.parametrize(
    ("media_type", "endless"),
    [
        ("text/event-stream", True),
        ("Text/Event-Stream; charset=utf-8", True),
        ("application/grpc-web+proto", True),
        ("multipart/x-mixed-replace;boundary=x", True),
        ("text/plain", False),
        ("", False),
    ],
)
def test_media_types_whose_parts_are_needed_at_once(media_type: str, endless: bool) -> None:
    assert is_endless(message(content_type=media_type)) is endless
    assert not is_endless(message())


def test_the_length_of_a_response() -> None:
    flow = tflow.tflow(resp=True)
    assert flow.response
    flow.response.raw_content = b"four"
    assert length_of(flow, flow.response) == 4
    flow.response.raw_content, flow.response.headers["content-length"] = None, "7"
    assert length_of(flow, flow.response) == 7
    flow.request.method = "HEAD"
    flow.response.raw_content = b""
    assert length_of(flow, flow.response) == 7
