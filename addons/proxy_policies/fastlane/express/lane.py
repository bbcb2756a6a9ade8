"""The express lane of one connection. Tried on mitmproxy 12.2.

A plain exchange goes through some twenty generators of mitmproxy's layers for each of its parts. Here it goes through
one; the hooks, their order and the flow they see are the same. Whatever is not plain, from the first byte of a request
to the last of its response, goes on in the layers, which never learn that they did not have it from the beginning.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from mitmproxy import ctx
from mitmproxy.proxy import events
from mitmproxy.proxy.commands import Command, StartHook
from mitmproxy.proxy.layer import CommandGenerator
from mitmproxy.proxy.layers.http._hooks import (
    HttpRequestHeadersHook,
    HttpRequestHook,
    HttpResponseHeadersHook,
    HttpResponseHook,
)

from proxy_policies.fastlane.events import Inline
from proxy_policies.fastlane.express import place, unfold
from proxy_policies.fastlane.express.passage import Passage, begin

WISHES = ("body_size_limit", "stream_large_bodies", "proxy_debug")
"""Options with a say in what the layers do with plain exchanges."""


@dataclass(slots=True)
class Tally:
    """How many exchanges began on the express lane, and how many stayed on it to their end."""

    begun: int = 0
    through: int = 0


def is_open() -> bool:
    """Return whether no option asks for what only the layers do."""
    return not any(getattr(ctx.options, name, None) for name in WISHES)


class Express:
    """Stands at the top of a connection's layers. `ask` says whether a hook is through already."""

    def __init__(
        self, layer: Inline, ask: Callable[[StartHook], bool], may_go: Callable[[], bool], tally: Tally
    ) -> None:
        self._layer, self._ask, self._may_go, self._tally = layer, ask, may_go, tally
        self._place: place.Place | None = None
        self._waiting: Passage | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._layer, name)

    @property
    def is_waiting(self) -> bool:
        """Whether an exchange is under way here, and waits for its origin."""
        return self._waiting is not None

    def handle_event(self, event: events.Event) -> Iterable[Command]:
        """Carry a plain exchange one step further, or let the layers handle the event."""
        if type(event) is events.Wakeup:  # of an exchange before, which left the lane
            return self._layer.handle_event(event)
        passage, self._waiting = self._waiting, None
        if passage is not None:
            return self._go_on(passage, event)
        if type(event) is events.DataReceived and (passage := self._begin(event)):
            return self._request(passage)
        return self._layer.handle_event(event)

    def _begin(self, event: events.DataReceived) -> Passage | None:
        if self._place is None:
            self._place = place.find(self._layer.context)
        at = self._place
        if at is None or event.connection is not at.context.client or not (at.is_idle() and self._may_go()):
            return None
        return begin(at, event.data)

    def _request(self, passage: Passage) -> CommandGenerator[None]:
        self._tally.begun += 1
        hook: StartHook = HttpRequestHeadersHook(passage.flow)
        through = self._ask(hook)
        if not (through and passage.is_plain_request()):
            unfold.at_request_head(passage, hook)
            yield from self._leave(hook, through)
            return
        passage.end_request()
        hook = HttpRequestHook(passage.flow)
        through = self._ask(hook)
        response = passage.flow.response
        if through and response and not passage.flow.error:
            response.timestamp_start = time.time()
            yield from self._response(passage)
        elif through and (command := passage.send()):
            self._waiting = passage
            yield command
        else:
            unfold.at_request(passage, hook)
            yield from self._leave(hook, through)

    def _go_on(self, passage: Passage, event: events.Event) -> CommandGenerator[None]:
        """Take what came while the origin was waited for."""
        is_data = type(event) is events.DataReceived and event.connection is passage.flow.server_conn
        data = event.data if is_data else b""  # type: ignore[attr-defined]
        if passage.response is None:
            if passage.receive(data):
                yield from self._response(passage)
                return
            unfold.at_origin(passage)
        else:
            if data and passage.receive_more(data):
                yield from self._response_body(passage)
                return
            unfold.at_response_body(passage)
        yield from self._layer.handle_event(event)

    def _response(self, passage: Passage) -> CommandGenerator[None]:
        hook: StartHook = HttpResponseHeadersHook(passage.flow)
        through = self._ask(hook)
        if not (through and passage.is_plain_response()):
            unfold.at_response_head(passage, hook)
            yield from self._leave(hook, through)
        else:
            yield from self._response_body(passage)

    def _response_body(self, passage: Passage) -> CommandGenerator[None]:
        if passage.missing:
            self._waiting = passage
            return
        passage.end_response()
        hook: StartHook = HttpResponseHook(passage.flow)
        through = self._ask(hook)
        if through and (command := passage.answer()):
            self._tally.through += 1
            yield command
        else:
            unfold.at_response(passage, hook)
            yield from self._leave(hook, through)

    def _leave(self, hook: StartHook, through: bool) -> CommandGenerator[None]:
        """Go on in the layers, which wait for the hook by now."""
        if through:
            yield from self._layer.handle_event(events.HookCompleted(hook))
        else:
            yield hook
