"""Closing a client's connection while it is still sending, so that it can read our answer (RFC 9112, section 9.6).

mitmproxy closes at once: what the client sends then meets a closed socket, and the
reset that answers it destroys what the client has not read yet.
"""

from h11._receivebuffer import ReceiveBuffer
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.layer import CommandGenerator
from mitmproxy.proxy.layers.http._base import HttpEvent
from mitmproxy.proxy.layers.http._http1 import Http1Server

PATIENCE = 5.0
"""Seconds without a byte after which a client that we take leave of is cut off: nginx's lingering_timeout."""
ROUNDS = 6
"""How many times PATIENCE is granted to a client that goes on sending: 30 s, nginx's lingering_time."""


class Lingering(Http1Server):
    """A client's connection that can be closed in two steps."""

    _lingering = False
    _still_sends = False
    _rounds = 0

    @property
    def is_lingering(self) -> bool:
        """Return whether the connection is being closed."""
        return self._lingering

    def _handle_event(self, event: events.Event) -> CommandGenerator[None]:
        if self._lingering:
            return self._take_leave(event)
        return self.woken() if isinstance(event, events.Wakeup) else super()._handle_event(event)

    def woken(self) -> CommandGenerator[None]:
        """Do what was to be done after a while."""
        yield from ()

    def linger(self) -> CommandGenerator[None]:
        """End our half of the connection, and take what still comes for a while without looking at it."""
        self._lingering = True
        self.buf = ReceiveBuffer()
        yield commands.CloseTcpConnection(self.conn, half_close=True)
        yield commands.RequestWakeup(PATIENCE)

    def _take_leave(self, event: events.Event) -> CommandGenerator[None]:
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
