"""An HTTP/2 origin that answers a request with the same bytes repeatedly, until it is disconnected."""

from __future__ import annotations

import socketserver
import ssl
import threading

from tests.support.h2_frames import HEADERS, PREFACE, SETTINGS, frame, frames
from tests.support.origin_server import OriginServer


class FloodingOrigin:
    """Floods each stream; a request on `/plain` is answered with an empty 200."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        tls.set_alpn_protocols(["h2"])
        self.first, self.again = b"", b""
        """What is sent once, and what is sent repeatedly after that, on stream 1."""
        self.sent_away = threading.Event()
        origin = self

        class Connection(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                self.request.sendall(frame(SETTINGS) + frame(SETTINGS, flags=1))
                if not any(received.kind == HEADERS for received in frames(self.request, len(PREFACE))):
                    return
                self.request.settimeout(60)
                try:
                    self.request.sendall(origin.first)
                    while True:
                        self.request.sendall(origin.again * 50)
                except TimeoutError:
                    return
                except OSError:
                    origin.sent_away.set()

        self.server = OriginServer(Connection, tls)
        self.url = f"https://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self.server.shutdown()
        self.server.server_close()
