"""An origin that ends TLS by a fatal alert after the handshake: a request to it fails at once."""

import socket
import ssl
from collections.abc import Callable

import pytest
import trustme
from tests.support.curl import curl
from tests.support.mitmdump import LANES, Mitmdump
from tests.support.socket_server import SocketServer


class Refusing(SocketServer):
    """Refuses a client in the handshake, and ends its half; it does not reset the connection."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__()

    def serve(self, sock: socket.socket) -> None:
        secured = self._context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        with pytest.raises(ssl.SSLError):
            secured.do_handshake()
        with socket.socket(fileno=secured.detach()) as plain:
            plain.shutdown(socket.SHUT_WR)
            while plain.recv(1000):
                pass


@pytest.mark.parametrize("lane", LANES)
def test_a_client_certificate_is_required(
    mitmdump: Callable[..., Mitmdump], server_tls: ssl.SSLContext, ca: trustme.CA, lane: str
) -> None:
    """Over TLS 1.3, a client has finished its handshake before it is refused."""
    server_tls.verify_mode = ssl.CERT_REQUIRED
    ca.configure_trust(server_tls)
    origin = Refusing(server_tls)
    settings = ("--set", "ssl_insecure=true", "--set", f"fast_lane={lane}")
    proxy = mitmdump(*settings, mode=f"reverse:https://127.0.0.1:{origin.port}")
    assert curl(proxy.url, timeout=60).status == 502
    origin.close()
