"""The two directions of raw bytes are independent: one goes on while the receiver of the other does not read."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

import pytest
from tests.support.mitmdump import Mitmdump
from tests.support.openings import connect

SIZE = 24 << 20
"""More than the buffers of two connections hold, in bytes."""
WAIT = 60  # seconds


def receive_all(sock: socket.socket) -> int:
    received = 0
    while received < SIZE and (data := sock.recv(1 << 20)):
        received += len(data)
    return received


def serve(listener: socket.socket) -> None:
    """Receive and send at the same time."""
    with contextlib.suppress(OSError), listener.accept()[0] as sock:
        sending = threading.Thread(target=sock.sendall, args=(bytes(SIZE),))
        sending.start()
        receive_all(sock)
        sending.join()


@pytest.fixture
def target() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    thread.join()


@pytest.mark.parametrize(("mode", "fast_lane"), [("reverse", "on"), ("regular", "off")])
def test_a_client_that_reads_once_it_has_sent_all(
    mitmdump: Callable[..., Mitmdump], target: str, mode: str, fast_lane: str
) -> None:
    mode = f"reverse:tcp://{target}" if mode == "reverse" else mode
    proxy = mitmdump("--set", f"fast_lane={fast_lane}", mode=mode)
    with socket.create_connection(("127.0.0.1", proxy.port), WAIT) as client:
        if mode == "regular":
            connect(client, target)
        client.sendall(bytes(SIZE))
        assert receive_all(client) == SIZE
