"""What is kept of the entries of other programs."""

from typing import Any

import pytest

from proxy_policies.capture.har.foreign_members import foreign_members

RECEIVED = {"status": 200, "headers": [], "content": {"size": 2, "text": "hi", "_wire": "aGk="}, "headersSize": -1}
CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "nothing else": ({"request": {"method": "GET", "headersSize": -1}, "response": RECEIVED}, {}),
    "no objects": ({"timings": 5, "request": "x", "response": None, "cache": []}, {}),
    "the three timings": ({"timings": {"send": 1, "wait": 2, "receive": 3}}, {}),
    "more timings": ({"timings": {"wait": 2, "dns": 7}}, {"timings": {"wait": 2, "dns": 7}}),
    "a tool's members": (
        {"request": {"method": "GET", "_id": 7}, "response": {"status": 200, "_priority": "High"}},
        {"request": {"_id": 7}, "response": {"_priority": "High"}},
    ),
    "the size of a head": ({"response": {"headersSize": 120}}, {"response": {"headersSize": 120}}),
    "of the content": ({"response": {"content": {"text": "hi", "compression": 4}}}, {"content": {"compression": 4}}),
    "the type of a form": (
        {"request": {"headers": [{"name": "A"}], "postData": {"mimeType": "text/x", "text": "a", "params": []}}},
        {"postData": {"mimeType": "text/x"}},
    ),
    "the type of content": (
        {"response": {"headers": [{"name": "A"}], "content": {"mimeType": "text/x", "text": "a"}}},
        {"content": {"mimeType": "text/x"}},
    ),
    "its type is a field": (
        {"request": {"headers": [{"name": "Content-Type"}], "postData": {"mimeType": "text/x", "text": "a"}}},
        {},
    ),
    "a cookie's attributes, not its value": (
        {"request": {"cookies": [{"name": "sid", "value": "S", "path": "/", "raw": "sid=S"}, {"name": "b"}]}},
        {"requestCookies": [{"path": "/"}, {}]},
    ),
    "cookies without attributes": ({"request": {"cookies": [{"name": "sid", "value": "S"}, 5]}}, {}),
}


@pytest.mark.parametrize(("entry", "kept"), CASES.values(), ids=CASES)
def test_what_our_model_lacks_is_kept(entry: dict[str, Any], kept: dict[str, Any]) -> None:
    assert foreign_members(entry) == kept
