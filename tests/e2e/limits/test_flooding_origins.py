"""Origins that send empty frames endlessly are disconnected, and their clients get an error."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.h2_flood_origin import FloodingOrigin
from tests.support.h2_frames import (
    CONTINUATION,
    DATA,
    HEADERS,
    PING,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    block,
    frame,
    head,
)
from tests.support.mitmdump import LANES, Mitmdump
from tests.support.origin import Answer, Origin

pytestmark = pytest.mark.timeout(120)

Start = Callable[..., Mitmdump]

OPENED = head(1, [(b":status", b"200")], ends=False)
HINT = head(1, [(b":status", b"103"), (b"link", b"</a.css>")], ends=False)
FLOODS: dict[str, tuple[bytes, bytes]] = {
    "resets": (b"", frame(RST_STREAM, bytes(4), stream=1)),
    "settings": (b"", frame(SETTINGS)),
    "pings": (b"", frame(PING, bytes(8))),
    "window updates": (b"", frame(WINDOW_UPDATE, b"\0\0\0\1")),
    "unknown frames": (b"", frame(0xFA)),
    "fields without an end": (
        frame(HEADERS, block([(b":status", b"200")]), stream=1),
        frame(CONTINUATION, block([(b"x", b"y" * 50)]), stream=1),
    ),
    "empty data": (OPENED, frame(DATA, stream=1)),
    "interim responses": (b"", HINT),
    "interim responses that go no further": (b"", head(1, [(b":status", b"100")], ends=False)),
}


@pytest.fixture
def flooding(server_tls: ssl.SSLContext) -> Iterator[FloodingOrigin]:
    running = FloodingOrigin(server_tls)
    yield running
    running.close()


@pytest.fixture
def proxy(mitmdump: Start, ca_file: Path, flooding: FloodingOrigin) -> Mitmdump:
    options = (f"ssl_verify_upstream_trusted_ca={ca_file}", "flow_detail=0")
    return mitmdump(*(part for option in options for part in ("--set", option)), mode=f"reverse:{flooding.url}")


def test_over_http_2(flooding: FloodingOrigin, proxy: Mitmdump, curl: Any) -> None:
    before = 0
    for kind, (flooding.first, flooding.again) in FLOODS.items():
        flooding.sent_away.clear()
        answer = curl("--http2", "-k", f"https://127.0.0.1:{proxy.port}/", timeout=60)
        assert answer.status == 502 or kind == "empty data", (kind, answer)
        assert flooding.sent_away.wait(60), kind
        before = before or proxy.resident()
    assert proxy.resident() - before < 32 << 20
    assert "Traceback" not in proxy.log()
    assert proxy.log().count("\n") < 300


@pytest.mark.parametrize("lane", LANES)
def test_interim_responses_over_http_1(mitmdump: Start, origin: Callable[..., Origin], curl: Any, lane: str) -> None:
    server, interim = origin(), b"HTTP/1.1 100 Continue\r\n\r\n"

    def endless() -> Iterator[bytes]:
        while True:
            yield interim * 50

    server.route("/", lambda _: Answer(raw=endless()))
    server.route("/plain", Answer())
    proxy = mitmdump("--set", f"fast_lane={lane}", mode=f"reverse:{server.url}")
    assert curl(f"{proxy.url}/plain").status == 200  # a connection that is used again
    assert curl(f"{proxy.url}/", timeout=60).status == 502
    assert curl(f"{proxy.url}/plain").status == 200
