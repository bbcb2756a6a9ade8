"""gRPC streams in both directions at once, beside all that looks at messages: each is answered before the next."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
import trustme
from tests.support import grpc_server
from tests.support.grpc_server import text_message, text_of
from tests.support.mitmdump import Mitmdump

pytestmark = pytest.mark.timeout(120)

WAIT = 30.0
"""Seconds; a stream that is held back never answers."""
SCRIPT = """
import asyncio

class Curious:
    fast_paths = {"hits", "exchanges", "tunnels"}
    def requestheaders(self, flow): pass
    def request(self, flow): flow.request.headers["X-Seen"] = "1"
    async def response(self, flow): await asyncio.sleep(0)
    def responseheaders(self, flow): flow.response.headers["X-Seen"] = "1"
    def error(self, flow): pass
    def websocket_message(self, flow): pass

addons = [Curious()]
"""
BESIDE: dict[str, Callable[[Path], tuple[str, ...]]] = {
    "hooks": lambda folder: ("-s", str(folder / "curious.py")),
    "what mitmproxy keeps": lambda folder: (
        *("-w", str(folder / "flows"), "--set", f"hardump={folder / 'flows.har'}"),
        *("--set", "modify_body=/nothing/something", "--set", "modify_headers=/~q/X-More/1"),
    ),
    "what we keep": lambda folder: (
        *("--set", f"capture_file={folder / 'kept.har'}", "--set", "cache=memory", "--set", "header_rules=//X-More/1"),
        *("--set", "encode_min_size=1"),
    ),
}


@pytest.fixture(scope="module")
def server(ca: trustme.CA) -> Iterator[str]:
    with grpc_server.echoing(ca) as address:
        yield address


@pytest.mark.parametrize("kind", BESIDE)
def test_each_message_is_answered_before_the_next(
    mitmdump: Callable[..., Mitmdump], server: str, tmp_path: Path, kind: str
) -> None:
    (tmp_path / "curious.py").write_text(SCRIPT)
    options = ("--set", "ssl_insecure=true", *BESIDE[kind](tmp_path))
    proxy = mitmdump(*options, mode=f"reverse:https://{server}")
    said: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
    trust = grpc.ssl_channel_credentials(proxy.ca.read_bytes())
    target = ("grpc.ssl_target_name_override", "localhost")
    with grpc.secure_channel(f"127.0.0.1:{proxy.port}", trust, options=[target]) as channel:
        call = channel.stream_stream(f"/{grpc_server.SERVICE}/Echo")(iter(said.get, None), timeout=WAIT)
        for word in ("one", "two", "three"):
            said.put(text_message(word))
            assert text_of(next(call)) == word
        said.put(None)
        assert list(call) == []
        assert call.code() is grpc.StatusCode.OK
        assert ("told", "at the end") in list(call.trailing_metadata())
    proxy.stop()
    assert "Traceback" not in proxy.log()
