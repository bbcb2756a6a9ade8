"""What the sides of the proxy that speak HTTP with clients and origins have in common."""

from mitmproxy.proxy import commands, events
from mitmproxy.proxy.layer import CommandGenerator
from mitmproxy.proxy.layers.http._base import HttpConnection


class Side(HttpConnection):
    """A side, in any version of HTTP."""

    @property
    def is_strict(self) -> bool:
        """Return whether received messages must conform to the grammar (`validate_inbound_headers`)."""
        return bool(self.context.options.validate_inbound_headers)


class MultiplexedSide(Side):
    """A side that speaks HTTP/2 or HTTP/3."""

    def _handle_event(self, event: events.Event) -> CommandGenerator[None]:
        """Send fields that policies add, such as `Via`, in lower case without a log line for each."""
        for command in super()._handle_event(event):
            if not (isinstance(command, commands.Log) and command.message.startswith("Lowercased ")):
                yield command
