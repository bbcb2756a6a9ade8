"""A peer that says GOAWAY begins nothing more, and finishes what is under way (RFC 9113, section 6.8).

Origins say it after some number of requests (nginx 1000, Apache 100), when they are reloaded, and with an error where
they have had enough of a connection. mitmproxy ends the connection at once, with all that was to come on it. Here it is
used for nothing more, and closed when all has come. Whatever the error: what is under way may still be finished, as
nghttp2, curl and Go have it; an origin that finishes nothing closes the connection itself.

What an origin says it has not processed is sent again elsewhere (section 8.7).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeGuard

import h2.errors
import h2.events
from mitmproxy.proxy import events
from mitmproxy.proxy.layer import CommandGenerator
from mitmproxy.proxy.layers.http._base import ReceiveHttp
from mitmproxy.proxy.layers.http._events import RequestHeaders
from mitmproxy.proxy.layers.http._http2 import Http2Client, StreamState

from proxy_policies.patches.http2.limits import Limited
from proxy_policies.patches.http2.stream_errors import PeerLeaves
from proxy_policies.patches.http_stream.requests import NotProcessed, begin_no_more

NOT_PROCESSED = "the origin has not processed the request"


class GracefulShutdown(Limited):
    """One side of the proxy whose peer may take its leave."""

    _is_leaving = False
    _why = ""
    """By which error."""
    _refused: Iterable[int] = ()
    """Requests that waited for the peer to take more."""

    def handle_h2_event(self, event: h2.events.Event) -> CommandGenerator[bool]:
        """Go on with what the peer still finishes, and have what it will not process sent again elsewhere."""
        if isinstance(event, PeerLeaves):
            yield from self._let_go(event)
            return False
        if self._is_refusal(event):
            yield self._give_back(event.stream_id)
            return False
        return (yield from super().handle_h2_event(event))

    def _let_go(self, event: PeerLeaves) -> CommandGenerator[None]:
        self._is_leaving = True
        self._why = f" after GOAWAY ({_name_of(event.error_code)})" if event.error_code else ""
        begin_no_more(self.conn)
        waiting = getattr(self, "stream_queue", {})
        self._refused = [*self._refused, *waiting]
        waiting.clear()
        last = event.last_stream_id if isinstance(self, Http2Client) else None
        for stream_id in [it for it in self.streams if last is not None and it > last]:
            yield self._give_back(stream_id)

    def _is_refusal(self, event: h2.events.Event) -> TypeGuard[h2.events.StreamReset]:
        """Return whether an origin resets a stream that it has not processed."""
        return (
            isinstance(self, Http2Client)
            and isinstance(event, h2.events.StreamReset)
            and event.error_code == h2.errors.ErrorCodes.REFUSED_STREAM
            and event.remote_reset
            and self.streams.get(event.stream_id) is StreamState.EXPECTING_HEADERS
        )

    def _give_back(self, stream_id: int) -> ReceiveHttp:
        del self.streams[stream_id]
        return self._not_processed(stream_id)

    def _not_processed(self, stream_id: int) -> ReceiveHttp:
        return ReceiveHttp(NotProcessed(stream_id, NOT_PROCESSED, NotProcessed.code))

    def close_connection(self, msg: str) -> CommandGenerator[None]:
        """Close, and say by which error the peer had taken its leave."""
        self.h2_conn.owed.clear()
        yield from super().close_connection(msg + self._why)

    def _handle_event(self, event: events.Event) -> CommandGenerator[None]:
        """Begin nothing more, and close the connection once all that was under way has come."""
        if isinstance(event, RequestHeaders):
            if self._is_leaving:
                yield self._not_processed(event.stream_id)
                return
            self.our_stream_id.pop(event.stream_id, None)  # what is sent again is a stream of its own
        yield from super()._handle_event(event)
        refused, self._refused = self._refused, ()
        yield from map(self._not_processed, refused)
        if self._is_leaving and not self._has_ended:
            self._forget_closed()
            if not self.streams:
                yield from self.close_connection("the peer has taken its leave")


def _name_of(code: int) -> str:
    return h2.errors.ErrorCodes(code).name if code in set(h2.errors.ErrorCodes) else f"error {code}"
