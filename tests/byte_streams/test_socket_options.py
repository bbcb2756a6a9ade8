"""What a peer sees of a socket's options."""

import socket

import pytest

from proxy_policies.byte_streams.socket_options import is_unacknowledged, reset_on_close, send_at_once


@pytest.mark.parametrize("is_on", [True, False])
def test_a_close_is_a_reset_while_that_is_on(is_on: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        near = socket.create_connection(server.getsockname())
        far = server.accept()[0]
    reset_on_close(near)
    reset_on_close(near, is_on)
    near.close()
    with far:
        if is_on:
            with pytest.raises(ConnectionResetError):
                far.recv(1)
        else:
            assert far.recv(1) == b""


def test_what_is_sent_does_not_wait_for_more() -> None:
    with socket.socket() as sock:
        send_at_once(sock)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_closed_socket_is_left_as_it_is() -> None:
    sock = socket.socket()
    sock.close()
    reset_on_close(sock)
    send_at_once(sock)
    assert not is_unacknowledged(sock)


def test_where_the_kernel_cannot_be_asked_all_is_acknowledged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(socket, "TCP_INFO", raising=False)
    with socket.socket() as sock:
        assert not is_unacknowledged(sock)
