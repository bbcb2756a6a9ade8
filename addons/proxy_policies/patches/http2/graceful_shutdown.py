"""After a GOAWAY, starts no new streams, and lets those in progress finish (RFC 9113, section 6.8).

Origins send it after some number of requests (nginx 1000, Apache 100), when they are reloaded, and with an error when
they want to end a connection. mitmproxy ends the connection at once, losing all responses in progress. Here it gets no
new requests, and is closed once all responses have arrived. This holds for every error code, as in nghttp2, curl and
Go: an origin that will not finish its responses closes the connection itself.

Requests that an origin says it has not processed are sent again elsewhere (section 8.7).
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
from proxy_policies.patches.http2.stream_errors import PeerShutsDown
from proxy_policies.patches.http_stream.requests import NotProcessed, begin_no_more

NOT_PROCESSED = "the origin has not processed the request"


class GracefulShutdown(Limited):
    """A side of the proxy whose peer may shut down gracefully."""

    _peer_shuts_down = False
    _why = ""
    """The error in the peer's GOAWAY, for messages."""
    _refused: Iterable[int] = ()
    """Requests that waited for the peer to accept more streams."""

    def handle_h2_event(self, event: h2.events.Event) -> CommandGenerator[bool]:
        """Continue streams that the peer still finishes, and have those it will not process sent again elsewhere."""
        if isinstance(event, PeerShutsDown):
            yield from self._on_goaway(event)
            return False
        if self._is_refusal(event):
            yield self._remove_unprocessed(event.stream_id)
            return False
        return (yield from super().handle_h2_event(event))

    def _on_goaway(self, event: PeerShutsDown) -> CommandGenerator[None]:
        self._peer_shuts_down = True
        self._why = f" after GOAWAY ({_name_of(event.error_code)})" if event.error_code else ""
        begin_no_more(self.conn)
        waiting = getattr(self, "stream_queue", {})
        self._refused = [*self._refused, *waiting]
        waiting.clear()
        last = event.last_stream_id if isinstance(self, Http2Client) else None
        for stream_id in [it for it in self.streams if last is not None and it > last]:
            yield self._remove_unprocessed(stream_id)

    def _is_refusal(self, event: h2.events.Event) -> TypeGuard[h2.events.StreamReset]:
        """Return whether an origin resets a stream without having processed it."""
        return (
            isinstance(self, Http2Client)
            and isinstance(event, h2.events.StreamReset)
            and event.error_code == h2.errors.ErrorCodes.REFUSED_STREAM
            and event.remote_reset
            and self.streams.get(event.stream_id) is StreamState.EXPECTING_HEADERS
        )

    def _remove_unprocessed(self, stream_id: int) -> ReceiveHttp:
        del self.streams[stream_id]
        return self._not_processed(stream_id)

    def _not_processed(self, stream_id: int) -> ReceiveHttp:
        return ReceiveHttp(NotProcessed(stream_id, NOT_PROCESSED, NotProcessed.code))

    def close_connection(self, msg: str) -> CommandGenerator[None]:
        """Close, adding the error of the peer's GOAWAY to the message."""
        self.h2_conn.unacknowledged.clear()
        yield from super().close_connection(msg + self._why)

    def _handle_event(self, event: events.Event) -> CommandGenerator[None]:
        """Start no new streams after a GOAWAY, and close the connection once all others are complete."""
        if isinstance(event, RequestHeaders):
            if self._peer_shuts_down:
                yield self._not_processed(event.stream_id)
                return
            self.our_stream_id.pop(event.stream_id, None)  # a repeated request gets a new stream
        yield from super()._handle_event(event)
        refused, self._refused = self._refused, ()
        yield from map(self._not_processed, refused)
        if self._peer_shuts_down and not self._has_ended:
            self._forget_closed()
            if not self.streams:
                yield from self.close_connection("all streams have ended")


def _name_of(code: int) -> str:
    return h2.errors.ErrorCodes(code).name if code in set(h2.errors.ErrorCodes) else f"error {code}"
