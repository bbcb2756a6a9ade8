"""A client's connection that we own: its requests are responded to here, or it is handed over to mitmproxy.

There is one owner at a time. A connection is handed over between two messages, with every byte that was not responded
to, and never comes back. `accepted_client.py` has connections that no mitmproxy layer has seen, `layered_client.py`
those inside layers.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from mitmproxy.connection import Client
from mitmproxy.utils import human

from proxy_policies.background.tasks import spawn
from proxy_policies.byte_streams.byte_stream import ByteStream
from proxy_policies.connection.responders import Responders
from proxy_policies.exchange.client_side import JOINED
from proxy_policies.exchange.exchange import Exchange
from proxy_policies.exchange.origin_connections import Destination, OriginPool, Origins
from proxy_policies.exchange.tls_handshake import Trigger
from proxy_policies.finished import flow_records, reporting
from proxy_policies.http1.request_heads import CRLF_HEAD_END, HEAD_END, HEAD_LIMIT, could_begin_request
from proxy_policies.http1.sent_heads import error_response, head_of
from proxy_policies.limits.connections import TLS_HANDSHAKE
from proxy_policies.limits.unsent import Unsent
from proxy_policies.log_lines import admit_client_line
from proxy_policies.waits import LINGERING_TIME, LINGERING_TIMEOUT, Stopwatch, Wait, Waiting

logger = logging.getLogger("mitmproxy.proxy.server")
"""Its lines look like mitmproxy's own, prefixed with the client."""

NEW = 1.0
"""Seconds during which a new client's first request may still be on its way."""
BYTES_PER_TURN = 65536
"""Bytes of responses sent in one turn of the event loop."""


class ConnectionOwner(Protocol):
    """The policy that owns the connections and triggers hooks."""

    origin_pool: OriginPool
    """Connections to origins that clients have left."""

    @property
    def trigger(self) -> Trigger:
        """Triggers a hook, and waits until every addon has handled it."""

    def closed(self, connection: ClientConnection) -> None:
        """Note that a connection has ended."""

    def handed_over(self, connection: ClientConnection) -> None:
        """Note that mitmproxy owns a connection from now on."""


