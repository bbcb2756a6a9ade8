"""An HTTP/2 client that sends any fields, valid or not."""

import socket
import ssl
from dataclasses import dataclass, field

import h2.config
import h2.connection
import h2.events

Lines = list[tuple[bytes, bytes]]


@dataclass
class H2Answer:
    """The result of a request."""

    status: int = 0
    fields: Lines = field(default_factory=list)
    body: bytes = b""
    trailers: Lines = field(default_factory=list)
    reset: int | None = None
    is_whole: bool = False
    is_connection_over: bool = False


class H2Client:
    """One connection over TLS to a port of 127.0.0.1, or inside a tunnel; its certificate is not verified."""

    def __init__(self, port: int, tunnel: socket.socket | None = None) -> None:
        tls = ssl.create_default_context()
        tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
        tls.set_alpn_protocols(["h2"])
        sock = tunnel or socket.create_connection(("127.0.0.1", port), timeout=100)
        self._sock = tls.wrap_socket(sock, server_hostname="localhost")
        config = h2.config.H2Configuration(
            client_side=True,
            header_encoding=None,
            validate_outbound_headers=False,
            normalize_outbound_headers=False,
            validate_inbound_headers=False,
        )
        self._connection = h2.connection.H2Connection(config)
        self._connection.initiate_connection()
        self._flush()

    def close(self) -> None:
        """Close the connection."""
        self._sock.close()

    def _flush(self) -> None:
        self._sock.sendall(self._connection.data_to_send())

    def ask(self, lines: Lines, body: bytes = b"", trailers: Lines | None = None) -> H2Answer:
        """Send a request and return its result."""
        connection, answer = self._connection, H2Answer()
        stream = connection.get_next_available_stream_id()
        connection.send_headers(stream, lines, end_stream=not body and not trailers)
        if body:
            connection.send_data(stream, body, end_stream=not trailers)
        if trailers:
            connection.send_headers(stream, trailers, end_stream=True)
        try:
            self._flush()
            while not (answer.is_whole or answer.reset is not None or answer.is_connection_over):
                self._on_answer(answer, stream)
        except OSError:
            answer.is_connection_over = True
        return answer

    def ask_and_reset(self, lines: Lines) -> None:
        """Send a request's head, and at once reset its stream."""
        stream = self._connection.get_next_available_stream_id()
        self._connection.send_headers(stream, lines)
        self._connection.reset_stream(stream)
        self._flush()

    def _on_answer(self, answer: H2Answer, stream: int) -> None:
        data = self._sock.recv(65536)
        answer.is_connection_over = not data
        for event in self._connection.receive_data(data) if data else ():
            if isinstance(event, h2.events.ConnectionTerminated):
                answer.is_connection_over = True
            elif getattr(event, "stream_id", None) == stream:
                _note(answer, event)
        self._flush()


def _note(answer: H2Answer, event: h2.events.Event) -> None:
    match event:
        case h2.events.ResponseReceived():
            lines: Lines = [(bytes(name), bytes(value)) for name, value in event.headers]
            answer.status, answer.fields = int(lines[0][1]), lines[1:]
        case h2.events.DataReceived():
            answer.body += event.data
        case h2.events.TrailersReceived():
            answer.trailers = [(bytes(name), bytes(value)) for name, value in event.headers]
        case h2.events.StreamReset():
            answer.reset = int(event.error_code or 0)
        case h2.events.StreamEnded():
            answer.is_whole = True
