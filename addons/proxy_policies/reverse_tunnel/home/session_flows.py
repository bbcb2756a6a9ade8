"""Creates a TCP flow for each session that an addon looks at: a row in mitmweb, hooks, its bytes in the comment."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable

from mitmproxy import addonmanager, connection, ctx, flow, tcp
from mitmproxy.addons.dumper import Dumper
from mitmproxy.hooks import Hook, UpdateHook
from mitmproxy.proxy.layers.tcp import TcpEndHook, TcpErrorHook, TcpStartHook

from proxy_policies import trace
from proxy_policies.dispatch.dispatcher import HookTable
from proxy_policies.flows import flow_state
from proxy_policies.reverse_tunnel.home.sessions import Session
from proxy_policies.reverse_tunnel.protocol.frames import Bytes


class SessionFlows:
    """Observes sessions. `keep` returns how many bytes of each to keep as the flow's messages."""

    def __init__(self, keep: Callable[[], int]) -> None:
        self._keep = keep
        self._flows: dict[int, tcp.TCPFlow] = {}

    @functools.cached_property
    def _table(self) -> HookTable:
        return HookTable(ctx.master.addons)

    async def opened(self, session: Session) -> None:
        """Create the flow if an addon looks at it now."""
        if not self._table.is_watched("tcp_start", "update"):
            return
        shown = self._flows[session.number] = _flow_of(session)
        if left := self._keep():
            session.tap = _MessageRecorder(shown, left)
        await _trigger(TcpStartHook(shown))

    async def linked(self, session: Session) -> None:
        """Note on the flow that the service is connected."""
        session.linked = time.time()
        if shown := self._flows.get(session.number):
            shown.server_conn.timestamp_tcp_setup = session.linked
            shown.server_conn.state = connection.ConnectionState.OPEN

    async def closed(self, session: Session) -> None:
        """Note the bytes on the flow, and how the session ended."""
        shown = self._flows.pop(session.number, None)
        if shown is None:
            if not self._table.is_watched("tcp_error" if session.counts.error else "tcp_end", "update"):
                return
            shown = _flow_of(session)
        shown.client_conn.timestamp_end = shown.server_conn.timestamp_end = time.time()
        shown.client_conn.state = shown.server_conn.state = connection.ConnectionState.CLOSED
        shown.live = False
        seconds = round(time.time() - session.started, 3)
        verdict = "cut off" if session.counts.error else "ended"
        facts = {"up": session.counts.up, "down": session.counts.down, "seconds": seconds}
        trace.note(shown, "reverse_tunnel", verdict, session.counts.error, **facts)
        shown.comment = shown.comment or f"{session.target}: {session.account()}"
        if session.counts.error:
            shown.error = flow.Error(session.counts.error)
        await (_trigger_except_dumper(TcpErrorHook(shown)) if shown.error else _trigger(TcpEndHook(shown)))


class _MessageRecorder:
    """Keeps the beginning of a stream as a flow's messages."""

    def __init__(self, shown: tcp.TCPFlow, left: int) -> None:
        self._shown, self._left = shown, left

    def __call__(self, from_client: bool, data: Bytes) -> None:
        if self._left > 0:
            content = bytes(data[: self._left])
            self._left -= len(content)
            self._shown.messages.append(tcp.TCPMessage(from_client, content))


def _flow_of(session: Session) -> tcp.TCPFlow:
    client = connection.Client(
        peername=session.client or ("", 0),
        sockname=session.client_listener or ("", 0),
        timestamp_start=session.started,
        state=connection.ConnectionState.OPEN,
    )
    server = connection.Server(address=(session.target, session.client_listener[1] if session.client_listener else 0))
    server.timestamp_start, server.timestamp_tcp_setup = session.started, session.linked
    shown = tcp.TCPFlow(client, server, live=True)
    shown.timestamp_created = session.started
    flow_state.state_of(shown).tunnel = session.counts
    return shown


async def _trigger(hook: Hook) -> None:
    await ctx.master.addons.handle_lifecycle(hook)


async def _trigger_except_dumper(hook: TcpErrorHook) -> None:
    """Trigger a hook, except in mitmdump's dumper, which would repeat home's log line without the time."""
    addons = ctx.master.addons
    for addon in addons.chain:
        if not isinstance(addon, Dumper):
            with addonmanager.safecall():
                await addons.invoke_addon(addon, hook)
    await addons.trigger_event(UpdateHook([hook.flow]))
