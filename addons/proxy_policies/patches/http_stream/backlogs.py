"""A client that is slower than others who want the same response (`FlowState.wanted`) does not hold them up.

mitmproxy reads a response at the pace of its client. Here what a slow client has not accepted yet waits in a backlog,
from which it is sent at that client's pace; `back_pressure.py` does not wait for the client meanwhile.
"""

from mitmproxy.proxy import events
from mitmproxy.proxy.layer import CommandGenerator
from mitmproxy.proxy.layers import http as layers
from mitmproxy.proxy.layers.http import SendHttp
from mitmproxy.proxy.layers.http._events import (
    ErrorCode,
    RequestProtocolError,
    ResponseData,
    ResponseProtocolError,
    ResponseTrailers,
)

from proxy_policies.flows import flow_state
from proxy_policies.flows.flow_state import BacklogBody
from proxy_policies.patch import Section
from proxy_policies.patches.client_handlers import unsent_to
from proxy_policies.patches.http_stream.stored_bodies import UNSENT_LIMIT, PieceRequest, fill, unsent_in_windows
from proxy_policies.patches.http_stream.streaming import ResponsePart
from proxy_policies.patches.wakeups import Awaited


class PieceRead(Awaited):
    """The wakeup when the client has accepted what it was sent, and the next piece of its backlog is read.

    If the request is over, the backlog is closed instead.
    """

    def __init__(self, piece_request: PieceRequest) -> None:
        super().__init__()
        self.piece_request = piece_request

    async def wait(self) -> None:
        """Wait until then."""
        await fill(self.piece_request)


class Backlogged(layers.HttpStream):
    """Keeps what a client is behind in a backlog, while others want its response."""

    _backlog: BacklogBody | None = None
    """What the client has still to be sent, if it is behind others."""
    _last: SendHttp | None = None
    """The trailers, which are sent after it."""

    def _handle_event(self, event: events.Event) -> CommandGenerator[None]:
        if isinstance(event, events.Wakeup) and isinstance(event.command, PieceRead):
            return self._send_piece(event.command.piece_request)
        handling: CommandGenerator[None] = super()._handle_event(event)
        return self._sent_or_kept(handling) if isinstance(event, events.Wakeup) else handling

    def runs_ahead(self) -> bool:
        """Return whether the response is read as fast as others want it, however slow its own client is."""
        flow = getattr(self, "flow", None)
        wanted = flow_state.state_of(flow).wanted if flow is not None else None
        return wanted is not None and wanted()

    def state_stream_response_body(self, event: ResponsePart) -> CommandGenerator[None]:
        """Send a part of the response, or add it to the backlog."""
        return self._sent_or_kept(super().state_stream_response_body(event))

    def _sent_or_kept(self, sending: CommandGenerator[None]) -> CommandGenerator[None]:
        for command in sending:  # none has a reply
            part = command.event if isinstance(command, SendHttp) else None
            if self._backlog is not None and isinstance(part, ResponseData):
                if part.data:  # empty data would mean the end
                    self._backlog.feed(part.data)
            elif self._backlog is not None and isinstance(command, SendHttp) and isinstance(part, ResponseTrailers):
                self._last = command
            else:
                yield command
                if isinstance(part, ResponseData) and self._is_behind() and self.runs_ahead():
                    yield from self._begin()

    def _is_behind(self) -> bool:
        return (
            self._backlog is None
            and unsent_in_windows(self) + unsent_to(self.context.client, self.context.client) > UNSENT_LIMIT
        )

    def _begin(self) -> CommandGenerator[None]:
        make = flow_state.state_of(self.flow).backlog
        if make is not None:
            self._backlog, source = make()
            yield PieceRead(PieceRequest(self.flow, source, lambda: unsent_in_windows(self), lambda: False))

    def _send_piece(self, piece_request: PieceRequest) -> CommandGenerator[None]:
        if piece_request.over:
            return
        backlog, client = self._backlog, self.context.client
        piece_request.over = backlog is None or bool(piece_request.error) or not piece_request.piece
        if piece_request.piece and not piece_request.over:
            yield SendHttp(ResponseData(self.stream_id, piece_request.piece), client)
        yield PieceRead(piece_request)  # or closes its source
        if backlog is None or not piece_request.over:
            return
        self._drop()
        if piece_request.error:  # the client is too far behind
            error = ResponseProtocolError(self.stream_id, piece_request.error, ErrorCode.GENERIC_SERVER_ERROR)
            yield SendHttp(error, client)
            return
        if self._last is not None:
            yield self._last
        yield from super().flow_done()

    def flow_done(self) -> CommandGenerator[None]:
        """End the exchange once the backlog is sent."""
        if self._backlog is None:
            yield from super().flow_done()
        else:
            self._backlog.finish()

    def handle_protocol_error(self, event: RequestProtocolError | ResponseProtocolError) -> CommandGenerator[None]:
        """Drop the backlog: its client has left, or is to be cut off."""
        self._drop()
        yield from super().handle_protocol_error(event)

    def _drop(self) -> None:
        if self._backlog is not None:
            self._backlog.finish()  # its reader stops waiting
        self._backlog = None


SECTIONS = (
    Section(
        mixin=Backlogged,
        why="a client that does not read holds up others that wait for the same response",
        upstream="not reported, a feature: mitmproxy reads a response at the pace of the one client that asked for it",
        remove_when="mitmproxy lets an addon receive a response independently of its client",
        test="tests/e2e/cache/test_slow_leaders.py::test_a_leader_that_does_not_read_holds_up_no_follower",
    ),
)
