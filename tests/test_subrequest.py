"""Requests of our own."""

import asyncio
from typing import Any

import pytest
from mitmproxy import http
from mitmproxy.test import taddons, tflow

from proxy_policies import subrequest
from proxy_policies.fields import Fields

FIELDS = Fields.of(("Host", "example.test"), ("X-A", "b"))


def replaying(monkeypatch: pytest.MonkeyPatch, seconds: float) -> list[http.HTTPFlow]:
    """Have requests answered after so many seconds; gives what was sent."""
    sent: list[http.HTTPFlow] = []

    class Handler:
        def __init__(self, flow: http.HTTPFlow, options: Any) -> None:
            sent.append(flow)

        async def replay(self) -> None:
            await asyncio.sleep(seconds)

    monkeypatch.setattr(subrequest, "_handler_type", lambda: Handler)
    return sent


async def test_it_is_like_the_one_it_was_made_of_with_other_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    sent, like = replaying(monkeypatch, 0), tflow.tflow()
    like.request.method = "HEAD"
    with taddons.context():
        flow = await subrequest.send(like, FIELDS, "refresh")
    assert sent == [flow]
    assert flow is not None
    assert (flow.request.method, flow.request.url) == ("GET", like.request.url)
    assert flow.request.headers.fields == FIELDS.raw
    assert (flow.is_replay, subrequest.purpose(flow), subrequest.template(flow)) == ("request", "refresh", like)
    assert (subrequest.purpose(like), subrequest.template(like)) == ("", None)


async def test_one_that_takes_too_long_is_given_up(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    replaying(monkeypatch, 60)
    with taddons.context():
        assert await subrequest.send(tflow.tflow(), FIELDS, "refetch", timeout=0.01) is None
    assert "refetch of http" in caplog.text
