"""An HTTP/2 origin whose responses have trailers."""

import socket
import socketserver
import ssl
import threading
from typing import Any

import h2.config
import h2.connection
import h2.events

from tests.support.origin_server import OriginServer

Fields = list[tuple[str, str]]


class TrailingOrigin:
    """Answers every request over TLS and HTTP/2 with the same head, body and trailers, after a 103 with `hints`."""

    def __init__(
        self, tls: ssl.SSLContext, fields: Fields, body: bytes, trailers: Fields, hints: Fields | None = None
    ) -> None:
        tls.set_alpn_protocols(["h2"])
        self.fields, self.body, self.trailers, self.hints = fields, body, trailers, hints
        self.trailers_received: Fields = []
        origin = self

        class Connection(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                _serve(self.request, origin)

        self.server = OriginServer(Connection, tls)
        self.url = f"https://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self.server.shutdown()
        self.server.server_close()


def _serve(sock: socket.socket, origin: TrailingOrigin) -> None:
    connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
    connection.initiate_connection()
    sock.sendall(connection.data_to_send())
    while data := sock.recv(65536):
        for event in connection.receive_data(data):
            _react(connection, event, origin)
        sock.sendall(connection.data_to_send())


def _react(connection: Any, event: Any, origin: TrailingOrigin) -> None:
    if isinstance(event, h2.events.DataReceived) and event.flow_controlled_length:
        connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
    if isinstance(event, h2.events.TrailersReceived):
        origin.trailers_received = [(str(name), str(value)) for name, value in event.headers]
    if isinstance(event, h2.events.StreamEnded):
        if origin.hints is not None:
            connection.send_headers(event.stream_id, [(":status", "103"), *origin.hints])
        connection.send_headers(event.stream_id, [(":status", "200"), *origin.fields])
        connection.send_data(event.stream_id, origin.body, end_stream=not origin.trailers)
        if origin.trailers:
            connection.send_headers(event.stream_id, origin.trailers, end_stream=True)
