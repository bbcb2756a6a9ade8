"""Since when a client has taken nothing."""

import socket

from proxy_policies.limits.unsent import Unsent


def test_nothing_waits() -> None:
    assert Unsent().since(1.0, 0, None) is None


def test_time_counts_from_the_last_byte_taken() -> None:
    near, far = socket.socketpair()
    with near, far:
        unsent = Unsent()
        assert unsent.since(1.0, 500, near) == 1.0
        assert unsent.since(5.0, 500, near) == 1.0
        assert unsent.since(6.0, 400, near) == 6.0
        assert unsent.since(9.0, 0, near) is None
        assert unsent.since(10.0, 100, near) == 10.0


def test_a_closed_socket_holds_nothing_in_the_kernel() -> None:
    near, far = socket.socketpair()
    near.close()
    far.close()
    assert Unsent().since(2.0, 7, near) == 2.0
