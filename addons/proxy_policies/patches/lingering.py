"""Closing a client's connection while it is still sending, so that it can read our last words (RFC 9112, section 9.6).

mitmproxy closes at once: what the client sends then meets a closed socket, and the
reset that answers it destroys what the client has not read yet.
"""

from mitmproxy.proxy import commands, events
from mitmproxy.proxy.layer import CommandGenerator
from mitmproxy.proxy.layers.http._base import HttpConnection, HttpEvent
from mitmproxy.proxy.layers.http._events import ResponseProtocolError


class LeaveTaking(ResponseProtocolError):
    """Ends what HTTP was upgraded to; its client was sent the reason, and may still be sending."""


PATIENCE = 5.0
"""Seconds without a byte after which a client that we take leave of is cut off: nginx's lingering_timeout."""
ROUNDS = 6
"""How many times PATIENCE is granted to a client that goes on sending: 30 s, nginx's lingering_time."""


class Lingering(HttpConnection):
    """A client's connection that can be closed in two steps, whatever is spoken on it."""

    _lingering = False
    _still_sends = False
    _rounds = 0

    def linger(self) -> CommandGenerator[None]:
        """End our half of the connection, and take what still comes for a while without looking at it."""
        self._lingering = True
        yield commands.CloseTcpConnection(self.conn, half_close=True)
        yield commands.RequestWakeup(PATIENCE)

    def take_leave(self, event: events.Event) -> CommandGenerator[None]:
        """Handle an event while lingering: close once the client has ended, or is silent, or goes on for too long."""
        if isinstance(event, HttpEvent):
            return
        if isinstance(event, events.DataReceived):
            self._still_sends = True
        elif isinstance(event, events.Wakeup) and self._still_sends and self._rounds < ROUNDS:
            self._still_sends = False
            self._rounds += 1
            yield commands.RequestWakeup(PATIENCE)
        else:
            yield commands.CloseConnection(self.conn)
