"""Windows of QUIC streams, between two connections in memory; tests/e2e/limits tries them with mitmproxy."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import trustme
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import StreamDataReceived

from proxy_policies.patches.back_pressure import STREAM_WINDOW
from proxy_policies.patches.quic_windows import WindowedConnection

SERVER, CLIENT = ("127.0.0.1", 1), ("127.0.0.1", 2)
LARGE = 3 * STREAM_WINDOW
STREAM = 0


class Pair:
    """A server with our windows, and a client that sends to it."""

    def __init__(self, certificate: Path) -> None:
        self.client = QuicConnection(
            configuration=QuicConfiguration(verify_mode=ssl.CERT_NONE, server_name="localhost")
        )
        settings = QuicConfiguration(is_client=False)
        settings.load_cert_chain(certificate, certificate)
        self.client.connect(SERVER, now=0.0)
        destination = self.client.original_destination_connection_id
        self.server = WindowedConnection(configuration=settings, original_destination_connection_id=destination)
        self.now = 0.0
        self.received = 0
        self.exchange()

    def exchange(self) -> None:
        """Pass datagrams on until there are no more."""
        quiet = 0
        while quiet < 3:  # acknowledgements are delayed
            self.now += 0.1
            to_server = self.client.datagrams_to_send(self.now)
            for datagram, _ in to_server:
                self.server.receive_datagram(datagram, CLIENT, self.now)
            to_client = self.server.datagrams_to_send(self.now)
            for datagram, _ in to_client:
                self.client.receive_datagram(datagram, SERVER, self.now)
            quiet = 0 if to_server or to_client else quiet + 1
        while event := self.server.next_event():
            self.received += len(event.data) if isinstance(event, StreamDataReceived) else 0

    def send(self, size: int, *, end: bool = False) -> None:
        """Have the client send on the stream, as far as the window allows."""
        self.client.send_stream_data(STREAM, bytes(size), end)
        self.exchange()


@pytest.fixture
def pair(ca: trustme.CA, tmp_path: Path) -> Pair:
    certificate = tmp_path / "server.pem"
    ca.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(certificate))
    return Pair(certificate)


def test_a_window_slides_instead_of_doubling(pair: Pair) -> None:
    pair.send(LARGE)
    assert pair.received == LARGE
    assert pair.server._streams[STREAM].max_stream_data_local <= LARGE + STREAM_WINDOW


def test_it_is_reopened_once_the_data_is_accepted(pair: Pair) -> None:
    held_back = {STREAM}
    pair.server.holds_back = held_back.__contains__
    pair.send(LARGE)
    assert pair.received == STREAM_WINDOW
    assert pair.server.waiting_streams() == {STREAM}
    held_back.clear()
    pair.exchange()
    assert pair.received == LARGE
    assert not pair.server.waiting_streams()


def test_a_stream_that_is_over_waits_no_longer(pair: Pair) -> None:
    pair.server.holds_back = lambda _: True
    pair.send(LARGE)
    pair.client.reset_stream(STREAM, 0)
    pair.server.reset_stream(STREAM, 0)
    pair.exchange()
    assert not pair.server.waiting_streams()


def test_what_the_peers_window_does_not_admit_is_counted(pair: Pair) -> None:
    pair.send(1)
    window = pair.client._streams[STREAM].max_stream_data_local
    pair.client._write_stream_limits = lambda **_: None  # type: ignore[method-assign]  # stays shut
    pair.server.send_stream_data(STREAM, bytes(LARGE))
    pair.exchange()
    assert pair.server.unsent_of(STREAM) == LARGE - window
    assert pair.server.unsent_by_stream() == {STREAM: LARGE - window}
    assert pair.server.unsent_of(STREAM + 4) == 0
    pair.server.reset_stream(STREAM, 0)
    assert pair.server.unsent_of(STREAM) == 0
