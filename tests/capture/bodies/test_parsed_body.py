"""What a body is taken for, and its value."""

from typing import Any

import pytest

from proxy_policies.capture.bodies.parsed_body import BodyKind, parse
from proxy_policies.capture.model import Body

CASES: dict[str, tuple[str, Body, BodyKind, Any]] = {
    "nothing": ("application/json", Body(), BodyKind.EMPTY, None),
    "JSON": ("application/json", Body(b'{"a": 1}'), BodyKind.JSON, {"a": 1}),
    "JSON by its looks": ("text/plain", Body(b"[1]"), BodyKind.JSON, [1]),
    "lines": ("application/json", Body(b'{"a": 1}\n{"a": 2}\n'), BodyKind.STREAM, {"lines": [{"a": 1}, {"a": 2}]}),
    "events": ("text/event-stream", Body(b"data: x\n\n"), BodyKind.STREAM, {"events": [{"data": "x"}]}),
    "an event stream that was cut before the first": (
        *("text/event-stream", Body(cut="server"), BodyKind.STREAM),
        {"events": [], "cut": "server"},
    ),
    "of a stream too large": ("text/event-stream", Body(b"data", dropped=4), BodyKind.BYTES, None),
    "form": ("application/x-www-form-urlencoded", Body(b"a=1&b="), BodyKind.FORM, [["a", "1"], ["b", ""]]),
    "HTML": ("text/html", Body(b"<p>"), BodyKind.HTML, "<p>"),
    "text": ("text/plain", Body(b"hi"), BodyKind.TEXT, "hi"),
    "bytes": ("image/png", Body(b"hi"), BodyKind.BYTES, None),
}


@pytest.mark.parametrize(("content_type", "body", "kind", "value"), CASES.values(), ids=CASES)
def test_kinds(content_type: str, body: Body, kind: BodyKind, value: Any) -> None:
    parsed = parse(body, (("Content-Type", content_type),))
    assert (parsed.kind, parsed.value) == (kind, value)
    assert parsed.is_document == (kind in (BodyKind.JSON, BodyKind.STREAM))
