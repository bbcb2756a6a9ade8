"""What every layer hands on as it is."""

import asyncio

from tests.support.relay_peers import receive, tcp_pair

from proxy_policies.reverse_tunnel.transport.transport_layer import TransportLayer


async def test_the_transport_below_is_asked() -> None:
    near, far = tcp_pair()
    with far:
        _, writer = await asyncio.open_connection(sock=near)
        layer = TransportLayer()
        layer.lower = writer.transport
        layer.set_write_buffer_limits(high=9, low=3)
        assert layer.get_write_buffer_limits() == (3, 9)
        assert layer.get_write_buffer_size() == 0
        assert layer.eof_received() is False
        layer.abort()
        assert writer.transport.is_closing()
        assert await receive(far) == b""
    await asyncio.sleep(0)  # the transport closes in the loop's next round
