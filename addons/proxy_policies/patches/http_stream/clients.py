"""Reports what each client was sent when its request ends (`finished`), and lets an exchange outlive its client.

Hooks cannot know how much of a response was sent, or that it ended: `response` is triggered before it is sent.
"""

import copy

from mitmproxy import http
from mitmproxy.connection import ConnectionState
from mitmproxy.proxy import events
from mitmproxy.proxy.commands import Command
from mitmproxy.proxy.layer import CommandGenerator
from mitmproxy.proxy.layers import http as layers
from mitmproxy.proxy.layers.http._events import (
    RequestData,
    RequestHeaders,
    RequestProtocolError,
    ResponseData,
    ResponseHeaders,
    ResponseProtocolError,
)

from proxy_policies import trace
from proxy_policies.finished import flow_records, reporting
from proxy_policies.flows import flow_state
from proxy_policies.flows.request_summary import RequestSummary
from proxy_policies.patch import Section
from proxy_policies.patches import client_sides


class Reporting(layers.HttpStream):
    """Reports a request once it has ended."""

    _summary: RequestSummary | None = None
    """None if there are no subscribers, or once it was reported."""
    _status = 0
    """The status that the client was sent."""
    _sent = 0
    _received = 0

    def _handle_event(self, event: events.Event) -> CommandGenerator[None]:
        handling: CommandGenerator[None] = super()._handle_event(event)
        return self._counting(event, handling) if reporting.SUBSCRIBERS else handling

    def _counting(self, event: events.Event, handling: CommandGenerator[None]) -> CommandGenerator[None]:
        self._note_received(event)
        reply = None
        while True:
            try:
                command = handling.send(reply)
            except StopIteration:
                break
            self._note_sent(command)
            reply = yield command
        if self._summary is not None and (flow := getattr(self, "flow", None)) is not None:
            self._report_if_over(flow, self._summary)

    def _report_if_over(self, flow: http.HTTPFlow, request: RequestSummary) -> None:
        if flow.websocket:  # a hook reports its end
            flow_state.state_of(flow).original_request, self._summary = request, None
            reporting.IN_PROGRESS.discard(self)
        elif self._is_over(flow):
            self.report_now()

    def _note_received(self, event: events.Event) -> None:
        if isinstance(event, RequestData):
            self._received += len(event.data)
        elif isinstance(event, RequestHeaders) and event.replay_flow is None:
            self._summary = flow_records.summary_of(event.request)
            if self._summary.method != b"CONNECT":
                reporting.IN_PROGRESS.add(self)

    def _note_sent(self, command: Command) -> None:
        if not isinstance(command, layers.SendHttp) or command.connection is not self.context.client:
            return
        match command.event:
            case ResponseData(data=data):
                self._sent += len(data)
            case ResponseHeaders(response=response):
                self._status = response.status_code
            case ResponseProtocolError(code=code) if not self._status:
                self._status = code.http_status_code() or 0

    def _is_over(self, flow: http.HTTPFlow) -> bool:
        return not flow.live and (flow.response is None or flow.request.method != "CONNECT")  # which a hook reports

    @property
    def client_id(self) -> str:
        """The id of the client."""
        return self.context.client.id

    def report_now(self, error: str = "") -> None:
        """Report the request in its present state, once; `error` replaces its own."""
        request, self._summary = self._summary, None
        reporting.IN_PROGRESS.discard(self)
        if request is None or getattr(self, "flow", None) is None:
            return
        sent = 0 if request.method == b"HEAD" else self._sent
        status = 0 if self._status < 200 and self._status != 101 else self._status
        if not status:  # the status with which an invalid body was refused
            status = getattr(client_sides.side_of(self.context.client), "refused", 0)
        made = flow_records.of_request(self.flow, request, status, sent, self._received)
        made.error = error or made.error
        reporting.report(made)


class ContinuesWithoutClient(layers.HttpStream):
    """Continues an exchange without its client while others wait for its response (`FlowState.wanted`).

    mitmproxy ends an exchange, and the connection to its origin, when the exchange's client disconnects.
    """

    _has_left = False

    def handle_protocol_error(self, event: RequestProtocolError | ResponseProtocolError) -> CommandGenerator[None]:
        """Ignore that a client disconnects while its response is still wanted."""
        if isinstance(event, RequestProtocolError) and self._continues:
            if not self._has_left:
                trace.note(self.flow, "cache", "goes on", "the client left, and others wait for the response")
            self._has_left = True
            return
        yield from super().handle_protocol_error(event)

    def check_killed(self, emit_error_hook: bool) -> CommandGenerator[bool]:
        """Do the same if it disconnected while a hook was running."""
        return _not_killed() if self._continues and not self.flow.error else super().check_killed(emit_error_hook)

    @property
    def _continues(self) -> bool:
        wanted = flow_state.state_of(self.flow).wanted
        return wanted is not None and self.client_state == self.state_done and wanted()


class NamesCauses(layers.HttpStream):
    """Ends an exchange with the reason for which its client was disconnected, whichever side's end is noticed first."""

    def handle_protocol_error(self, event: RequestProtocolError | ResponseProtocolError) -> CommandGenerator[None]:
        """Replace the error if the client has gone; that of a flow that is sent again did so before."""
        client = self.context.client
        has_left = client.timestamp_end and client.state is ConnectionState.CLOSED
        why = client.error or (has_left and reporting.CLIENT_LEFT)
        if why and self.flow.is_replay != "request":
            event = copy.copy(event)
            event.message = why
        yield from super().handle_protocol_error(event)


def _not_killed() -> CommandGenerator[bool]:
    yield from ()
    return False


SECTIONS = (
    Section(
        mixin=Reporting,
        why="addons cannot know how much of a response a client was sent, nor when that ended",
        upstream="not reported, a feature: `response` is triggered before a response is sent, without its size",
        remove_when="mitmproxy triggers a hook once a response has been sent, with the size sent",
        test="tests/e2e/access_log/test_layers.py::test_a_response_that_breaks_off_has_the_bytes_that_were_sent",
    ),
    Section(
        mixin=ContinuesWithoutClient,
        why="when a client leaves, others that wait for the same response lose it",
        upstream=(
            "not reported, a feature: without it an exchange ends with its first client, even if others wait for it"
        ),
        remove_when="mitmproxy lets an addon continue an exchange whose client has left",
        test="tests/e2e/cache/test_collapsing.py::test_a_leader_that_resets_its_connection_takes_nothing_away",
    ),
    Section(
        mixin=NamesCauses,
        why="an exchange whose client we disconnect fails with `Client disconnected.`, or with an error of its origin",
        upstream="not reported: stop mitmproxy during a download: its `error` hook has an HTTP/1 protocol error",
        remove_when="mitmproxy ends exchanges with the reason for which it disconnects their client",
        test="tests/e2e/limits/test_causes.py::test_the_cause_is_named",
    ),
)
