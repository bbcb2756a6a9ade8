"""Closes the connection of a client that is still sending so that it can read our response (RFC 9112, section 9.6).

mitmproxy closes at once: anything the client sends then is answered by a reset, and the client loses what it has not
read yet.
"""

from mitmproxy.proxy import commands, events
from mitmproxy.proxy.layer import CommandGenerator
from mitmproxy.proxy.layers.http._base import HttpConnection, HttpEvent
from mitmproxy.proxy.layers.http._events import ResponseProtocolError

from proxy_policies.waits import LINGERING_TIME, LINGERING_TIMEOUT


class ClosedByProxy(ResponseProtocolError):
    """Ends a protocol that HTTP was upgraded to; the client, which may still be sending, was sent the reason."""


ROUNDS = int(LINGERING_TIME / LINGERING_TIMEOUT)
"""How many times a client that keeps sending is granted another LINGERING_TIMEOUT."""


class Lingering(HttpConnection):
    """A client's connection that can be closed in two steps, whatever its protocol."""

    _lingering = False
    _still_sends = False
    _rounds = 0

    def linger(self) -> CommandGenerator[None]:
        """End our half of the connection, and read and discard what arrives for a while."""
        self._lingering = True
        yield commands.CloseTcpConnection(self.conn, half_close=True)
        yield commands.RequestWakeup(LINGERING_TIMEOUT)

    def handle_while_lingering(self, event: events.Event) -> CommandGenerator[None]:
        """Handle an event while lingering: close once the client has ended, is silent, or sends for too long."""
        if isinstance(event, HttpEvent):
            return
        if isinstance(event, events.DataReceived):
            self._still_sends = True
        elif isinstance(event, events.Wakeup) and self._still_sends and self._rounds < ROUNDS:
            self._still_sends = False
            self._rounds += 1
            yield commands.RequestWakeup(LINGERING_TIMEOUT)
        else:
            yield commands.CloseConnection(self.conn)
