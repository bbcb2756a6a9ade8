"""What a client is sent that is slower than others who want the same."""

import asyncio
import socket

import pytest
from mitmproxy import http

from proxy_policies.byte_streams.byte_stream import SocketStream
from proxy_policies.cache.incoming_body import IncomingBody, Room
from proxy_policies.exchange.backlog import Backlog
from proxy_policies.exchange.client_side import ResponseWriter
from proxy_policies.fields import NO_FIELDS
from proxy_policies.http1.plain_messages import RequestHead

BODY = bytes(range(256)) * 40_000
STEP = 100_000


@pytest.mark.parametrize("is_cut", [False, True])
async def test_all_of_it_goes_out_in_order_as_the_client_takes_it(is_cut: bool) -> None:
    ours, peer = socket.socketpair()
    for one in (ours, peer):
        one.setblocking(False)
    stream, body = SocketStream(ours), IncomingBody(Room(), lambda: None)
    writer = ResponseWriter(stream, RequestHead(b"GET", b"", b"/", NO_FIELDS, 0, True))
    response = http.Response.make(200)
    response.raw_content = None
    writer.send_head(response, len(BODY))
    backlog = Backlog(stream, writer, body, body.open_alone())
    for at in range(0, len(BODY), STEP):
        backlog.send(BODY[at : at + STEP])
        backlog.send(b"")
        await asyncio.sleep(0)
    assert stream.unsent < stream.high_water + 2 * STEP
    draining = asyncio.create_task(backlog.drain())
    if is_cut:
        body.abort()
    sent, loop = b"", asyncio.get_running_loop()
    finished = backlog.finish()
    while not sent.endswith(BODY[-1000:]) or len(sent) < len(BODY):
        if finished.done() and is_cut:
            break
        sent += await asyncio.wait_for(loop.sock_recv(peer, 1 << 20), 100)
    if is_cut:
        with pytest.raises(OSError, match="broke off"):
            await finished
    else:
        await finished
        assert sent.partition(b"\r\n\r\n")[2] == BODY
    await draining
    assert not body.is_read
    backlog.cancel()
    stream.fail_silently()
    peer.close()
