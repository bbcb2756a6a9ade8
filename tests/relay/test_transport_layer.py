"""What every layer hands on as it is."""

from tests.support.relay_links import MakeEnd
from tests.support.relay_peers import receive

from proxy_policies.relay.transport_layer import TransportLayer


async def test_the_transport_below_is_asked(make_end: MakeEnd) -> None:
    end, far = await make_end()
    layer = TransportLayer()
    layer.lower = end.transport
    layer.set_write_buffer_limits(high=9, low=3)
    assert layer.get_write_buffer_limits() == (3, 9)
    assert layer.get_write_buffer_size() == 0
    assert layer.eof_received() is False
    layer.abort()
    assert end.transport.is_closing()
    assert await receive(far) == b""
