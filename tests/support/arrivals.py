"""Waits until a proxy has read what its clients sent, which waits in sockets until then."""

import itertools

from tests.support.mitmdump import Mitmdump
from tests.support.origin import Origin, exchange_raw

_numbers = itertools.count()


def wait_until_read(proxy: Mitmdump) -> None:
    """Wait until a forward proxy has read all requests sent so far, and looked them up in its cache.

    An event loop handles its connections in the order in which they became readable: once the last one has been
    answered by an origin, all before it have reached the origin, or wait for the response to another request.
    """
    last = Origin()
    for _ in range(2):
        request = (
            f"GET {last.url}/{next(_numbers)} HTTP/1.1\r\nHost: 127.0.0.1:{last.port}\r\nConnection: close\r\n\r\n"
        )
        assert exchange_raw(proxy.port, request.encode()).startswith(b"HTTP/1.1 200 ")
    last.close()
