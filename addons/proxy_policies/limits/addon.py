"""Limits on what a client may use and how long it may take, in every mode and HTTP version."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any, Protocol
from weakref import WeakKeyDictionary, WeakSet

from mitmproxy import ctx, http, tcp, udp
from mitmproxy.addonmanager import traverse
from mitmproxy.connection import Client
from mitmproxy.flow import Flow
from mitmproxy.proxy.layer import NextLayer
from mitmproxy.tls import TlsData

from proxy_policies.background.tasks import spawn
from proxy_policies.fast_paths import NO_OBJECTION
from proxy_policies.flows import flow_state
from proxy_policies.limits.connections import DatagramConnection, MitmproxyConnection
from proxy_policies.limits.message_history import UNREAD, MessageHistory
from proxy_policies.limits.open_files import open_file_limits
from proxy_policies.limits.shares import Shares
from proxy_policies.log_lines import Throttle
from proxy_policies.patches.client_handlers import handler_of
from proxy_policies.patches.websocket import messages
from proxy_policies.settings import Setting, parse_duration, parse_size
from proxy_policies.waits import FOR_MORE, Timeouts, Wait, longest_waiting, most_connections

logger = logging.getLogger(__name__)

CONNECTIONS_PER_TURN = 256  # connections checked in one turn of the event loop: some 2 ms
HISTORY_LINES = 3600.0  # seconds between log lines about messages removed from flows
READING = ("save_stream_file", "hardump", "capture_file")  # options that read messages at a stream's end
MESSAGE_HOOKS = ("websocket_message", "websocket_end", "tcp_message", "tcp_end", "udp_message", "udp_end")
COUNTED = 16  # fraction of the most connections that may be new between two counts
FILES_ON_WINDOWS = 1024  # it has no such limit


def parse_count(text: str) -> int:
    """Parse a number, 0 for no limit. Raise ValueError."""
    if not text.strip().isdecimal():
        raise ValueError("write a number; 0 is no limit")
    return int(text)


class Waiter(Protocol):
    """A connection that may wait for its client."""

    def waits(self, now: float) -> tuple[Wait, float, int]:
        """Return what it waits for, for how many seconds, and how many bytes arrived meanwhile."""

    def close(self, wait: Wait, waited: float) -> None:
        """Close the connection, and log why."""


class Limits:
    """Counts clients' connections and requests, and closes connections that wait too long."""

    name = "limits"
    fast_paths = NO_OBJECTION
    client_connections = Setting(
        "8192", parse_count, "Most simultaneous connections of one client address (IPv6: a /64); 0: no limit."
    )
    client_requests = Setting("8192", parse_count, "Most simultaneous requests of one client address; 0: no limit.")
    head_timeout = Setting("60s", parse_duration, "Time for a client to send the whole head of a request; 0: no limit.")
    body_timeout = Setting(
        "60s", parse_duration, "Time for a client to send a request body, plus 1 s for every 500 bytes; 0: no limit."
    )
    keepalive_timeout = Setting("75s", parse_duration, "Time a connection may stay idle between requests; 0: no limit.")
    send_timeout = Setting(
        "60s", parse_duration, "Time a client may go without reading any of its response; 0: no limit."
    )
    handshake_timeout = Setting("60s", parse_duration, "Time for a client's TLS handshake; 0: no limit.")
    message_limit = Setting(
        "100m",
        parse_size,
        "Largest WebSocket message, decompressed; a larger one closes its connection (1009). 0: no limit.",
    )
    message_history = Setting(
        "16m",
        parse_size,
        "Size of the latest messages that the flow of a WebSocket, TCP or UDP stream keeps for capture, -w, hardump "
        "and mitmweb. 0: keep all.",
    )

    def __init__(self) -> None:
        self._connections: dict[str, Waiter] = {}
        """By client id."""
        self._by_address, self._in_flight = Shares(), Shares(WeakSet)
        self._refused = Throttle()
        self._histories: WeakKeyDictionary[Flow, MessageHistory] = WeakKeyDictionary()
        self._shortened = Throttle(interval=HISTORY_LINES)
        self._timeouts = Timeouts()
        soft, _ = open_file_limits() or (FILES_ON_WINDOWS, FILES_ON_WINDOWS)
        self._most = most_connections(soft)
        self._uncounted = 0
        self._looking: asyncio.Future[None] | None = None

    def configure(self, updated: set[str]) -> None:
        """Apply the time-outs and limits."""
        messages.limit(self.message_limit)
        self._timeouts = Timeouts(
            self.head_timeout, self.body_timeout, self.keepalive_timeout, self.send_timeout, self.handshake_timeout
        )

    def done(self) -> None:
        """Stop checking."""
        if self._looking is not None:
            self._looking.cancel()

    # Connections

    def client_connected(self, client: Client) -> None:
        """Count a connection, and refuse it if there are too many."""
        address = client.peername[0]
        if not self._by_address.enter(address, client.peername, self.client_connections):
            client.error = "too many connections from this address"
            self._say_refused(f"{address}: refused, it has {self.client_connections} connections")
            return
        if client.id not in self._connections:
            self.watch(client)

    def watch(self, client: Client) -> None:
        """Watch a connection that mitmproxy owns, from now on."""
        now, handler = time.monotonic(), handler_of(client.id)
        if handler is not None:
            kind = MitmproxyConnection if client.transport_protocol == "tcp" else DatagramConnection
            self._connections[client.id] = kind(handler, now)
            self._expect_one_more(now)

    def add(self, client: Client, waiter: Waiter) -> None:
        """Watch a connection that mitmproxy does not own, or not now."""
        self._connections[client.id] = waiter
        self._expect_one_more(time.monotonic())

    def remove(self, client: Client) -> None:
        """Stop watching a connection."""
        self._connections.pop(client.id, None)

    def tls_established_client(self, data: TlsData) -> None:
        """Watch a client that has set up TLS, in case it sends nothing inside."""
        watched = self._connections.get(data.context.client.id)
        if isinstance(watched, MitmproxyConnection):
            watched.expect_request(data.context)

    def next_layer(self, nextlayer: NextLayer) -> None:
        """Watch the first bytes of a client, whose protocol is not known yet."""
        watched = self._connections.get(nextlayer.context.client.id)
        if isinstance(watched, MitmproxyConnection):
            watched.undecided = nextlayer

    def client_disconnected(self, client: Client) -> None:
        """Stop counting it."""
        self._by_address.leave(client.peername[0], client.peername)
        self.remove(client)

    def _say_refused(self, line: str) -> None:
        if admitted := self._refused.admit(line, time.monotonic()):
            logger.warning(admitted)

    # Requests

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Count a request, and refuse it if there are too many."""
        address = flow.client_conn.peername[0] if flow.client_conn.peername else ""
        if flow.is_replay or self._in_flight.enter(address, flow, self.client_requests):
            return
        self._say_refused(f"{address}: 429, it has {self.client_requests} requests in flight")
        flow.response = http.Response.make(429, b"Too many requests at once.\n", {"Retry-After": "1"})

    def response(self, flow: http.HTTPFlow) -> None:
        """Count it out."""
        if flow.client_conn.peername:
            self._in_flight.leave(flow.client_conn.peername[0], flow)

    error = response

    # Messages

    def websocket_message(self, flow: http.HTTPFlow) -> None:
        """Limit the messages that a flow keeps."""
        if flow.websocket is not None:
            self._bound_history(flow, flow.websocket.messages)

    def tcp_message(self, flow: tcp.TCPFlow | udp.UDPFlow) -> None:
        """Limit the messages that a flow keeps."""
        self._bound_history(flow, flow.messages)

    udp_message = tcp_message

    def _bound_history(self, flow: Flow, messages: list[Any]) -> None:
        history = self._histories.get(flow)
        if history is None:
            history = self._histories[flow] = MessageHistory()
            flow_state.state_of(flow).removed = history.removed
        if history.add(messages) and self.message_history:
            is_read = _are_messages_read()
            is_shorter = history.shorten(messages, self.message_history if is_read else UNREAD)
            if is_shorter and is_read:
                self._say_shortened()

    def _say_shortened(self) -> None:
        line = f"over message_history={ctx.options.message_history}: flows keep the last messages of a stream only"
        if admitted := self._shortened.admit(line, time.monotonic()):
            logger.warning(admitted)

    # Waiting

    def _expect_one_more(self, now: float) -> None:
        """Start checking, and make room if there are too many."""
        if self._looking is None or self._looking.done():
            self._looking = spawn(self._look_round())
        self._uncounted += 1
        if len(self._connections) > self._most and self._uncounted > self._most // COUNTED:
            self._make_room(now)

    async def _look_round(self) -> None:
        while self._connections:
            await asyncio.sleep(self._timeouts.between_looks)
            for number, waiter in enumerate(list(self._connections.values())):
                if number % CONNECTIONS_PER_TURN == CONNECTIONS_PER_TURN - 1:
                    await asyncio.sleep(0)
                self._judge(waiter, time.monotonic())

    def _judge(self, waiter: Waiter, now: float) -> None:
        wait, waited, received = waiter.waits(now)
        if wait is not Wait.NOTHING and waited > min(self._timeouts.seconds(wait, received), ctx.options.tcp_timeout):
            waiter.close(wait, waited)

    def _make_room(self, now: float) -> None:
        """If there are too many connections, close those that have waited longest for their clients."""
        self._uncounted = 0
        waiting = [(waiter, *waiter.waits(now)) for waiter in self._connections.values()]
        idle = [(waiter, wait, waited) for waiter, wait, waited, _ in waiting if wait in FOR_MORE]
        for at in longest_waiting([waited for _, _, waited in idle], len(idle) - self._most):
            waiter, wait, waited = idle[at]
            waiter.close(wait, waited)


def _are_messages_read() -> bool:
    """Return whether anything may read messages after their hooks: options that record or show them, or a script."""
    if any(getattr(ctx.options, name, None) for name in READING) or ctx.master.addons.get("view"):
        return True
    others = (addon for addon in traverse(ctx.master.addons.chain) if not _is_known(addon))
    return any(hasattr(addon, hook) for addon in others for hook in MESSAGE_HOOKS)


def _is_known(addon: object) -> bool:
    return type(addon).__module__.partition(".")[0] in ("mitmproxy", "proxy_policies")
