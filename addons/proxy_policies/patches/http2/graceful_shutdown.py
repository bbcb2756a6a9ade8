"""A peer that says GOAWAY without an error begins nothing more, and finishes what is under way (RFC 9113, section 6.8).

Origins say it after some number of requests (nginx 1000, Apache 100), and when they are reloaded. mitmproxy ends the
connection at once, with all that was to come on it. Here it is used for nothing more, and closed when all has come.
"""

from __future__ import annotations

from collections.abc import Iterable

import h2.events
from mitmproxy.proxy import events
from mitmproxy.proxy.layer import CommandGenerator
from mitmproxy.proxy.layers.http._base import ReceiveHttp
from mitmproxy.proxy.layers.http._events import RequestHeaders
from mitmproxy.proxy.layers.http._http2 import Http2Client

from proxy_policies.patches.http2.limits import Limited
from proxy_policies.patches.http_stream.requests import WentStale, begin_no_more

NOT_PROCESSED = "the connection was ended before the request was processed"


class GracefulShutdown(Limited):
    """One side of the proxy whose peer may take its leave."""

    _is_leaving = False
    _refused: Iterable[int] = ()
    """Requests that waited for the peer to take more."""

    def handle_h2_event(self, event: h2.events.Event) -> CommandGenerator[bool]:
        """Go on with what the peer still finishes, and have what it will not process sent again elsewhere."""
        if not isinstance(event, h2.events.ConnectionTerminated) or event.error_code:
            return (yield from super().handle_h2_event(event))
        self._is_leaving = True
        begin_no_more(self.conn)
        waiting = getattr(self, "stream_queue", {})
        self._refused = [*self._refused, *waiting]
        waiting.clear()
        last = event.last_stream_id if isinstance(self, Http2Client) else None
        for stream_id in [it for it in self.streams if last is not None and it > last]:
            del self.streams[stream_id]
            yield self._not_processed(stream_id)
        return False

    def _not_processed(self, stream_id: int) -> ReceiveHttp:
        return ReceiveHttp(WentStale(stream_id, NOT_PROCESSED, WentStale.code))

    def _handle_event(self, event: events.Event) -> CommandGenerator[None]:
        """Begin nothing more, and close the connection once all that was under way has come."""
        if self._is_leaving and isinstance(event, RequestHeaders):
            yield self._not_processed(event.stream_id)
            return
        yield from super()._handle_event(event)
        refused, self._refused = self._refused, ()
        yield from map(self._not_processed, refused)
        if self._is_leaving and not self._has_ended:
            self._forget_closed()
            if not self.streams:
                yield from self.close_connection("the peer has taken its leave")