class ClientConnection(ABC):
    """One client, until it leaves or is handed over."""

    def __init__(
        self,
        owner: ConnectionOwner,
        responders: Responders,
        client: Client,
        stream: ByteStream,
        destination: Destination | None,
    ) -> None:
        self._owner, self._responders, self.client = owner, responders, client
        self.stream = stream
        stream.on_readable = self._readable
        self.destination = destination
        self.trigger: Trigger = owner.trigger
        """Triggers a hook, and waits until every addon has handled it."""
        self.exchange: Exchange | None = None
        self._is_busy = self._is_over = self._is_tunnel = False
        self._requests = 0
        self._task: asyncio.Task[None] | None = None
        self._began = time.monotonic()

    @functools.cached_property
    def origins(self) -> Origins:
        """The client's connections to origins."""
        return Origins(self.client, self.trigger, self.destination, self._owner.origin_pool)

    def _close_origins(self) -> None:
        if "origins" in vars(self):
            self.origins.close()

    @functools.cached_property
    def who(self) -> str:
        """Everything about the client on which a response may depend, once it has sent a request."""
        client = self.client
        return f"{client.peername[0]} {client.tls} {client.proxy_mode.full_spec} {self.destination}"

    @property
    def address(self) -> str:
        """The client's address as printed."""
        return human.format_address(self.client.peername)

    def log(self, line: str) -> None:
        """Log a line about the client."""
        logger.info(line, extra={"client": self.client.peername})

    # Responding

    def _readable(self) -> None:
        stream = self.stream
        if self._is_over:
            return
        if stream.is_at_end and self.exchange is not None:
            self._ended_meanwhile(self.exchange)
        elif stream.error is not None:
            self.leave()
        if self._is_busy or self._is_over:
            return
        if stream.unsent > stream.high_water:
            stream.on_sent = self._readable
        elif stream.received:
            self._next()
        elif stream.is_at_end:
            self.leave()

    def _next(self) -> None:
        """Respond to received data; on any failure, do not leave the client waiting."""
        try:
            self._respond()
        except Exception:
            self._failed()

    def _failed(self) -> None:
        logger.exception("responding failed", extra={"client": self.client.peername})
        self._cut("an internal error")

    def _ended_meanwhile(self, exchange: Exchange) -> None:
        if self.stream.error is not None:
            exchange.presence.left()
        else:
            exchange.presence.ended()

    def _respond(self) -> None:
        """Respond to the next request if its head is complete."""
        stream = self.stream
        if self._requests and stream.received[0] == TLS_HANDSHAKE:  # no request (RFC 9112, section 2.2)
            self._refuse(400, "TLS where a request should be")
            return
        if self._responders.send_learned(self):
            return
        if stream.unsent:  # its next owner must not have to send data of ours
            stream.on_sent = self._readable
            return
        end = HEAD_END.search(stream.received)
        if end is None:
            self._wait_for_head()
            return
        self._requests += 1
        head = bytes(stream.received[: end.end()])
        response = self._responders.response_to(self, head)
        if response is None:
            self.hand_over()
        elif isinstance(response, Exchange):
            del stream.received[: end.end()]
            self.exchange = response
            self.begin(self._run_exchange(response, head))
        else:
            self._is_tunnel = True
            self.begin(self._run_tunnel(response))

    def respond_to_each(self, respond: Callable[[bytes], tuple[bytes, bytes, bool] | None]) -> bool:
        """Send what `respond` returns for each received head, up to a bound; return False if nothing was sent.

        Its third item says whether the connection ends with the response.
        """
        data, at, size = bytes(self.stream.received), 0, 0
        pieces: list[bytes] = []
        closes = False
        while at < len(data) and size < BYTES_PER_TURN and not closes:
            end = data.find(CRLF_HEAD_END, at) + len(CRLF_HEAD_END)  # without an end too short to be a head
            found = respond(data[at:end])
            if found is None:
                break
            *response, closes = found
            pieces += response
            size += len(response[0]) + len(response[1])
            at, self._requests = end, self._requests + 1
        if not pieces:
            return False
        del self.stream.received[:at]
        self.stream.write(*pieces if size > JOINED and len(pieces) == 2 else (b"".join(pieces),))
        if closes:
            self.leave()
        else:
            self._go_on()
        return True

    def _wait_for_head(self) -> None:
        stream = self.stream
        if len(stream.received) > HEAD_LIMIT or not could_begin_request(stream.received) or stream.is_at_end:
            self.hand_over()
        else:
            stream.start_reading()

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Run work that has exclusive use of the connection."""
        self._is_busy = True
        self._task = spawn(work, eager=True, is_held=True)

    async def _run_tunnel(self, tunnel: Coroutine[Any, Any, bool]) -> None:
        try:
            was_open = await tunnel
        except asyncio.CancelledError:
            self.leave()
            raise
        except Exception:
            self._failed()
            return
        if was_open:
            self.leave()
        else:
            self.hand_over()

    async def _run_exchange(self, exchange: Exchange, head: bytes) -> None:
        goes_on = False
        try:
            goes_on = await exchange.run()
            self._responders.exchanged(self, exchange, head)
        except Exception:
            logger.exception("an exchange failed", extra={"client": self.client.peername})
            exchange.cut_client()
        finally:
            self.exchange = None
            self._is_busy = False
        if goes_on:
            self._go_on()
        elif exchange.writer.is_request_read and not self.stream.received:
            self.leave()
        else:
            self._linger()

    def _go_on(self) -> None:
        """Handle the next request once others have had a turn and the client has accepted enough data."""
        stream = self.stream
        stream.start_reading()
        if stream.received:
            if stream.unsent > stream.high_water:
                stream.on_sent = self._readable
            else:
                asyncio.get_running_loop().call_soon(self._readable)
        elif stream.is_at_end:
            self.leave()

    # Ending

    @abstractmethod
    def hand_over(self) -> None:
        """Hand the connection over to mitmproxy, with the bytes that were not responded to."""

    def release(self) -> None:
        """Hand the connection over, unless it is in use; then this happens later if needed."""
        if not (self._is_busy or self._is_over or self.stream.unsent):
            self.hand_over()

    def leave(self) -> None:
        """Close the connection once everything is sent."""
        if self._is_over:
            return
        if self.stream.unsent:
            self._is_busy = True
            self.stream.on_sent = self.leave
            return
        self._is_over = True
        self.stream.close()
        self._owner.closed(self)
        self._left()

    @abstractmethod
    def _left(self) -> None:
        """Handle the end of the connection."""

    def _refuse(self, status: int, why: str) -> None:
        """Answer an invalid request."""
        if reporting.SUBSCRIBERS:
            reporting.report(flow_records.of_refusal(self.client, status, why))
        response = error_response(status, why)
        response.headers["Connection"] = "close"
        self.stream.write(head_of(response), response.raw_content or b"")
        self._linger()

    def _linger(self) -> None:
        """End our half of the connection, then read and discard what arrives for a while.

        Otherwise a client that is still sending could not read our response (RFC 9112, section 9.6).
        """
        self._is_busy = True
        self.begin(self._drain_until_closed())

    async def _drain_until_closed(self) -> None:
        stream = self.stream
        stream.end_sending()
        stream.received.clear()
        until = time.monotonic() + LINGERING_TIME
        while await stream.wait(LINGERING_TIMEOUT) and time.monotonic() < until:
            stream.received.clear()
        self.leave()

    # Waiting

    @functools.cached_property
    def _watch(self) -> Stopwatch:
        return Stopwatch(self._began, which=(0, 0))

    @functools.cached_property
    def _unsent(self) -> Unsent:
        return Unsent()

    @property
    def is_responding(self) -> bool:
        """Return whether the client is being served, or is so new that its first request may be on its way."""
        is_new = time.time() - self.client.timestamp_start < NEW
        return bool(self._is_busy or self.stream.unsent or self.stream.received or (is_new and not self._requests))

    def waits(self, now: float) -> tuple[Wait, float, int]:
        """Return what the connection waits for from its client, for how many seconds, and how many bytes arrived."""
        stream = self.stream
        since = None if stream.is_closed else self._unsent.since(now, stream.unsent, stream.sock)
        which = self._requests, self.exchange.presence.steps if self.exchange and not self.exchange.is_reading else 0
        waiting = Waiting(self._wait_now(), which, stream.total_received)
        wait, waited, received = self._watch.look(waiting, now)
        return (wait, waited, received) if since is None else (Wait.READER, now - since, 0)

    def _wait_now(self) -> Wait:
        if self.exchange is not None and self.exchange.is_reading:
            return Wait.BODY
        if self.exchange is not None and self.exchange.presence.is_waiting_for_peer:
            return Wait.ORIGIN
        if self._is_busy or self._is_over or self.stream.unsent:
            return Wait.NOTHING
        return Wait.HEAD if self.stream.received else Wait.REQUEST

    def close(self, wait: Wait, waited: float) -> None:
        """Close the connection, and log why."""
        why = wait.reason(waited)
        if wait is not Wait.REQUEST:
            self.client.error = why
        line = f"closing connection: {why}"
        if admitted := admit_client_line(line, time.monotonic()):
            self.log(admitted)
        if wait is Wait.BODY and self.exchange is not None:
            self.exchange.time_out(why)
        elif wait is Wait.HEAD:
            self._refuse(408, line)
        elif wait in (Wait.READER, Wait.ORIGIN):
            self._cut(why)
        else:
            self.leave()

    def end(self, why: str) -> None:
        """End the connection at once; what is in progress ends with this error."""
        self.client.error = why
        if self._is_tunnel and self._task is not None:
            self._task.cancel()
        else:
            self._cut(why)

    def _cut(self, why: str) -> None:
        """Close the connection in the middle of a response; unsent data is discarded."""
        if self.exchange is not None:
            self.exchange.presence.left(why)
        self.stream.fail_silently()
        if self.exchange is None:
            self.leave()
