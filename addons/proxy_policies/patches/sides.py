"""What the sides of the proxy that speak HTTP with clients and origins have in common."""

import time
from collections.abc import Collection

from mitmproxy.proxy import commands, events
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layer import CommandGenerator
from mitmproxy.proxy.layers.http._base import HttpConnection
from mitmproxy.utils import human

from proxy_policies.finished import flow_records, reporting
from proxy_policies.log_lines import Throttle
from proxy_policies.patches import back_pressure, client_sides
from proxy_policies.validity import Invalid
from proxy_policies.waits import Waiting

LONGEST_REASON = 300
"""Characters of why a message was rejected, which may quote it."""
_refused = Throttle()


class Side(HttpConnection):
    """A side, in any version of HTTP."""

    @property
    def is_strict(self) -> bool:
        """Return whether received messages must conform to the grammar (`validate_inbound_headers`)."""
        return bool(self.context.options.validate_inbound_headers)

    def log_refusal(self, error: Invalid) -> CommandGenerator[None]:
        """Log that a request was refused, unless too many such lines were logged."""
        line = f"{human.format_address(self.conn.peername)}: {error!s:.{LONGEST_REASON}}"
        if admitted := _refused.admit(line, time.monotonic()):
            yield commands.Log(admitted)

    def report_refusal(self, error: Invalid) -> None:
        """Report a request whose head was refused, for which there is no flow."""
        if reporting.SUBSCRIBERS:
            reporting.report(flow_records.of_refusal(self.context.client, error.status, str(error)))


class MultiplexedSide(Side):
    """A side that speaks HTTP/2 or HTTP/3: each stream has flow-control windows, its own and the peer's."""

    our_stream_id: dict[int, int]
    """Only on an origin's side: our streams by those of the client; the reverse:"""
    their_stream_id: dict[int, int]

    is_tunnel = False

    def __init__(self, context: Context) -> None:
        super().__init__(context)  # type: ignore[call-arg]  # sides take no connection
        self._windows = back_pressure.windows_of(context.client)
        self._windows.add(self)
        if self.conn is context.client:
            client_sides.register(context.client, self)

    def _handle_event(self, event: events.Event) -> CommandGenerator[None]:
        """Send fields that policies add, such as `Via`, in lower case without a log line for each."""
        for command in super()._handle_event(event):
            if not (isinstance(command, commands.Log) and command.message.startswith("Lowercased ")):
                yield command

    def _holds_back(self, stream_id: int) -> bool:
        """Return whether the other side holds back too much of a stream's data for its own window to be reopened."""
        return self._windows.holds_back(self, stream_id)

    def waiting_streams(self) -> Collection[int]:
        """Return the streams whose windows are to be reopened once their data is accepted."""
        raise NotImplementedError

    def unsent(self) -> int:
        """Count the bytes that wait for the peer's windows (RFC 9113, section 5.2; RFC 9000, section 4)."""
        return sum(self.unsent_by_stream().values())

    def unsent_by_stream(self) -> dict[int, int]:
        """Return those bytes by stream."""
        raise NotImplementedError

    def unsent_of(self, stream_id: int) -> int:
        """Count those of one stream."""
        raise NotImplementedError

    def waiting(self) -> Waiting:
        """Return what the side waits for from its peer."""
        raise NotImplementedError

    def is_full(self) -> bool:
        """Return False: received data is handled before more is read."""
        return False
