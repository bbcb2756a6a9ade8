"""Whether more is read from a peer; that memory stays flat is tried in tests/e2e."""

from __future__ import annotations

import pytest
from mitmproxy.connection import Connection
from mitmproxy.proxy.context import Context
from mitmproxy.test import tflow

from proxy_policies.patches.back_pressure import Windows, windows_of
from proxy_policies.patches.http_stream.stored_bodies import UNSENT_LIMIT


class OriginSide:
    """What speaks HTTP/2 with an origin, and holds back so many bytes."""

    context: Context
    our_stream_id: dict[int, int]
    their_stream_id: dict[int, int]

    def __init__(self, held_back: int) -> None:
        self.conn: Connection = tflow.tserver_conn()
        self.held_back = held_back

    def unsent(self) -> int:
        return self.held_back

    def unsent_of(self, stream_id: int) -> int:
        return self.held_back

    def unsent_by_stream(self) -> dict[int, int]:
        return {1: self.held_back}

    def waiting_streams(self) -> tuple[int, ...]:
        return ()


@pytest.mark.parametrize(("alpn", "waits"), [(b"http/1.1", True), (b"h2", False), (b"h3", False)])
def test_an_http1_upload_is_read_on_once_its_origin_has_taken_of_it(alpn: bytes, waits: bool) -> None:
    """HTTP/2 and HTTP/3 have windows for that, of which others know nothing: tests/e2e/limits/test_slow_streams.py."""
    client, windows, origin = tflow.tclient_conn(), Windows(), OriginSide(UNSENT_LIMIT + 1)
    client.alpn = alpn
    windows.add(origin)
    assert windows.is_full(client) is waits
    origin.held_back = UNSENT_LIMIT
    assert not windows.is_full(client)


def test_what_an_origin_is_sent_holds_up_no_answer() -> None:
    windows, origin = Windows(), OriginSide(UNSENT_LIMIT + 1)
    windows.add(origin)
    assert not windows.is_full(origin.conn)
    assert not windows.is_full(tflow.tserver_conn())


def test_all_sides_of_a_client_know_the_same_windows() -> None:
    client = tflow.tclient_conn()
    windows = windows_of(client)
    assert windows_of(client) is windows
    assert windows_of(tflow.tclient_conn()) is not windows
