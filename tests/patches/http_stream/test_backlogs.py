"""What a client that is behind others has still to be sent."""

from collections.abc import Iterator
from typing import Any

import pytest
from mitmproxy import ctx
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.http import Headers
from mitmproxy.proxy import events
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import HttpStream, SendHttp
from mitmproxy.proxy.layers.http._events import (
    ErrorCode,
    RequestProtocolError,
    ResponseData,
    ResponseProtocolError,
    ResponseTrailers,
)
from mitmproxy.test import taddons, tflow, tutils

from proxy_policies.cache.incoming_body import IncomingBody, Room
from proxy_policies.flows import flow_state
from proxy_policies.patches.http_stream.backlogs import Backlogged, PieceRead

FIRST, SECOND = b"first", b"second"
DONE = object()


class Stream(Backlogged):
    """A stream whose layer sends nothing but what it is told to, and whose client is behind from the first part on."""

    def __init__(self) -> None:
        self.stream_id = 1
        self.flow = tflow.tflow(resp=tutils.tresp(content=None))
        self.context = Context(self.flow.client_conn, ctx.options)
        self.body = IncomingBody(Room(), lambda: None)
        state = flow_state.state_of(self.flow)
        state.wanted, state.backlog = lambda: True, lambda: (self.body, self.body.open_alone())

    def _is_behind(self) -> bool:
        return self._backlog is None


class Base:
    """In place of mitmproxy's methods that would need all of its layers."""

    def flow_done(self) -> Iterator[Any]:
        yield DONE

    def handle_protocol_error(self, event: object) -> Iterator[Any]:
        yield event


@pytest.fixture
def stream(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stream]:
    for name in ("flow_done", "handle_protocol_error"):
        monkeypatch.setattr(HttpStream, name, getattr(Base, name))
    with taddons.context(Proxyserver()):
        yield Stream()


def part(stream: Stream, event: Any) -> list[Any]:
    """Have the layer send an event of the response; give what is sent."""
    return list(stream._sent_or_kept(it for it in [SendHttp(event, stream.context.client)]))


async def read(stream: Stream, reading: PieceRead) -> list[Any]:
    """Do what a wakeup does; give the commands that follow."""
    await reading.wait()
    return list(stream._handle_event(events.Wakeup(reading)))


def sent(commands: list[Any]) -> bytes:
    data = (it.event.data for it in commands if isinstance(it, SendHttp) and isinstance(it.event, ResponseData))
    return b"".join(data)


async def test_what_comes_while_a_client_is_behind_is_sent_at_its_pace(stream: Stream) -> None:
    first, reading = part(stream, ResponseData(1, FIRST))
    assert sent([first]) == FIRST
    assert part(stream, ResponseData(1, SECOND)) == part(stream, ResponseData(1, b"")) == []
    assert part(stream, trailers := ResponseTrailers(1, Headers())) == []
    assert list(stream.flow_done()) == []
    piece, reading = await read(stream, reading)
    assert sent([piece]) == SECOND
    closing, last, done = await read(stream, reading)
    assert (last.event, done) == (trailers, DONE)
    assert await read(stream, closing) == []
    assert not stream.body._readers


@pytest.mark.parametrize("error", [RequestProtocolError, ResponseProtocolError])
async def test_a_backlog_goes_with_its_client(stream: Stream, error: Any) -> None:
    _, reading = part(stream, ResponseData(1, FIRST))
    part(stream, ResponseData(1, SECOND))
    ended = error(1, "the client left", ErrorCode.CLIENT_DISCONNECTED)
    assert list(stream.handle_protocol_error(ended)) == [ended]
    (closing,) = await read(stream, reading)
    assert await read(stream, closing) == []
    assert not stream.body._readers


async def test_a_client_that_is_too_far_behind_is_cut_off(stream: Stream) -> None:
    _, reading = part(stream, ResponseData(1, FIRST))
    reading.piece_request.error = "too slow"
    closing, cut = list(stream._handle_event(events.Wakeup(reading)))
    assert isinstance(closing, PieceRead)
    assert isinstance(cut, SendHttp)
    assert isinstance(cut.event, ResponseProtocolError)
    assert await read(stream, closing) == []
    assert not stream.body._readers
