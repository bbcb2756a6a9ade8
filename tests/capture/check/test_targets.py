"""Requests are sent to the origin that stands for the recorded one, and its name is put back in answers."""

import pytest

from proxy_policies.capture.check.targets import CheckTarget, parse_targets
from proxy_policies.capture.errors import CaptureError
from proxy_policies.capture.model import Body, Request, Response

TARGET = CheckTarget("http://shop.test", "http://127.0.0.1:9000")


def test_a_request_is_for_the_live_origin() -> None:
    fields = (("Host", "shop.test"), ("Origin", "http://shop.test"), ("Referer", "http://shop.test.evil/x"))
    live = TARGET.to_live(Request("GET", "http://shop.test/a?b#c", fields))
    assert live.url == "http://127.0.0.1:9000/a?b"
    assert live.headers == (
        ("Host", "127.0.0.1:9000"),
        ("Origin", "http://127.0.0.1:9000"),
        ("Referer", "http://shop.test.evil/x"),
    )


def test_the_recorded_host_may_stay() -> None:
    live = TARGET.to_live(Request("GET", "http://shop.test/a"), keep_host=True)
    assert (live.url, live.headers) == ("http://127.0.0.1:9000/a", (("Host", "shop.test"),))


def test_an_answer_names_the_recorded_origin() -> None:
    fields = (("Location", "http://127.0.0.1:9000/x"), ("Content-Type", "text/html"))
    body = Body(b'<a href="http://127.0.0.1:9000/y">127.0.0.1:90001</a>')
    found = TARGET.to_recorded(Response(302, "", fields, body))
    assert found.headers[0] == ("Location", "http://shop.test/x")
    assert found.body.content == b'<a href="http://shop.test/y">127.0.0.1:90001</a>'


def test_several_origins_want_a_target_each() -> None:
    with pytest.raises(CaptureError, match="write --target RECORDED="):
        parse_targets(["http://x"], ["http://a", "http://b"])
    both = parse_targets(["http://a=http://x/", "http://b=http://y"], ["http://a", "http://b"])
    assert [target.live for target in both.values()] == ["http://x", "http://y"]
