"""Requests that a proxy has read: what its clients sent waits in sockets until it turns to them."""

import itertools

from tests.support.mitmdump import Mitmdump
from tests.support.origin import Origin, exchange_raw

_numbers = itertools.count()


def wait_until_read(proxy: Mitmdump) -> None:
    """Return once a forward proxy has read, and looked up in its cache, what clients have sent it by now.

    An event loop turns to its connections in the order in which they came: when whoever came last has an origin's
    answer, all those before have gone as far as the origin, or wait for another's answer.
    """
    last = Origin()
    for _ in range(2):
        request = (
            f"GET {last.url}/{next(_numbers)} HTTP/1.1\r\nHost: 127.0.0.1:{last.port}\r\nConnection: close\r\n\r\n"
        )
        assert exchange_raw(proxy.port, request.encode()).startswith(b"HTTP/1.1 200 ")
    last.close()
